"""How many requests a caller may make: workers lease blocks from the store and hand them out one by one."""

import math
import time
from asyncio import Lock
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from anyio import fail_after
from starlette.types import Scope

from recsys.errors import StoreUnavailable
from recsys.store import LimitStore
from recsys.store.limits import Lease, ahead
from serving.http.asking import Ask, seconds_left, unbounded
from serving.http.problems import Problem

MOST_CALLERS = 10_000
"""Callers remembered at once; there are as many as keys."""

LOG = structlog.get_logger("barista.limits")


@dataclass(slots=True)
class _Share:
    """What this worker may still let pass of a caller's window, and what nobody had leased when it last asked."""

    window: int
    tokens: int = 0
    left: int = 1
    lock: Lock = field(default_factory=Lock)


class Limiter:
    """At most `quota` requests a caller in each window of `seconds`, counted over all workers of all hosts.

    With the store down each worker allows the quota by itself: answering comes before limiting.
    """

    def __init__(
        self,
        quota: int,
        seconds: int,
        store: Callable[[], LimitStore],
        clock: Callable[[], float] = time.time,
        ask: Ask = unbounded,
    ) -> None:
        self._quota, self._seconds, self._store, self._clock, self._ask = quota, seconds, store, clock, ask
        self._shares: dict[str, _Share] = {}

    @property
    def limits(self) -> bool:
        """Whether there is a quota at all."""
        return self._quota > 0

    @property
    def policy(self) -> str:
        """The `RateLimit-Policy` header."""
        return f'"requests";q={self._quota};w={self._seconds}'

    async def take(self, caller: str, scope: Scope) -> dict[str, str]:
        """Let one request of `caller`, that of `scope`, pass; the headers that tell it how many more may.

        Raises:
            Problem: 429 when the window is used up, with `Retry-After`.
        """
        if not self._quota:
            return {}
        share = self._share(caller)
        if not share.tokens and share.left:
            await self._wait_for_block(caller, share, scope)
        return self._pass(share)

    async def _wait_for_block(self, caller: str, share: _Share, scope: Scope) -> None:
        """Lease a block, or wait for the one another request leases; the wait counts as one for the database."""
        try:
            with fail_after(seconds_left(scope)):
                await share.lock.acquire()
        except TimeoutError:
            self._alone(share)
            return
        try:
            if not share.tokens and share.left:
                await self._lease(caller, share, scope)
        finally:
            share.lock.release()

    def at_once(self, caller: str) -> dict[str, str] | None:
        """As `take`, without waiting: None, and nothing taken, where a block has to be leased from the store."""
        share = self._share(caller)
        return self._pass(share) if share.tokens or not share.left else None

    def _pass(self, share: _Share) -> dict[str, str]:
        passed = share.tokens > 0
        share.tokens -= passed
        headers = self._headers(share)
        if not passed:
            raise self._too_many(headers)
        return headers

    def _share(self, caller: str) -> _Share:
        """The caller's share of the window that runs now."""
        window = int(self._clock() // self._seconds)
        share = self._shares.get(caller)
        if share is None or not window <= share.window <= window + ahead(self._seconds):
            if len(self._shares) >= MOST_CALLERS:
                self._shares.clear()
            share = self._shares[caller] = _Share(window)
        return share

    async def _lease(self, caller: str, share: _Share, scope: Scope) -> None:
        try:
            lease = await self._ask(scope, self._new_lease, caller, share.window)
        except StoreUnavailable:
            self._alone(share)
            return
        share.window = lease.window
        share.tokens += lease.granted
        share.left = lease.left

    def _alone(self, share: _Share) -> None:
        """Let the whole quota pass here, whatever other workers do."""
        LOG.warning("limits not shared")
        share.tokens, share.left = self._quota, 0

    def _new_lease(self, caller: str, window: int) -> Lease:
        return self._store().lease(caller, window, self._quota, self._seconds)

    def _headers(self, share: _Share) -> dict[str, str]:
        ends = (share.window + 1) * self._seconds - self._clock()
        remaining = f'"requests";r={share.tokens + share.left};t={max(0, math.ceil(ends))}'
        return {"RateLimit-Policy": self.policy, "RateLimit": remaining}

    def _too_many(self, headers: dict[str, str]) -> Problem:
        wait = headers["RateLimit"].rpartition("t=")[2]
        return Problem(
            "too-many-requests",
            "The key has made all its requests of this window.",
            expected=f"at most {self._quota} requests in {self._seconds} seconds",
            cure="Wait as long as Retry-After says",
            headers={"Retry-After": str(max(1, int(wait)))} | headers,
        )
