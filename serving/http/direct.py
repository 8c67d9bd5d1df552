"""The shortest way from a request to its operation: a table look-up before FastAPI's routing.

Routing by regular expressions, one after the other, and three layers of middleware cost more than scoring a customer.
What is not in the table (pages, unknown paths, other methods) goes on to the application.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Endpoint = Callable[[Request], Awaitable[Response]]
Answering = Callable[[Request, Exception], Response]


class Way(NamedTuple):
    """One operation: its method, the path before and after its one parameter (`name`, empty without one)."""

    method: str
    before: str
    name: str
    after: str
    endpoint: Endpoint


def way(method: str, path: str, endpoint: Endpoint) -> Way:
    """The way to an operation whose routing path holds at most one `{name:id}`."""
    before, _, rest = path.partition("{")
    name, _, after = rest.partition(":id}")
    return Way(method, before, name, after, endpoint)


class Direct:
    """ASGI middleware: `ways` in the sequence routing would try them, `problems` what exceptions become."""

    def __init__(self, app: ASGIApp, ways: Sequence[Way], problems: Mapping[type[Exception], Answering]) -> None:
        self._app, self._problems = app, problems
        self._exact = {(way.method, way.before): way.endpoint for way in ways if not way.name}
        self._parts: dict[str, list[Way]] = {}
        for each in ways:
            if each.name:
                self._parts.setdefault(each.method, []).append(each)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        endpoint = self._find(scope) if scope["type"] == "http" else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        scope["endpoint"] = endpoint
        request = Request(scope, receive, send)
        try:
            response = await endpoint(request)
        except Exception as error:
            answering = self._answering(type(error))
            if answering is None:
                raise
            response = answering(request, error)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> Endpoint | None:
        method, path = scope["method"], scope["path"]
        found = self._exact.get((method, path))
        if found is not None:
            scope["path_params"] = {}
            return found
        for each in self._parts.get(method, ()):
            whole = len(each.before) + len(each.after) <= len(path)
            if whole and path.startswith(each.before) and path.endswith(each.after):
                scope["path_params"] = {each.name: path[len(each.before) : len(path) - len(each.after)]}
                return each.endpoint
        return None

    def _answering(self, kind: type[Exception]) -> Answering | None:
        return next((self._problems[base] for base in kind.__mro__ if base in self._problems), None)
