"""Pages of other origins: none by default, those named exactly by the settings where they are named.

Source: WHATWG Fetch, section 3.2 (CORS protocol). No origin is ever answered with `*`, and no cookies are used.
"""

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.whole import WHOLE

ALLOWED = {
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, X-Request-Id",
    "Access-Control-Max-Age": "600",
}
EXPOSED = "Idempotency-Replayed, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"


class Origins:
    """ASGI middleware: lets pages of `origins` read the answers, all others see what they would without it."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app, self._origins = app, frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope.pop(WHOLE, None)  # every answer is looked at
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        origin = headers.get("origin", "")

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                _mark(MutableHeaders(scope=message), origin if origin in self._origins else None)
            await send(message)

        asked = scope["type"] == "http" and scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        if asked and origin in self._origins:
            await Response(status_code=204, headers=ALLOWED)(scope, receive, send_on)
            return
        await self._app(scope, receive, send_on)


def _mark(headers: MutableHeaders, origin: str | None) -> None:
    headers.add_vary_header("Origin")
    if origin is not None:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = EXPOSED
