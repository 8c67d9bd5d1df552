"""Traces of requests for OpenTelemetry: one span a request, one under it for each stage of its answer.

Spans are made when the answer has left, from the times noted on the way, and are sent by a thread of their own. They
hold route templates, versions and ids of requests; never a path, a query, a header or anything of a body. Of what the
caller sends only `traceparent` is read (W3C Trace Context, section 3.2): `tracestate` and `baggage` are free text.

Imported only where traces are asked for: it needs the extra `barista[otel]`.
"""

import os
import time
from collections.abc import Callable, Sequence
from threading import Lock, Thread
from typing import Literal, NamedTuple

import structlog
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from recsys import __version__
from serving.http.traced import Told
from serving.laps import Laps

LOG = structlog.get_logger("barista.tracing")

MOST = 2048
"""Spans that may wait to be sent; more are lost and counted."""

BATCH = 512
"""Spans sent at once."""

EVERY_MS = 1000
"""How often spans are sent [ms]."""

LAST = 2.0
"""How long a process that ends waits for its last spans to be sent [s]."""

Why = Literal["full", "refused", "failed"]
"""Why spans are lost: the queue was full, the collector did not take them, or making them failed."""

Lost = Callable[[Why, int], object]


class Spans:
    """Tells the requests of one process to an exporter: a `share` of those that no caller's trace decides about."""

    def __init__(self, exporter: SpanExporter, share: float, lost: Lost, *, most: int = MOST) -> None:
        self._lost, self._queue = lost, Queue(most)
        self._provider = TracerProvider(ParentBased(TraceIdRatioBased(share)), _resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(Bounded(exporter, self._queue, lost))
        self._tracer = self._provider.get_tracer("barista", __version__)

    def tell(self, told: Told) -> None:
        """Make the spans of a request; whatever goes wrong is counted and stays here."""
        try:
            self._tell(told)
        except Exception as error:  # a trace is no reason to fail
            self._lost("failed", 1)
            LOG.warning("not traced", error=type(error).__name__)

    def _tell(self, told: Told) -> None:
        clock = _Clock(time.time_ns(), time.perf_counter())
        begin, name = clock.at(told.started), f"{told.method} {told.route}"
        span = self._tracer.start_span(name, _callers(told.headers), SpanKind.SERVER, start_time=begin)
        if not span.is_recording():
            return
        laps: Laps | None = told.state.get("laps")
        span.set_attributes(_attributes(told, laps))
        if told.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        within = set_span_in_context(span, Context())
        for stage, start, end in laps.spans() if laps is not None else ():
            self._tracer.start_span(stage, within, start_time=clock.at(start)).end(clock.at(end))
        span.end(clock.at(told.ended))

    def flush(self) -> None:
        """Send what waits, now and in this thread."""
        self._provider.force_flush()

    def stop(self) -> None:
        """Send what waits, for `LAST` seconds at most."""
        sending = Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        sending.join(LAST)
        if self._queue.waiting:
            LOG.warning("spans not sent", spans=self._queue.waiting)


class _Clock(NamedTuple):
    """The same instant by two clocks: since 1970 [ns] and `time.perf_counter` [s]."""

    wall: int
    counter: float

    def at(self, counter: float) -> int:
        """An instant of the counter [s] since 1970 [ns]; never a later one before an earlier one."""
        return self.wall - round((self.counter - counter) * 1e9)


def _resource() -> Resource:
    """Which process tells."""
    instance = os.urandom(16).hex()
    says = {"service.name": "barista", "service.version": __version__, "service.instance.id": instance}
    return Resource.create({**says, "process.pid": os.getpid()})


def _callers(headers: Sequence[tuple[bytes, bytes]]) -> Context:
    """The caller's trace, when it names exactly one; else none, so that a new one begins."""
    named = [value.decode("latin-1") for name, value in headers if name == b"traceparent"]
    if len(named) != 1:
        return Context()
    return TraceContextTextMapPropagator().extract({"traceparent": named[0]}, Context())


def _attributes(told: Told, laps: Laps | None) -> dict[str, str | int]:
    """What a request's span says: names of OpenTelemetry's conventions for HTTP, ours under `barista.`."""
    found: dict[str, str | int] = {
        "http.request.method": told.method,
        "http.route": told.route,
        "http.response.status_code": told.status,
        "barista.request_id": told.state["request_id"],
    }
    tenant = structlog.contextvars.get_contextvars().get("tenant")
    if tenant:
        found["barista.tenant"] = tenant
    if laps is not None and laps.snapshot_id:
        found["barista.snapshot_id"] = laps.snapshot_id
        found |= {f"barista.model_version.{name}": version for name, version in laps.versions.items()}
    return found


class Queue:
    """How many spans wait to be sent; asked from several threads."""

    def __init__(self, most: int) -> None:
        self.most, self._lock = most, Lock()
        self.waiting = 0

    def enter(self) -> bool:
        """Whether one more finds a place; it has it then."""
        with self._lock:
            free = self.waiting < self.most
            self.waiting += free
            return free

    def leave(self, count: int) -> None:
        """So many are being sent."""
        with self._lock:
            self.waiting -= count


class Bounded(SpanProcessor):
    """OpenTelemetry's batches in a thread of their own, behind a queue that counts what it can't take."""

    def __init__(self, exporter: SpanExporter, queue: Queue, lost: Lost) -> None:
        self._queue, self._lost = queue, lost
        counting = Counting(exporter, queue, lost)
        most = queue.most + BATCH  # its own queue never fills up: it would drop without a word
        self._batches = BatchSpanProcessor(counting, most, EVERY_MS, BATCH)

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span, or lose it."""
        if self._queue.enter():
            self._batches.on_end(span)
        else:
            self._lost("full", 1)

    def shutdown(self) -> None:
        """Send what waits and end."""
        self._batches.shutdown()  # type: ignore[no-untyped-call]  # the library's

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what waits."""
        return self._batches.force_flush(timeout_millis)


class Counting(SpanExporter):
    """An exporter that lets the queue know what left it, counts what the collector did not take, and says so once."""

    def __init__(self, exporter: SpanExporter, queue: Queue, lost: Lost) -> None:
        self._exporter, self._queue, self._lost = exporter, queue, lost
        self._taken = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        self._queue.leave(len(spans))
        try:
            result = self._exporter.export(spans)
        except Exception:  # whatever a transport raises, these are lost and the next ones are tried
            result = SpanExportResult.FAILURE
        taken = result is SpanExportResult.SUCCESS
        if not taken:
            self._lost("refused", len(spans))
        if taken is not self._taken:
            LOG.warning("collector takes spans again" if taken else "collector takes no spans", spans=len(spans))
        self._taken = taken
        return result

    def shutdown(self) -> None:
        """End the exporter."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Let the exporter send what it keeps itself."""
        return self._exporter.force_flush(timeout_millis)
