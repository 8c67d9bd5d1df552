"""How long a program waits for its database."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from recsys.errors import StoreUnavailable


class _Mine(threading.local):
    """What this thread was told: when it stops waiting [s of `time.monotonic`]."""

    by = math.inf


_MINE = _Mine()


@contextmanager
def begin_by(instant: float) -> Iterator[None]:
    """In the block this thread waits for no database after an instant [s of `time.monotonic`].

    An earlier one set around the block stays. What has `begun` till then goes on to its end.
    """
    before = _MINE.by
    _MINE.by = min(before, instant)
    try:
        yield
    finally:
        _MINE.by = before


def within(seconds: float) -> AbstractContextManager[None]:
    """`begin_by` so many seconds from now."""
    return begin_by(time.monotonic() + seconds)


def begun() -> None:
    """What this thread does from here on ends, in its own time: nobody knows how much of it was done otherwise.

    Raises:
        StoreUnavailable: nobody waits for it any more; nothing was done.
    """
    if time.monotonic() > _MINE.by:
        raise StoreUnavailable("The database did not answer in time")
    _MINE.by = math.inf


@dataclass
class Patience:
    """How long one answer of the server may take [s]; None: for ever."""

    seconds: float | None = None

    def ends(self, default: float = math.inf) -> float:
        """When a wait that begins now is given up [s of `time.monotonic`]; `default` [s] counts without patience."""
        seconds = default if self.seconds is None else self.seconds
        return min(time.monotonic() + seconds, _MINE.by)
