"""The shortest way from a request to its operation: a table look-up before FastAPI's routing.

Routing by regular expressions, one after the other, and three layers of middleware cost more than scoring a customer.
What is not in the table (pages, unknown paths, other methods) goes on to the application.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Endpoint = Callable[[Request], Awaitable[Response]]
Answering = Callable[[Request, Exception], Response]
Problems = Mapping[type[Exception], Answering]
"""What exceptions become."""

_SLASH = "\udc2f"
"""Stands for an encoded slash, which parts no path: half a surrogate, which no decoded text holds."""

Prompt = Callable[[Request], Response | None]
"""An endpoint that never waits; None where it would have to, and nothing was done."""


class Way(NamedTuple):
    """One operation: its method, the path before and after its one parameter (`name`, empty without one)."""

    method: str
    before: str
    name: str
    after: str
    endpoint: Endpoint
    prompt: Prompt | None = None


def way(method: str, path: str, endpoint: Endpoint, prompt: Prompt | None = None) -> Way:
    """The way to an operation whose routing path holds at most one `{name:id}`."""
    before, _, rest = path.partition("{")
    name, _, after = rest.partition(":id}")
    return Way(method, before, name, after, endpoint, prompt)


class Ways:
    """Ways in the sequence routing would try them."""

    def __init__(self, ways: Sequence[Way]) -> None:
        self._exact = {(way.method, way.before): way for way in ways if not way.name}
        self._parts: dict[str, list[Way]] = {}
        for each in ways:
            if each.name:
                self._parts.setdefault(each.method, []).append(each)

    def find(self, scope: Scope, *, prompt: bool = False) -> Way | None:
        """The way of a request, which is told its endpoint and the parameter of its path.

        With `prompt` only one that can be answered without waiting; any other request is told nothing.
        """
        path = scope["path"] if b"%" not in scope.get("raw_path", b"") else _told_apart(scope)
        found = self._match(scope["method"], path)
        if found is None or (prompt and found.prompt is None):
            if not prompt:
                scope["path"] = path.replace(_SLASH, "%2F")  # who routes it after us tells slashes apart too
            return None
        within = path[len(found.before) : len(path) - len(found.after)].replace(_SLASH, "/")
        scope["path_params"] = {found.name: within} if found.name else {}
        scope["endpoint"] = found.endpoint
        return found

    def _match(self, method: str, path: str) -> Way | None:
        found = self._exact.get((method, path))
        if found is not None:
            return found
        for each in self._parts.get(method, ()):
            before, after = each.before, each.after
            if path.startswith(before) and path.endswith(after) and len(before) + len(after) <= len(path):
                return each
        return None


def _told_apart(scope: Scope) -> str:
    """The decoded path of a request with encoded slashes told apart: they part no path (RFC 3986, section 2.2)."""
    raw: str = scope["raw_path"].decode("ascii", "replace")
    path: str = scope["path"]
    return unquote(raw.replace("%2f", _SLASH).replace("%2F", _SLASH)) if "%2f" in raw.lower() else path


def answer_of(problems: Problems, request: Request, error: Exception) -> Response:
    """The answer an exception becomes; raises it where none is known."""
    for kind in type(error).__mro__:
        if kind in problems:
            return problems[kind](request, error)
    raise error


class Direct:
    """ASGI middleware: requests that `ways` lead to, and `problems` of their operations."""

    def __init__(self, app: ASGIApp, ways: Ways, problems: Problems) -> None:
        self._app, self._ways, self._problems = app, ways, problems

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        way = self._ways.find(scope) if scope["type"] == "http" else None
        if way is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            response = await way.endpoint(request)
        except Exception as error:
            response = answer_of(self._problems, request, error)
        await response(scope, receive, send)
