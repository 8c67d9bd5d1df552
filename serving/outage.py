"""Whether the database answers, as this worker knows: after a failure nobody waits for it until a probe succeeded."""

import threading
from collections.abc import Callable

import structlog

from recsys.errors import StoreError

LOG = structlog.get_logger("barista.outage")

PAUSE = 0.5
"""Between two probes [s]."""

PATIENCE = 1.0
"""How long a service waits for one answer of its database [s]."""


class Outage:
    """Begins with the first failure, ends when `probe` (called from a thread of its own) raises no `StoreError`."""

    def __init__(self, probe: Callable[[], object]) -> None:
        self._probe = probe
        self._lock = threading.Lock()
        self.now = False

    def begin(self, error: StoreError) -> None:
        """The database failed."""
        with self._lock:
            if self.now:
                return
            self.now = True
        LOG.error("database lost", error=error.what)
        threading.Thread(target=self._watch, name="outage", daemon=True).start()

    def _watch(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(PAUSE)
            try:
                self._probe()
            except StoreError:
                continue
            self.now = False
            LOG.info("database found")
            return
