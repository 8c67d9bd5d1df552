"""What is told of a request that was answered, and to whom."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol


class Told(NamedTuple):
    """An answered request; `started` and `ended` [s of `time.perf_counter`], `state` of its ASGI scope."""

    route: str
    method: str
    status: int
    started: float
    ended: float
    headers: Sequence[tuple[bytes, bytes]]
    state: Mapping[str, Any]


class Tracing(Protocol):
    """Where the requests of one process are told to."""

    def tell(self, told: Told) -> None:
        """One request was answered; never raises, never waits."""

    def stop(self) -> None:
        """The process ends."""
