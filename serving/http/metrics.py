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
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
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
        self.under_way = Gauge(
            "barista_requests_under_way",
            "Requests being answered now.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.degraded = Gauge(
            "barista_degraded",
            "1 while it answers from the last good state, or can't answer.",
            registry=self.registry,
            multiprocess_mode="max",
        )

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        count, time = self._counted(route, method, status)
        count.inc()
        time.observe(seconds)

    def _counted(self, route: str, method: str, status: int) -> tuple[Counter, Histogram]:
        """The counter and the histogram of these labels, looked up once."""
        found = self._children.get((route, method, status))
        if found is None:
            found = self.requests.labels(route, method, str(status)), self.seconds.labels(route)
            self._children[route, method, status] = found
        return found

    def text(self) -> bytes:
        """The exposition text: of all workers when they share a directory."""
        if self._shared is None:
            return generate_latest(self.registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone, str(self._shared))  # type: ignore[no-untyped-call]
        return generate_latest(everyone)
