"""Whether requests are traced; `serving.http.spans` tells them to OpenTelemetry.

Nothing of OpenTelemetry is imported unless a collector is set.
"""

import logging
from typing import Any

from recsys.errors import SettingsError
from recsys.settings import Settings
from serving.http.metrics import Metrics
from serving.http.traced import Tracing

PATIENCE = 5.0
"""How long the collector may take for a batch, with all repetitions [s]."""


def load_exporter() -> Any:
    """The class that sends spans by OTLP over HTTP.

    Raises:
        SettingsError: what sends them is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise SettingsError(
            "BARISTA_OTLP_ENDPOINT asks for traces, and what sends them is not installed",
            found=error.name,
            expected="the packages of OpenTelemetry",
            cure="Install barista[otel], or leave BARISTA_OTLP_ENDPOINT empty",
        ) from error
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what is lost we count, and say ourselves
    return OTLPSpanExporter


def open_tracing(settings: Settings, metrics: Metrics) -> Tracing | None:
    """What tells this process's requests to the collector of the settings; None without one. Call it after a fork.

    Raises:
        SettingsError: what sends spans is not installed.
    """
    if not settings.otlp_endpoint:
        return None
    exporter = load_exporter()
    from serving.http.spans import Spans

    address = f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"
    return Spans(
        exporter(endpoint=address, timeout=PATIENCE),
        settings.trace_share,
        lambda why, count: metrics.spans_lost.labels(why).inc(count),
    )
