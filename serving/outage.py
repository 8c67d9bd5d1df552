"""Whether the database answers, as this worker knows: after a failure nobody waits for it until a probe succeeded."""

import threading
import time
from collections.abc import Callable

import structlog

from recsys.errors import StoreError, StoreFull

LOG = structlog.get_logger("barista.outage")

PAUSE = 0.5
"""Between two probes [s]."""

FULL = 5.0
"""How long after a write that found no space the disk is said to be full [s]."""


class Outage:
    """Begins with the first failure, ends when `probe` (called from a thread of its own) raises no `StoreError`.

    A full disk is none: it can be read, and a write finds out at once whether there is space again. What is in `ended`
    is called by that thread after the end.
    """

    def __init__(self, probe: Callable[[], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._probe, self._clock = probe, clock
        self._lock = threading.Lock()
        self._full_until = float("-inf")
        self.now = False
        self.ended: list[Callable[[], object]] = []

    @property
    def full(self) -> bool:
        """Whether a write found no space just now."""
        return self._clock() < self._full_until

    def begin(self, error: StoreError) -> None:
        """The database failed."""
        if isinstance(error, StoreFull):
            self._no_space(error)
            return
        with self._lock:
            if self.now:
                return
            self.now = True
            try:
                threading.Thread(target=self._watch, name="outage", daemon=True).start()
            except RuntimeError:  # no thread to be had: nobody would find out that it ended, so the next failure tries
                self.now = False
        LOG.error("database lost", error=error.what)

    def _no_space(self, error: StoreFull) -> None:
        if not self.full:
            LOG.error("database full", error=error.what)
        self._full_until = self._clock() + FULL

    def _watch(self) -> None:
        pause = threading.Event()
        while self.now:
            pause.wait(PAUSE)
            self.now = not self._answers()
        LOG.info("database found")
        for each in self.ended:
            each()

    def _answers(self) -> bool:
        """Whether the probe succeeds; whatever goes wrong in it, it is made again."""
        try:
            self._probe()
        except Exception:
            return False
        return True
