"""Observations put down first and handed over to Prometheus' client many at a time: there each costs two locks."""

from bisect import bisect_right
from threading import Lock

from prometheus_client import Counter, Histogram

MOST = 1_000
"""Observations that wait to be handed over at most."""


class Tally:
    """Observations of one histogram; a `counter` counts them too."""

    def __init__(self, histogram: Histogram, counter: Counter | None = None) -> None:
        self._histogram, self._counter = histogram, counter
        self._waiting: list[float] = []
        self._handing = Lock()

    def observe(self, value: float) -> None:
        """Put one observation down."""
        self._waiting.append(value)
        if len(self._waiting) >= MOST:
            self.hand_over()

    def hand_over(self) -> None:
        """Let the client have what waits, on any thread: what is put down meanwhile waits for the next time.

        The sum and the bucket of each observation are what `Histogram.observe` changes.
        """
        with self._handing:  # two threads that took the same ones would count them twice
            values = self._waiting[:]
            del self._waiting[: len(values)]
        if not values:
            return
        histogram, below = self._histogram, 0
        histogram._sum.inc(sum(values))
        values.sort()
        for bound, bucket in zip(histogram._upper_bounds, histogram._buckets, strict=True):
            upto = bisect_right(values, bound)
            if upto > below:
                bucket.inc(upto - below)
            below = upto
        if self._counter is not None:
            self._counter.inc(len(values))
