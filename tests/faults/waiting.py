"""Waiting for what a service will do."""

import time
from collections.abc import Callable


def holds_within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether it holds within so many seconds."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
