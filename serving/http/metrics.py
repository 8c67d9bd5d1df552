"""Prometheus metrics of one process, or of all workers when PROMETHEUS_MULTIPROC_DIR was set before the import."""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Literal

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from serving.http.tallies import Tally
from serving.laps import STAGES, Laps
from serving.shadow import Seen

SECONDS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.5)
"""Upper bounds of the duration buckets [s]."""

TENTHS = tuple(tenth / 10 for tenth in range(11))
"""Upper bounds of buckets of shares."""

SCORES = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 10.0, 100.0, 1_000.0)
"""Upper bounds of buckets of probabilities and amounts."""

SWAP_SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets of swaps [s]."""

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """What is counted; labels hold routes and outcomes, never ids.

    askings   called before the counts are seen, one after the other: they bring in what is counted elsewhere
    """

    def __init__(self, shared: Path | None = None) -> None:
        self._shared = shared
        self.registry = CollectorRegistry()
        self._handing = Lock()
        self.askings: list[Callable[[], object]] = []
        self._tallies: dict[tuple[str, str, int], Tally] = {}
        self._count_requests()
        self._count_states()
        self._count_challengers()
        self.spans_lost = self._counter("spans_lost", "Spans the collector did not get, by why.", "why")

    def _count_requests(self) -> None:
        self.requests = self._counter("requests", "Requests answered.", "route", "method", "status")
        self.seconds = self._histogram("request_seconds", "Time to answer.", SECONDS, "route")
        stages = self._histogram("stage_seconds", "Time of a stage of an answer.", SECONDS, "stage")
        self._stages = {stage: Tally(stages.labels(stage)) for stage in STAGES}
        self.events = self._counter("events", "Events reported.", "outcome")
        self.decisions = self._counter("decisions", "Decisions answered, by where they were kept.", "kept")
        self.not_modified = self._counter("not_modified", "Scores the caller had already, answered without scoring.")
        says = "Newer orders of a customer needed: hit when they were still remembered, miss when they had to be read."
        self.remembered = self._counter("remembered_orders", says, "result")
        self.remembered_bytes = self._gauge("remembered_bytes", "What remembered newer orders take.", "livesum")
        self.under_way = self._gauge("requests_under_way", "Requests being answered now.", "livesum")

    def _count_states(self) -> None:
        self.swaps = self._counter("swaps", "Attempts to open a changed state.", "result")
        says = "Time to open a changed state, beside the requests it does not hold up."
        self.swap_seconds = self._histogram("swap_seconds", says, SWAP_SECONDS)
        says = "Changed states and champions not taken over, by kind of error."
        self.refusals = self._counter("refusals", says, "reason")
        says = "1 while it answers from the last good state, or can't answer."
        self.degraded = self._gauge("degraded", says, "max")
        says = "1 while MLflow answers the puller, 0 while the last good bundles serve without it."
        self.registry_reached = self._gauge("registry_reached", says, "min")
        self.registry_reached.set(1)

    def _count_challengers(self) -> None:
        pair = ("model", "challenger")
        self.shadow = self._counter("shadow_requests", "Live requests taken up for challengers.", "fate")
        says = "Share of the champion's offers that the challenger would have made too."
        self.shadow_overlap = self._histogram("shadow_overlap", says, TENTHS, *pair)
        says = "1 - Spearman's correlation of champion's and challenger's order of the candidates."
        self.shadow_distance = self._histogram("shadow_rank_distance", says, TENTHS, *pair)
        says = "Scores told, and those of the challenger."
        self.shadow_score = self._histogram("shadow_score", says, SCORES, *pair, "by")
        says = "How far the challenger's score is off."
        self.shadow_difference = self._histogram("shadow_difference", says, SCORES, *pair)

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"barista_{name}", says, labels, registry=self.registry)

    def _histogram(self, name: str, says: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"barista_{name}", says, labels, buckets=buckets, registry=self.registry)

    def _gauge(self, name: str, says: str, together: Literal["max", "min", "livesum"]) -> Gauge:
        """`together`: what of the workers' values is told."""
        return Gauge(f"barista_{name}", says, registry=self.registry, multiprocess_mode=together)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        tally = self._tallies.get((route, method, status))
        if tally is None:
            tally = Tally(self.seconds.labels(route), self.requests.labels(route, method, str(status)))
            self._tallies[route, method, status] = tally
        tally.observe(seconds)

    def stages(self, laps: Laps) -> None:
        """Note how long the stages of an answer took."""
        before = laps.start
        for stage, end in laps.ends:
            self._stages[stage].observe(end - before)
            before = end

    def hand_over(self) -> None:
        """Let everyone see what this process counted; called every second, and at the end."""
        with self._handing:
            for ask in self.askings:
                ask()
            for tally in (*self._tallies.values(), *self._stages.values()):
                tally.hand_over()

    def seen(self, seen: Seen) -> None:
        """Note one request by champion and challenger."""
        pair = seen.model, seen.version
        self.shadow_score.labels(*pair, "champion").observe(seen.champion)
        self.shadow_score.labels(*pair, "challenger").observe(seen.challenger)
        self.shadow_difference.labels(*pair).observe(abs(seen.challenger - seen.champion))
        if seen.overlap is not None and seen.distance is not None:
            self.shadow_overlap.labels(*pair).observe(seen.overlap)
            self.shadow_distance.labels(*pair).observe(seen.distance)

    def sums(self, name: str) -> dict[tuple[str, ...], float]:
        """Values of the samples called `name`, of all workers, by label values in the order of the labels' names."""
        self.hand_over()
        found: dict[tuple[str, ...], float] = {}
        for family in self._everyone().collect():
            for sample in family.samples:
                if sample.name == name:
                    values = tuple(sample.labels[label] for label in sorted(sample.labels))
                    found[values] = found.get(values, 0.0) + sample.value
        return found

    def text(self) -> bytes:
        """The exposition text: of all workers when they share a directory, the others as they last handed over."""
        self.hand_over()
        return generate_latest(self._everyone())

    def _everyone(self) -> CollectorRegistry:
        if self._shared is None:
            return self.registry
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone, str(self._shared))  # type: ignore[no-untyped-call]
        return everyone
