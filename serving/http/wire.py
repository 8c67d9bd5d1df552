"""One connection: answers leave it in one piece, and what is no HTTP at all or too much never reaches the application.

Bytes that no request can be made of are answered by a problem too; requests beyond the bound of the application's gate
are refused before anything is made of them.
"""

from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

from fastapi import FastAPI
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from serving.http.admission import BOUNDED, Gate, Refusal
from serving.http.envelope import SECURITY_HEADERS, request_id_of
from serving.http.problems import Problem, respond
from serving.http.whole import WHOLE, lines_of

_REFUSED = SimpleNamespace(response_complete=True, message_event=SimpleNamespace(set=lambda: None))
"""Stands for the answered request of a connection that was refused so far."""

_PLAIN = {b"GET", b"POST", b"DELETE"}


class Wire(HttpToolsProtocol):
    """One connection of the service; `gate` is that of the application, None where each tenant has its own."""

    gate: Gate | None = None
    _refusal = Refusal()

    def on_headers_complete(self) -> None:
        """Begin with a request whose head is read, its answer to be written in one piece, or refuse it."""
        if self.gate is not None and self.url.startswith(BOUNDED.encode()):
            if self.gate.full and self._may_refuse():
                self._refuse(self.gate)
                return
            self.gate.announce()
        super().on_headers_complete()
        cycle = self.cycle
        scope: Any = self.scope
        scope[WHOLE] = lambda status, head, body: _write(cycle, status, head, body)

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
        self.transport.write(self._refusal.of(request_id_of(cast(Scope, self.scope)), more, close=close))
        gate.refuse(self.parser.get_method().decode())
        if close:
            self.transport.close()
        self.on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  the parser's words may repeat what was sent
        """Answer bytes that can't be read as HTTP, and close."""
        request_id = uuid4().hex
        answer = respond(Problem("malformed-json", "The request is no HTTP/1.1.", cure="Send HTTP/1.1"), request_id)
        answer.headers.update(SECURITY_HEADERS | {"X-Request-Id": request_id, "Connection": "close"})
        head = b"HTTP/1.1 400 Bad Request\r\n" + lines_of(answer.raw_headers)
        self.transport.write(head + b"\r\n" + bytes(answer.body))
        self.transport.close()


def _write(cycle: Any, status: int, head: bytes, body: bytes) -> bool:
    """What uvicorn's `send` does with the two messages of a whole answer; False where it would do more than that."""
    if cycle.flow.write_paused or cycle.disconnected or cycle.response_started or not cycle.keep_alive:
        return False
    if cycle.scope["method"] == "HEAD":
        return False
    cycle.response_started, cycle.waiting_for_100_continue, cycle.chunked_encoding = True, False, False
    cycle.transport.write(b"".join((STATUS_LINE[status], lines_of(cycle.default_headers), head, b"\r\n", body)))
    cycle.response_complete = True
    cycle.message_event.set()
    cycle.on_response()
    return True


def wire_of(app: ASGIApp) -> type[Wire]:
    """The connections of an application, with its gate."""
    gate = app.state.gate if isinstance(app, FastAPI) else None
    return type("Wire", (Wire,), {"gate": gate})
