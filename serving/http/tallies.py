"""Observations put down first and handed over to Prometheus' client many at a time: there each costs two locks."""

from bisect import bisect_left
from collections import Counter as Counts

from prometheus_client import Counter, Histogram

MOST = 1_000
"""Observations that wait to be handed over at most."""


class Tally:
    """Observations of one histogram; a `counter` counts them too."""

    def __init__(self, histogram: Histogram, counter: Counter | None = None) -> None:
        self._histogram, self._counter = histogram, counter
        self._waiting: list[float] = []

    def observe(self, value: float) -> None:
        """Put one observation down."""
        self._waiting.append(value)
        if len(self._waiting) >= MOST:
            self.hand_over()

    def hand_over(self) -> None:
        """Let the client have what waits, on any thread: what is put down meanwhile waits for the next time.

        The sum and the bucket of each observation are what `Histogram.observe` changes.
        """
        values = self._waiting[:]
        del self._waiting[: len(values)]
        if not values:
            return
        histogram = self._histogram
        for at, count in Counts(bisect_left(histogram._upper_bounds, value) for value in values).items():
            histogram._buckets[at].inc(count)
        histogram._sum.inc(sum(values))
        if self._counter is not None:
            self._counter.inc(len(values))
