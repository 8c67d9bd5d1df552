"""Whose turn it is to write to a SQLite file: threads of one process by a lock, processes by asking often.

SQLite's own way to wait asks ever less often, in the end ten times a second; a process among busy ones then waits
longer than its callers do.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import uniform
from typing import Any

from recsys.store.patience import Patience

BUSY_MS = 5_000
"""How long a writer waits for another one, unless its patience is shorter [ms]."""

BETWEEN = (0.0005, 0.002)
"""Between two questions whether the other process is done [s]; at random, so that two don't ask in step."""


class Turns:
    """Turns of one process at one file."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._lock = threading.Lock()

    @property
    def wait_ms(self) -> int:
        """How long a writer waits [ms]."""
        seconds = self._patience.seconds
        return BUSY_MS if seconds is None else int(seconds * 1000)

    @contextmanager
    def mine(self) -> Iterator[None]:
        """The turn among this process's threads, for the block.

        Raises:
            sqlite3.OperationalError: none within the patience.
        """
        if not self._lock.acquire(timeout=max(0.0, self._patience.ends(BUSY_MS / 1000) - time.monotonic())):
            raise sqlite3.OperationalError("database is locked")
        try:
            yield
        finally:
            self._lock.release()

    def ask(self, connection: Any, act: Callable[[], Any]) -> Any:
        """Do what needs the file's write lock as soon as no other process holds it.

        Raises:
            sqlite3.OperationalError: one did for as long as the patience, or the act failed otherwise.
        """
        deadline = self._patience.ends(BUSY_MS / 1000)
        connection.execute("PRAGMA busy_timeout=0")
        try:
            while True:
                try:
                    return act()
                except sqlite3.OperationalError as error:
                    if not _is_busy(error) or time.monotonic() > deadline:
                        raise
                time.sleep(uniform(*BETWEEN))
        finally:
            connection.execute(f"PRAGMA busy_timeout={self.wait_ms}")


def _is_busy(error: sqlite3.OperationalError) -> bool:
    """Whether another connection is in the way, by the lower byte of the code; errors of the driver have none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
