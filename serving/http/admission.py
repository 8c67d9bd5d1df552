"""What a worker takes on: a bounded number of requests at once, so that under overload some are answered in time.

Without a bound every request waits for all that came before it, and soon nobody is answered before they give up. What
is beyond the bound is refused at once, by `Wire` before anything is made of it, which costs a thirtieth of an answer.
Those taken on are computed one in each round of the event loop: between two of them the loop reads what has arrived
and refuses what is too much, so nobody waits long for a refusal either. Where turns come later than `LONGEST` for as
long, those that waited so long are refused: under a bound on their number alone a slow machine would answer everybody
too late (Nichols and Jacobson, "Controlling queue delay", ACM Queue 10 (2012): what counts is the time waited, and a
queue that is gone at once, as after a stall, is no overload).
"""

import time
from asyncio import Future, get_running_loop
from collections import deque
from collections.abc import Callable

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.http.envelope import SECURITY_HEADERS
from serving.http.problems import Problem, respond
from serving.http.whole import Headers, lines_of

BOUNDED = "/v1/"
"""Paths that count; health checks and metrics are answered under overload too."""

LONGEST = 0.5
"""How long a request may wait for its turn to be computed, when others did for as long [s]."""

BURST = 4
"""So many times the bound are taken on while it has not been reached for `PATIENCE`: what a stall of the machine let
gather is answered soon after it."""

PATIENCE = 1.0
"""How long more than the bound may be under way before that is taken for overload [s]."""

TOLD = 1.0
"""Between two log lines about refusals [s]."""

_ID, _LENGTH = "<id>", "<length>"
"""What stands in a prepared refusal for these; no request id holds such signs."""

LOG = structlog.get_logger("barista.admission")


class Gate:
    """How many requests of one application are under way, and whose turn it is to be computed.

    At most `limit` for long: a burst may bring `BURST` times as many, until `PATIENCE` has passed since there were
    `limit`. It ends when half of `limit` are left.
    `under_way` is told their number when it changes, `refused` the method of each request refused without the
    application.
    """

    def __init__(
        self,
        limit: int,
        under_way: Callable[[int], object],
        refused: Callable[[str], object] = lambda _method: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit, self._tell, self._refused, self._clock = limit, under_way, refused, clock
        self._under_way = self._coming = self._refusals = 0
        self._free = True
        self._late_since: float | None = None
        self._crowded_since: float | None = None
        self._waiting: deque[Future[None]] = deque()

    @property
    def full(self) -> bool:
        """Whether one request more would be too many, those counted that were read but not begun."""
        return self._too_many(self._under_way + self._coming)

    def _too_many(self, counted: int) -> bool:
        """Whether `counted` requests are as many as may be under way now."""
        if counted < self._limit:
            return False
        if self._crowded_since is None:
            self._crowded_since = self._clock()
        return counted >= self._limit * BURST or self._clock() - self._crowded_since >= PATIENCE

    def announce(self) -> None:
        """A request was read; it begins before the event loop reads again."""
        if not self._coming:
            get_running_loop().call_soon(self._begun)
        self._coming += 1

    def _begun(self) -> None:
        """All that were announced begin now and are counted as they do."""
        self._coming = 0

    def refuse(self, method: str) -> None:
        """Note that one was refused; one log line a `TOLD` says how many."""
        self._refused(method)
        if not self._refusals:
            get_running_loop().call_later(TOLD, self._tell_refusals)
        self._refusals += 1

    def _tell_refusals(self) -> None:
        LOG.warning("overloaded", refused=self._refusals, seconds=TOLD)
        self._refusals = 0

    async def enter(self) -> bool:
        """Wait for the turn; False when there are too many or it took too long. Who entered must `leave`."""
        if self._too_many(self._under_way):
            return False
        self._count(1)
        if self._free:
            self._free, self._late_since = False, None
            get_running_loop().call_soon(self._next)
            return True
        began, turn = self._clock(), get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            self.leave()
            raise
        if not self._too_late(self._clock() - began):
            return True
        self.leave()
        return False

    def _too_late(self, waited: float) -> bool:
        """Whether turns have come late for too long to give one more to who waited."""
        now = self._clock()
        if waited <= LONGEST:
            self._late_since = None
            return False
        if self._late_since is None:
            self._late_since = now
        return now - self._late_since >= LONGEST

    def leave(self) -> None:
        """One that entered has been answered."""
        self._count(-1)
        if self._crowded_since is not None and self._under_way <= self._limit // 2:
            self._crowded_since = None

    def _count(self, change: int) -> None:
        self._under_way += change
        self._tell(self._under_way)

    def _next(self) -> None:
        """A round of the event loop later: the next one's turn."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                get_running_loop().call_soon(self._next)
                return
        self._free = True


class Admission:
    """ASGI middleware: requests that count go through the gate or are refused."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith(BOUNDED):
            await self._app(scope, receive, send)
            return
        if not await self._gate.enter():
            await respond(_overloaded(), scope["state"]["request_id"])(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._gate.leave()


def _overloaded() -> Problem:
    return Problem(
        "overloaded",
        "More requests than this service can answer in time.",
        cure="Send it again after Retry-After, and fewer at once",
        headers={"Retry-After": "1"},
    )


class Refusal:
    """The same refusal as bytes, made beforehand but for the request's id."""

    def __init__(self) -> None:
        answer = respond(_overloaded(), _ID)
        answer.headers.update(SECURITY_HEADERS | {"Cache-Control": "no-store", "X-Request-Id": _ID})
        answer.headers["Content-Length"] = _LENGTH
        self._head = b"HTTP/1.1 503 Service Unavailable\r\n" + lines_of(answer.raw_headers)
        self._body = bytes(answer.body)

    def of(self, request_id: str, more: Headers, *, close: bool) -> bytes:
        """The whole answer to a request, with `more` headers; `close` says that the connection ends with it."""
        given = request_id.encode()
        body = self._body.replace(_ID.encode(), given)
        head = self._head.replace(_ID.encode(), given).replace(_LENGTH.encode(), b"%d" % len(body))
        fields = [*more, (b"connection", b"close")] if close else more
        return b"".join((head, lines_of(fields), b"\r\n", body))
