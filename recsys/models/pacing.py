"""Long work that gives way: a thread that loads a model beside threads that answer rests after each part of it.

Threads of one interpreter take turns, and one that only computes gets every second turn: whoever answers a request in
ten short steps would wait ten times. One that rests most of the time is met by few of these steps.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class _Pace(threading.local):
    share = 1.0


_PACE = _Pace()


@contextmanager
def standing_back(share: float) -> Iterator[None]:
    """Within the block this thread works at most `share` of the time while it goes through `parts_of` something."""
    before, _PACE.share = _PACE.share, share
    try:
        yield
    finally:
        _PACE.share = before


def parts_of(parts: Iterable[T]) -> Iterator[T]:
    """The same parts; a thread that stands back rests after each in proportion to the CPU time it took."""
    share, began = _PACE.share, time.thread_time()
    for part in parts:
        yield part
        if share < 1.0:
            time.sleep((time.thread_time() - began) * (1.0 / share - 1.0))
            began = time.thread_time()
