"""Around every request: its id, security headers, metrics, one log line, a problem for what nobody foresaw."""

import os
import re
import time
import traceback
from collections.abc import Mapping
from typing import Any

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsys.errors import BaristaError
from recsys.logs import REQUEST_ID, answering_request
from serving.http.metrics import Metrics
from serving.http.problems import Problem, internal, respond
from serving.http.traced import Told, Tracing
from serving.http.whole import WHOLE, Headers, lines_of, send_apart

LOG = structlog.get_logger("barista.http")

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}

_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
_NOT_STORED = (b"cache-control", b"no-store")
_RAW_LINES, _NOT_STORED_LINE = lines_of(_RAW_HEADERS), lines_of([_NOT_STORED])
_CACHE = b"cache-control:"
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


AT_ONCE = 128
"""Request ids made at once."""

_METHODS = frozenset({"GET", "POST", "HEAD", "DELETE"})


class Account:
    """What is told of each answered request: its metrics, one log line, its spans.

    `routes` maps an endpoint to the path template that all of them name.
    """

    def __init__(self, metrics: Metrics, routes: Mapping[Any, str], tracing: Tracing | None = None) -> None:
        self._metrics, self._routes, self._tracing = metrics, routes, tracing
        self._log = LOG.bind()

    def tell(self, scope: Scope, status: int, started: float, ended: float) -> None:
        """A request was answered; `started` and `ended` [s of `time.perf_counter`]."""
        seconds = ended - started
        route = self._routes.get(scope.get("endpoint"), "other")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.request(route, method, status, seconds)
        self._log.info(
            "request",
            route=route,
            method=method,
            status=status,
            ms=round(seconds * 1000, 2),
            request_id=scope["state"]["request_id"],
        )
        if self._tracing is not None:  # the answer has left: nobody waits for this
            with answering_request(scope["state"]["request_id"]):
                self._tracing.tell(Told(route, method, status, started, ended, scope["headers"], scope["state"]))


class Envelope:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, account: Account) -> None:
        self._app, self._account, self._ids = app, account, RequestIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, seen = time.perf_counter(), {"status": 0}
        state = scope.setdefault("state", {})
        request_id = state.get("request_id") or self._ids.of(scope)  # it may have one of the short way
        state["request_id"] = request_id
        REQUEST_ID.set(request_id)

        async def send_on(message: Message) -> None:
            if message["type"] == WHOLE:
                seen["status"] = message["status"]
                head = head_of(message["headers"], scope["state"])
                if scope[WHOLE](message["status"], head, message["body"]):
                    return
                _add_headers(message, request_id, scope["state"].get("headers", {}))
                await send_apart(message, send)
                return
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                _add_headers(message, request_id, scope["state"].get("headers", {}))
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except Exception as error:
            failure = failed(error, request_id)
            if seen["status"]:
                raise
            await failure(scope, receive, send_on)
        finally:
            scope.pop(WHOLE, None)  # the connection, which holds the scope: it would wait for the collector of cycles
            self._account.tell(scope, seen["status"], started, time.perf_counter())
        REQUEST_ID.set("")  # not after an error that goes on: the server, whose task this is, tells it too


def failed(error: Exception, request_id: str) -> Response:
    """The answer to an error nobody foresaw: nothing of it may leave, the log line names where it happened."""
    reason = {"reason": error.what} if isinstance(error, BaristaError) else {}
    LOG.error("failed", request_id=request_id, error=type(error).__name__, **reason, place=_place(error))
    return respond(internal(), request_id)


def enveloped(problem: Problem, request_id: str, *, last: bool) -> Response:
    """The answer to a request that never comes to `Envelope`, with the headers that adds; `last` of its connection."""
    answer = respond(problem, request_id)
    close = {"Connection": "close"} if last else {}
    answer.headers.update(SECURITY_HEADERS | {"Cache-Control": "no-store", "X-Request-Id": request_id} | close)
    return answer


class RequestIds:
    """Ids of requests. The system is asked for the random ones of `AT_ONCE` requests; make it after a fork."""

    def __init__(self) -> None:
        self._new: list[str] = []

    def of(self, scope: Scope) -> str:
        """The caller's X-Request-Id when it is a plain one, else a new one."""
        for name, value in scope["headers"]:
            if name == b"x-request-id" and _GIVEN_ID.fullmatch(text := value.decode("latin-1")):
                return str(text)
        try:
            return self._new.pop()
        except IndexError:
            digits = os.urandom(AT_ONCE * 16).hex()
            first, *others = (digits[at : at + 32] for at in range(0, len(digits), 32))
            self._new.extend(others)
            return first


def _add_headers(message: Message, request_id: str, more: Mapping[str, str]) -> None:
    """Add to the headers as they are sent; no answer of ours sets one of these itself but Cache-Control."""
    headers = message["headers"]
    stored = any(name == b"cache-control" for name, _ in headers)
    given = [(name.lower().encode(), value.encode()) for name, value in more.items()]
    cache = () if stored else (_NOT_STORED,)
    message["headers"] = [*headers, (b"x-request-id", request_id.encode()), *given, *_RAW_HEADERS, *cache]


def head_of(headers: Headers, state: Mapping[str, Any]) -> bytes:
    """The headers of `_add_headers` as lines; `state` is that of the request's scope."""
    lines = lines_of(headers)
    own = f"x-request-id: {state['request_id']}\r\n"
    if "headers" in state:
        own += "".join([f"{name.lower()}: {value}\r\n" for name, value in state["headers"].items()])
    stored = lines.startswith(_CACHE) or b"\r\n" + _CACHE in lines
    return b"".join((lines, own.encode(), _RAW_LINES, b"" if stored else _NOT_STORED_LINE))


def _place(error: BaseException) -> list[str]:
    """Files and lines the error came through, without the values in them."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames]
