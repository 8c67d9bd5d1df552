"""Prometheus metrics of one process, or of all workers when PROMETHEUS_MULTIPROC_DIR was set before the import."""

from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

SECONDS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.5)
"""Upper bounds of the duration buckets [s]."""

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """What is counted; labels hold routes and outcomes, never ids."""

    def __init__(self, shared: Path | None = None) -> None:
        self._shared = shared
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "barista_requests", "Requests answered.", ["route", "method", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "barista_request_seconds", "Time to answer.", ["route"], buckets=SECONDS, registry=self.registry
        )
        self.events = Counter("barista_events", "Events reported.", ["outcome"], registry=self.registry)
        self.swaps = Counter("barista_swaps", "Attempts to open a changed state.", ["result"], registry=self.registry)
        self.decisions = Counter(
            "barista_decisions", "Decisions answered, by where they were kept.", ["kept"], registry=self.registry
        )
        self.refusals = Counter(
            "barista_refusals",
            "Changed states not taken over, by kind of error.",
            ["reason"],
            registry=self.registry,
        )
        self.degraded = Gauge(
            "barista_degraded",
            "1 while it answers from the last good state, or can't answer.",
            registry=self.registry,
            multiprocess_mode="max",
        )

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self.requests.labels(route, method, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """The exposition text: of all workers when they share a directory."""
        if self._shared is None:
            return generate_latest(self.registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone, str(self._shared))  # type: ignore[no-untyped-call]
        return generate_latest(everyone)
