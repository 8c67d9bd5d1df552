"""One connection: answers leave it in one piece, and what is no HTTP at all or too much never reaches the application.

Bytes that no request can be made of are answered by a problem too; requests beyond the bound of the application's gate
are refused before anything is made of them.
"""

import asyncio
import time
from contextvars import Context
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from serving.http.admission import BOUNDED, Gate, Leaving, Refusal
from serving.http.direct import Way
from serving.http.envelope import Account, RequestIds, enveloped
from serving.http.problems import Problem
from serving.http.prompt import Prompts, Whole
from serving.http.whole import WHOLE, bytes_of, lines_of

_REFUSED = SimpleNamespace(response_complete=True, message_event=SimpleNamespace(set=lambda: None))
"""Stands for the answered request of a connection that was refused so far."""

_PLAIN = {b"GET", b"POST", b"DELETE"}


_lines_of = lru_cache(1)(lines_of)
"""For the server's own headers, which are the same for all answers of a second."""

_BOUNDED = BOUNDED.encode()

ONCE = (b"host", b"authorization", b"content-type", b"idempotency-key")
"""Headers that decide what is done, and for whom; no lists."""

LOG = structlog.get_logger("barista.wire")


class Wire(HttpToolsProtocol):
    """One connection of the service.

    gate      that of the application, None where each tenant has its own
    prompts   the operations whose answers need no task, None where there is none
    account   told of each of these answers
    """

    gate: Gate | None = None
    prompts: Prompts | None = None
    account: Account | None = None
    ids = RequestIds()
    _refusal = Refusal()
    _fault: Problem | None = None
    _broken = False

    def on_headers_complete(self) -> None:
        """Begin with a request whose head is read, or refuse it."""
        gate = self.gate
        if gate is not None and gate.full and self.url.startswith(_BOUNDED) and self._may_refuse():
            self._refuse(gate)
            return
        self._look_at_names()
        super().on_headers_complete()

    def _look_at_names(self) -> None:
        """Raise, so that it is answered 400, for a request that two readers could understand differently.

        Source: RFC 9112, section 3.2, for Host; RFC 9110, section 5.3: only fields that are lists may come twice.
        """
        headers = self.headers
        names = {name for name, _ in headers}
        if len(names) < len(headers):
            given = [name for name, _ in headers]
            twice = next((name for name in ONCE if given.count(name) > 1), None)
            if twice is not None:
                said = f"The header {twice.decode().title()} is given twice."
                self._fault = Problem("malformed-request", said, "two of it", "one", "Send it once")
                raise ValueError("twice")
        if b"host" not in names and self.parser.get_http_version() == "1.1":
            self._fault = Problem("malformed-request", "There is no Host header.", "none", "one", "Send it")
            raise ValueError("no host")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Begin with a request: wait for its turn where it is answered in it, else by a task of the application."""
        scope: Any = cycle.scope
        gate, prompts = self.gate, self.prompts
        if gate is not None and scope["path"].startswith(BOUNDED):
            way = prompts.find(scope) if prompts is not None and not gate.full else None
            if way is not None:
                gate.queue(partial(self._answer, cycle, app, way, time.perf_counter()), self.loop)
                return
            gate.announce(self.loop)
        self._start_task(cycle, app)

    def _start_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Let the application answer, in one piece where it can."""
        scope: Any = cycle.scope
        scope[WHOLE] = partial(_write, cycle)
        # the request before it on this connection may be who calls: nothing of that one is this one's
        Context().run(super()._start_asgi_task, cycle, app)

    def _answer(self, cycle: RequestResponseCycle, app: Any, way: Way, started: float, in_time: bool) -> Leaving | None:
        """The answer to a request in its turn, ready to leave; None where the application has to make it."""
        prompts, scope = cast(Prompts, self.prompts), cast(Scope, cycle.scope)
        whole = None
        if _writable(cycle):
            whole = prompts.answer(way, scope) if in_time else prompts.refuse(scope)
        if whole is None:
            self._start_task(cycle, app)
            return None
        return partial(self._leave, cycle, whole, started)

    def _leave(self, cycle: RequestResponseCycle, whole: Whole, started: float) -> None:
        _write(cycle, *whole)
        account = cast(Account, self.account)
        account.tell(cast(Scope, cycle.scope), whole.status, started, time.perf_counter())

    def _may_refuse(self) -> bool:
        """Whether a refusal may leave here and now.

        Not before the answers to former requests of the connection, not to who does not read them, and not to a page
        of another origin, which could not read it.
        """
        answered = self.cycle is None or self.cycle.response_complete
        plain = self.parser.get_method() in _PLAIN and not self.parser.should_upgrade()
        page = any(name == b"origin" for name, _ in self.headers)
        return answered and plain and not page and not self.flow.write_paused

    def _refuse(self, gate: Gate) -> None:
        """Answer 503; what follows of the request is read and forgotten."""
        self.cycle = cast(RequestResponseCycle, _REFUSED)
        keeps = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        close = not keeps or self.expect_100_continue  # who waited for a 100 may send the body or leave it
        more = self.server_state.default_headers
        self.transport.write(self._refusal.of(self.ids.of(cast(Scope, self.scope)), more, close=close))
        gate.refuse(self.parser.get_method().decode())
        if close:
            self.transport.close()
        self.on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  the parser's words may repeat what was sent
        """Answer bytes that can't be read as HTTP, after the answers to the requests before them, and close."""
        if self._broken:
            return
        self._broken, request_id = True, uuid4().hex
        LOG.warning("malformed request", request_id=request_id)
        problem = self._fault or Problem("malformed-request", "The request is no HTTP/1.1.", cure="Send HTTP/1.1")
        answer = enveloped(problem, request_id, last=True)
        newest = self.cycle
        if self.pipeline and newest.more_body:
            self.pipeline.popleft()  # it is its body that is broken
        elif not self.pipeline and (newest is None or newest.response_complete or newest.more_body):
            self.transport.write(bytes_of(answer))
            self.transport.close()
            return
        self.flow.pause_reading()
        self.pipeline.appendleft((self._last(), cast(Any, answer)))

    def _last(self) -> RequestResponseCycle:
        """Stands in the line of requests for the one that can't be read, and is the last of the connection."""
        return RequestResponseCycle(
            scope=cast(Any, {**self.scope, "method": "GET", "path": "", "raw_path": b"", "query_string": b""}),
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self.on_response_complete,
        )


def _writable(cycle: Any) -> bool:
    """Whether a whole answer may leave now, and the connection goes on after it."""
    paused = cycle.flow.write_paused or cycle.disconnected or cycle.response_started
    return not paused and cycle.keep_alive and cycle.scope["method"] != "HEAD"


def _write(cycle: Any, status: int, head: bytes, body: bytes) -> bool:
    """What uvicorn's `send` does with the two messages of a whole answer; False where it would do more than that."""
    if not _writable(cycle):
        return False
    cycle.response_started, cycle.waiting_for_100_continue, cycle.chunked_encoding = True, False, False
    defaults = _lines_of(tuple(cycle.default_headers))
    cycle.transport.write(b"".join((STATUS_LINE[status], defaults, head, b"\r\n", body)))
    cycle.response_complete = True
    cycle.message_event.set()
    cycle.on_response()
    return True


def wire_of(app: ASGIApp) -> type[Wire]:
    """The connections of an application, with what is its own."""
    own: dict[str, Any] = {"ids": RequestIds()}
    if isinstance(app, FastAPI):
        own |= {"gate": app.state.gate, "prompts": app.state.prompts, "account": app.state.account}
    return type("Wire", (Wire,), own)
