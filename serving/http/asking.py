"""The database asked for a request: none waits longer than `WITHIN`, after a failure none until a probe succeeded."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar, TypeVarTuple, Unpack

from anyio import fail_after
from anyio.to_thread import run_sync

from recsys.errors import StoreFull, StoreUnavailable
from serving.outage import Outage

WITHIN = 1.5
"""When work is given up [s]; it may still be done, which a repetition finds out."""

_AGAIN = "Send it again: events and requests with an Idempotency-Key are kept once, an erasure may be repeated"

_Args = TypeVarTuple("_Args")
_Result = TypeVar("_Result")


class Ask(Protocol):
    """Runs work that asks the database in a thread."""

    def __call__(self, work: Callable[[Unpack[_Args]], _Result], /, *arguments: *_Args) -> Awaitable[_Result]:
        """What the work gives."""


class Asking:
    """`Ask` that knows whether the database is lost, and tells when it is."""

    def __init__(self, outage: Outage) -> None:
        self._outage = outage

    async def __call__(self, work: Callable[[Unpack[_Args]], _Result], /, *arguments: *_Args) -> _Result:
        """What the work gives.

        Raises:
            StoreUnavailable: the database is lost, which is found out within `WITHIN` and then known at once.
            StoreFull: no space is left; nothing was kept.
        """
        if self._outage.now:
            raise no_database()
        try:
            with fail_after(WITHIN):
                return await run_sync(work, *arguments, abandon_on_cancel=True)
        except TimeoutError:
            late = StoreUnavailable("The database did not answer in time; it may be kept all the same", cure=_AGAIN)
            self._outage.begin(late)
            raise late from None
        except StoreUnavailable as error:
            self._outage.begin(error)
            if isinstance(error, StoreFull):
                raise
            raise no_database() from error


def no_database() -> StoreUnavailable:
    """The answer to a request nobody can do now."""
    return StoreUnavailable("The database can't be reached; nothing was kept", cure=_AGAIN)
