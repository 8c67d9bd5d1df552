"""What a worker takes on: a bounded number of requests at once, so that under overload some are answered in time.

Without a bound every request waits for all that came before it, and soon nobody is answered before they give up. What
is beyond the bound is refused at once, by `Wire` before anything is made of it, which costs a thirtieth of an answer.
Those taken on are computed in slices, one or as many as fit into `SLICE` in each round of the event loop: between two
rounds the loop reads what has arrived and refuses what is too much, so nobody waits long for a refusal either. The
answers of a slice leave together when it ends: what computes them stays in the processor's caches meanwhile, and who
gets several is woken once. Where turns come later than `LONGEST` for as long, those that waited so long are refused:
under a bound on their number alone a slow machine would answer everybody too late (Nichols and Jacobson, "Controlling
queue delay", ACM Queue 10 (2012): what counts is the time waited, and a queue that is gone at once, as after a stall,
is no overload).
"""

import math
import time
from asyncio import AbstractEventLoop, Future, get_running_loop
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from recsys.logs import REQUEST_ID
from serving.http.envelope import enveloped
from serving.http.problems import Problem, respond
from serving.http.whole import Headers, lines_of

BOUNDED = "/v1/"
"""Paths that count; health checks and metrics are answered under overload too."""

LONGEST = 1.0
"""How long a request may wait for its turn to be computed, when others did for as long [s]."""

BURST = 4
"""So many times the bound end a burst: what a stall of the machine or some slow seconds let gather is answered soon
after, what comes as fast as that is overload."""

PATIENCE = 5.0
"""How long more than the bound may be under way before that is taken for overload [s]."""

SLICE = 0.002
"""How long requests are computed before the event loop reads again [s]; at least one is, however long it takes."""

TOLD = 1.0
"""Between two log lines about refusals [s]."""

_ID, _LENGTH = "<id>", "<length>"
"""What stands in a prepared refusal for these; no request id holds such signs."""

T = TypeVar("T")
Leaving = Callable[[], object]
"""Sends an answer and accounts for it."""

Turn = Callable[[bool], Leaving | None]
"""Answers a request in its turn, or refuses it when told that the turn did not come in time."""

LOG = structlog.get_logger("barista.admission")


class Gate:
    """How many requests of one application are under way, and whose turn it is to be computed.

    At most `limit` for long: in a burst more are taken on, until there were `BURST` times as many or `PATIENCE` has
    passed since there were `limit`. Another burst may come when half of `limit` are left.
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
        self._under_way = self._coming = self._refusals = self._said = 0
        self._free = True
        self._late_since: float | None = None
        self._crowded_since: float | None = None
        self._waiting: deque[Future[None] | tuple[Turn, float]] = deque()

    @property
    def full(self) -> bool:
        """Whether one request more would be too many, those counted that were read but not begun."""
        return self._too_many(self._under_way + self._coming)

    def _too_many(self, counted: int) -> bool:
        """Whether `counted` requests are as many as may be under way now."""
        if counted < self._limit:
            return False
        now = self._clock()
        if counted >= self._limit * BURST:
            self._crowded_since = -math.inf
        elif self._crowded_since is None:
            self._crowded_since = now
        return now - self._crowded_since >= PATIENCE

    def announce(self, loop: AbstractEventLoop) -> None:
        """A request was read; it begins before the event loop reads again."""
        if not self._coming:
            loop.call_soon(self._begun)
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

    def queue(self, turn: Turn, loop: AbstractEventLoop) -> None:
        """Take a request on that is answered within its turn, without waiting."""
        self._under_way += 1  # told when the round begins
        self._waiting.append((turn, self._clock()))
        if self._free:
            self._free, self._late_since = False, None
            loop.call_soon(self._next, loop)

    async def enter(self) -> bool:
        """Wait for the turn; False when there are too many or it took too long. Who entered must `leave`."""
        if self._too_many(self._under_way):
            return False
        self._count(1)
        loop = get_running_loop()
        if self._free:
            self._free, self._late_since = False, None
            loop.call_soon(self._next, loop)
            return True
        began, turn = self._clock(), loop.create_future()
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
        if waited <= LONGEST:
            self._late_since = None
            return False
        now = self._clock()
        if self._late_since is None:
            self._late_since = now
        return now - self._late_since >= LONGEST

    def leave(self) -> None:
        """One that entered has been answered."""
        self._count(-1)

    def _count(self, change: int) -> None:
        self._under_way += change
        self._say()

    def _say(self) -> None:
        """Tell how many are under way, if it is news; few enough end a burst."""
        if self._said != self._under_way:
            self._said = self._under_way
            self._tell(self._said)
            if self._said <= self._limit // 2:
                self._crowded_since = None

    def _next(self, loop: AbstractEventLoop) -> None:
        """A round of the event loop later: the next turns."""
        REQUEST_ID.set("")  # a round is nobody's; the loop would let it be that of the request which asked for it
        woken = False
        try:
            woken = self._give_turns(loop)
        finally:  # whatever happened in a turn, the others get theirs
            self._free = not (woken or self._waiting)
            if not self._free:
                loop.call_soon(self._next, loop)

    def _give_turns(self, loop: AbstractEventLoop) -> bool:
        """Give turns for a `SLICE`; True when the last one was that of a task, which takes it as soon as it runs."""
        self._say()
        leaving: list[Leaving | None] = []
        now = self._clock()
        until, woken = now + SLICE, False
        while self._waiting and not woken and now <= until:
            waiting = self._waiting.popleft()
            if isinstance(waiting, Future):
                woken = not waiting.done()
                if woken:
                    waiting.set_result(None)
                continue
            turn, since = waiting
            self._under_way -= 1
            leaving.append(_survived(loop, partial(turn, not self._too_late(now - since))))
            now = self._clock()
        for leave in leaving:
            if leave is not None:
                _survived(loop, leave)
        self._say()
        return woken


def _survived(loop: AbstractEventLoop, act: Callable[[], T]) -> T | None:
    """What `act` gives; its failure is told to the loop, for those that wait behind it must not fail with it."""
    try:
        return act()
    except Exception as error:
        loop.call_exception_handler({"message": "a request failed in its turn", "exception": error})
        return None


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
            await respond(overloaded(), scope["state"]["request_id"])(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._gate.leave()


def overloaded() -> Problem:
    """The refusal of a request beyond what is taken on."""
    return Problem(
        "overloaded",
        "More requests than this service can answer in time.",
        cure="Send it again after Retry-After, and fewer at once",
        headers={"Retry-After": "1"},
    )


class Refusal:
    """The same refusal as bytes, made beforehand but for the request's id."""

    def __init__(self) -> None:
        answer = enveloped(overloaded(), _ID, last=False)
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
