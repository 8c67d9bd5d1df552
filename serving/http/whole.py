"""Answers written to the connection at once: status, headers and body in one piece where the server can take one.

An ASGI answer is two messages that pass every layer, and a server that looks at each header again. Answers of the
operations are small and whole, so that they leave as one message of their own kind, `WHOLE`: only `serving.http.wire`
can write one, and only `serving.http.envelope` sends it there. Any other server gets the two messages.
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

WHOLE = "barista.whole"
"""Key of the scope, where the server offers a `Write`; type of the message with `status`, `headers` and `body`."""

Headers = Sequence[tuple[bytes, bytes]]
Write = Callable[[int, bytes, bytes], bool]
"""Writes an answer of a status, header lines and a body; False if it can't, and nothing was written."""

_JSON = b"application/json"


class Json(Response):
    """An answer of encoded JSON; `headers` have names in lower case."""

    media_type = "application/json"

    def __init__(self, body: bytes, status: int = 200, headers: Mapping[bytes, bytes] | None = None) -> None:
        self.status_code, self.body, self.background = status, body, None
        length = (b"content-length", b"%d" % len(body))
        self.raw_headers = [*(headers or {}).items(), length, (b"content-type", _JSON)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, in one piece where it can be."""
        if WHOLE not in scope:
            await super().__call__(scope, receive, send)
            return
        await send({"type": WHOLE, "status": self.status_code, "headers": self.raw_headers, "body": self.body})


def lines_of(headers: Headers) -> bytes:
    """Headers as lines of the head of an answer."""
    return b"".join([b"%b: %b\r\n" % each for each in headers])


def bytes_of(answer: Response) -> bytes:
    """A whole answer as it leaves, status line first."""
    first = f"HTTP/1.1 {answer.status_code} {HTTPStatus(answer.status_code).phrase}\r\n".encode()
    return b"".join((first, lines_of(answer.raw_headers), b"\r\n", bytes(answer.body)))


async def send_apart(message: Message, send: Send) -> None:
    """A message of type `WHOLE` as the two of ASGI."""
    start: dict[str, Any] = {"type": "http.response.start", "status": message["status"], "headers": message["headers"]}
    await send(start)
    await send({"type": "http.response.body", "body": message["body"]})
