"""The database asked for a request: none waits longer than `WITHIN`, after a failure none until a probe succeeded."""

import math
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar, TypeVarTuple, Unpack

from anyio import CapacityLimiter, fail_after
from anyio.to_thread import run_sync
from starlette.types import Scope

from recsys.errors import StoreFull, StoreUnavailable
from recsys.store.patience import begin_by
from serving.outage import Outage

WITHIN = 1.5
"""When work is given up, counted from the first that a request asks for [s]; it may still be done, which a repetition
finds out."""

FAIR = 0.5
"""What was given less time says nothing of the database when that is over [s]."""

THREADS = 40
"""How many may ask at once. They are not those of other work: what reads a file needn't wait for a stalled database."""

_ASKED_UNTIL = "asked_until"
_AGAIN = "Send it again: events and requests with an Idempotency-Key are kept once, an erasure may be repeated"
_LATER = "Ask again after Retry-After"

_Args = TypeVarTuple("_Args")
_Result = TypeVar("_Result")


class Ask(Protocol):
    """Runs work that asks the database in a thread, for the request of a scope."""

    def __call__(
        self, scope: Scope, work: Callable[[Unpack[_Args]], _Result], /, *arguments: *_Args
    ) -> Awaitable[_Result]:
        """What the work gives."""


async def unbounded(_scope: Scope, work: Callable[[Unpack[_Args]], _Result], /, *arguments: *_Args) -> _Result:
    """`Ask` that waits as long as it takes."""
    return await run_sync(work, *arguments)


def asked_until(scope: Scope) -> float:
    """When a request stops waiting for the database [s of `time.monotonic`]; its time begins with the first call."""
    state = scope.setdefault("state", {})
    if _ASKED_UNTIL not in state:
        state[_ASKED_UNTIL] = time.monotonic() + WITHIN
    until: float = state[_ASKED_UNTIL]
    return until


def time_is_up(scope: Scope) -> float:
    """When a request that has asked the database already stops waiting for it; never for another one."""
    until: float = scope["state"].get(_ASKED_UNTIL, math.inf)
    return until


def seconds_left(scope: Scope) -> float:
    """How long a request may still wait for the database [s]."""
    return max(0.0, asked_until(scope) - time.monotonic())


class Asking:
    """`Ask` that knows whether the database is lost, and tells when it is."""

    def __init__(self, outage: Outage) -> None:
        self._outage = outage
        self._threads: CapacityLimiter | None = None

    async def __call__(self, scope: Scope, work: Callable[[Unpack[_Args]], _Result], /, *arguments: *_Args) -> _Result:
        """What the work gives.

        Raises:
            StoreUnavailable: the database is lost, which is found out within `WITHIN` and then known at once.
            StoreFull: no space is left; nothing was kept.
        """
        if self._outage.now:
            raise no_database(scope)
        seconds = seconds_left(scope)
        try:
            with fail_after(seconds):
                return await self._run(scope, work, *arguments)
        except TimeoutError:
            late = StoreUnavailable(f"The database did not answer in time{_kept(scope)}", cure=_cure(scope))
            if seconds >= FAIR:
                self._outage.begin(late)
            raise late from None
        except StoreUnavailable as error:
            raise self._failed(scope, error) from error

    async def at_length(self, scope: Scope, work: Callable[[Unpack[_Args]], _Result], /, *arguments: *_Args) -> _Result:
        """What work gives that may be long: it is begun in time or not at all, and goes on while the database answers.

        Raises:
            StoreUnavailable: the database is lost.
        """
        if self._outage.now:
            raise no_database(scope)
        try:
            return await self._run(scope, work, *arguments)
        except StoreUnavailable as error:
            raise self._failed(scope, error) from error

    async def _run(self, scope: Scope, work: Callable[[Unpack[_Args]], _Result], /, *arguments: *_Args) -> _Result:
        if self._threads is None:
            self._threads = CapacityLimiter(THREADS)
        until = asked_until(scope)

        def begin() -> _Result:
            with begin_by(until):
                return work(*arguments)

        return await run_sync(begin, abandon_on_cancel=True, limiter=self._threads)

    def _failed(self, scope: Scope, error: StoreUnavailable) -> StoreUnavailable:
        """The answer to a request whose work the database failed."""
        self._outage.begin(error)
        if isinstance(error, StoreFull):
            return error
        return StoreUnavailable(f"The database failed{_kept(scope)}", cure=_cure(scope))


def no_database(scope: Scope) -> StoreUnavailable:
    """The answer to a request nobody can do now."""
    said = "" if _reads(scope) else "; nothing was kept"
    return StoreUnavailable(f"The database can't be reached{said}", cure=_cure(scope))


def _kept(scope: Scope) -> str:
    """What may have become of a write."""
    return "" if _reads(scope) else "; it may be kept all the same"


def _cure(scope: Scope) -> str:
    return _LATER if _reads(scope) else _AGAIN


def _reads(scope: Scope) -> bool:
    """Whether a request changes nothing."""
    return scope.get("method") in {"GET", "HEAD"}
