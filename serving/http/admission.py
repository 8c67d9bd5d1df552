"""What a worker takes on: a bounded number of requests at once, so that under overload some are answered in time.

Without a bound every request waits for all that came before it, and soon nobody is answered before they give up. What
is beyond the bound is refused at once, which costs a tenth of an answer.
"""

from asyncio import sleep
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.http.problems import Problem, respond

BOUNDED = "/v1/"
"""Paths that count; health checks and metrics are answered under overload too."""


class Admission:
    """ASGI middleware: at most `limit` requests under way; `under_way` is told their number when it changes."""

    def __init__(self, app: ASGIApp, limit: int, under_way: Callable[[int], object]) -> None:
        self._app, self._limit, self._tell = app, limit, under_way
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith(BOUNDED):
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._limit:
            await respond(_overloaded(), scope["state"]["request_id"])(scope, receive, send)
            return
        self._count(1)
        try:
            await sleep(0)  # what has arrived meanwhile is counted before anything is computed
            await self._app(scope, receive, send)
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self._under_way += change
        self._tell(self._under_way)


def _overloaded() -> Problem:
    return Problem(
        "overloaded",
        "More requests than this service can answer in time.",
        cure="Send it again after Retry-After, and fewer at once",
        headers={"Retry-After": "1"},
    )
