"""One connection: answers leave it in one piece, and bytes that are no HTTP at all are answered by a problem too."""

from typing import Any
from uuid import uuid4

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.http.envelope import SECURITY_HEADERS
from serving.http.problems import Problem, respond
from serving.http.whole import WHOLE, lines_of


class Wire(HttpToolsProtocol):
    """One connection of the service."""

    def on_headers_complete(self) -> None:
        """A request begins: its answer may be written in one piece."""
        super().on_headers_complete()
        cycle = self.cycle
        scope: Any = self.scope
        scope[WHOLE] = lambda status, head, body: _write(cycle, status, head, body)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  the parser's words may repeat what was sent
        """Answer bytes that can't be read as HTTP, and close."""
        request_id = uuid4().hex
        answer = respond(Problem("malformed-json", "The request is no HTTP/1.1.", cure="Send HTTP/1.1"), request_id)
        answer.headers.update(SECURITY_HEADERS | {"X-Request-Id": request_id, "Connection": "close"})
        head = b"".join(name + b": " + value + b"\r\n" for name, value in answer.raw_headers)
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n" + head + b"\r\n" + bytes(answer.body))
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
