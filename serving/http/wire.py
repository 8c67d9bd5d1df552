"""What is no HTTP at all gets a problem too: bytes that no request can be made of never reach the application."""

from uuid import uuid4

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.http.envelope import SECURITY_HEADERS
from serving.http.problems import Problem, respond


class Wire(HttpToolsProtocol):
    """One connection of the service."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  the parser's words may repeat what was sent
        """Answer bytes that can't be read as HTTP, and close."""
        request_id = uuid4().hex
        answer = respond(Problem("malformed-json", "The request is no HTTP/1.1.", cure="Send HTTP/1.1"), request_id)
        answer.headers.update(SECURITY_HEADERS | {"X-Request-Id": request_id, "Connection": "close"})
        head = b"".join(name + b": " + value + b"\r\n" for name, value in answer.raw_headers)
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n" + head + b"\r\n" + bytes(answer.body))
        self.transport.close()
