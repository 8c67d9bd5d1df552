"""The console page and the OpenAPI document: files of the package, nothing from elsewhere."""

from collections.abc import Callable
from functools import partial
from importlib.resources import files
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PAGES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/console.css": ("console.css", "text/css; charset=utf-8"),
    "/console.js": ("console.js", "text/javascript; charset=utf-8"),
    "/charts.js": ("charts.js", "text/javascript; charset=utf-8"),
    "/favicon.svg": ("favicon.svg", "image/svg+xml"),
}
"""Path → file of `serving/console` and its type."""


def routes(document: Callable[[], dict[str, Any]], *, needs_key: bool) -> list[Route]:
    """Routes of the page's files and of the OpenAPI document; they hold no data and need no key."""
    folder = files("serving.console")
    found = []
    for path, (name, media) in PAGES.items():
        content = (folder / name).read_bytes()
        if name == "index.html":
            content = content.replace(b"{{needs_key}}", b"yes" if needs_key else b"no")
        found.append(_static(path, partial(bytes, content), media))
    return [*found, _static("/openapi.json", lambda: orjson.dumps(document()), "application/json")]


def _static(path: str, content: Callable[[], bytes], media: str) -> Route:
    async def answer(_request: Request) -> Response:
        """The file, to be asked for anew each time."""
        return Response(content(), headers={"Cache-Control": "no-cache"}, media_type=media)

    return Route(path, answer, methods=["GET"], name=path)
