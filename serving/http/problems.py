"""Errors as problem+json (RFC 9457): what happened, the value found, what was expected, how to cure it."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from recsys.errors import (
    BaristaError,
    BundleError,
    ClockError,
    DecisionError,
    ImportRefused,
    MappingError,
    NotEnoughData,
    RegistryError,
    ReportError,
    RequestRefused,
    SettingsError,
    SnapshotError,
    StoreError,
    StoreFull,
    StoreUnavailable,
    WorkspaceError,
)

MEDIA_TYPE = "application/problem+json"

STATUS = {
    "malformed-json": 400,
    "malformed-request": 400,
    "unauthenticated": 401,
    "foreign-host": 403,
    "forbidden": 403,
    "not-found": 404,
    "unknown-customer": 404,
    "unknown-decision": 404,
    "method-not-allowed": 405,
    "too-slow": 408,
    "no-model": 409,
    "still-running": 409,
    "too-large": 413,
    "unsupported-media-type": 415,
    "invalid": 422,
    "key-reused": 422,
    "too-many-requests": 429,
    "head-too-large": 431,
    "internal": 500,
    "not-ready": 503,
    "store-unavailable": 503,
    "store-full": 507,
    "overloaded": 503,
}
"""Kinds of problems and their HTTP status; the kind ends the problem's `type`."""

KIND_OF_ERROR: dict[type[BaristaError], str] = {
    RequestRefused: "invalid",
    NotEnoughData: "no-model",
    ClockError: "not-ready",
    SnapshotError: "not-ready",
    BundleError: "not-ready",
    WorkspaceError: "not-ready",
    RegistryError: "not-ready",
    DecisionError: "unknown-decision",
    StoreFull: "store-full",
    StoreUnavailable: "store-unavailable",
    StoreError: "internal",
    SettingsError: "internal",
    ImportRefused: "internal",
    MappingError: "internal",
    ReportError: "internal",
}
"""Kind of problem of each branch of the error tree; a subclass takes its nearest ancestor's."""


class FieldFault(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with one field: JSON pointer (or `query` and the key), the fault, what was found and expected.

    Of a long unknown key the pointer has the beginning.
    """

    pointer: str
    detail: str
    found: str = ""
    expected: str = ""


class ProblemBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of every error answer."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""
    found: str = ""
    expected: str = ""
    cure: str = ""
    errors: tuple[FieldFault, ...] = ()


@dataclass
class Problem(Exception):
    """Ends a request with an error answer of `kind` (a key of `STATUS`)."""

    kind: str
    detail: str
    found: str = ""
    expected: str = ""
    cure: str = ""
    errors: tuple[FieldFault, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


def respond(problem: Problem, request_id: str = "") -> Response:
    """The error answer of `problem`."""
    status = STATUS[problem.kind]
    body = ProblemBody(
        type=f"urn:barista:problem:{problem.kind}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=problem.detail,
        instance=f"urn:barista:request:{request_id}" if request_id else "",
        found=problem.found,
        expected=problem.expected,
        cure=problem.cure,
        errors=problem.errors,
    )
    return Response(msgspec.json.encode(body), status, problem.headers, MEDIA_TYPE)


def of_error(error: BaristaError) -> Problem:
    """Problem of an error of the library. Texts found are named by type only: they may be personal."""
    kind = next((KIND_OF_ERROR[kind] for kind in type(error).__mro__ if kind in KIND_OF_ERROR), "internal")
    headers = {"Retry-After": "1"} if STATUS[kind] in {503, 507} else {}
    if kind == "internal":
        return internal()
    found = describe(error.found) if error.found is not None else ""
    return Problem(kind, f"{error.what.rstrip('.')}.", found, error.expected, error.cure, headers=headers)


def internal() -> Problem:
    """The answer to an error nobody foresaw: nothing of it leaves the service, its log line has the request id."""
    return Problem("internal", "The request failed inside the service.", cure="Look for the request id in its log")


def of_http(status: int, request: Request, headers: dict[str, str]) -> Problem:
    """Problem of a status that routing decided: no such path, or not by this method."""
    if status == 404:
        return Problem("not-found", "No such path.", cure="/openapi.json lists every path")
    if status == 405:
        allowed = headers.get("Allow", "")
        return Problem(
            "method-not-allowed", "The path knows no such method.", request.method[:20], allowed, headers=headers
        )
    return Problem("malformed-request" if 400 <= status < 500 else "internal", "The request can't be read.")


def describe(value: Any) -> str:
    """Short repr of a value that can't be personal (numbers, booleans, null), else its type and size."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)[:40]
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"an object of {len(value)} keys"
    return f"a {type(value).__name__}"
