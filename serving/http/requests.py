"""Requests → strict structs: unknown keys, wrong types and odd values are refused with the place they stand at."""

import re
from difflib import get_close_matches
from typing import Any, TypeVar, get_args
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.requests import Request
from starlette.types import Scope

from serving.http.bodies import EventKind, Identifier, Language, Mode
from serving.http.novelty_bodies import Level
from serving.http.problems import FieldFault, Problem, describe

LIMIT = 1 << 20
"""Largest body that is read [bytes]."""

MOST_DIGITS = 15
"""Digits of a declared length that are read as a number; one with more is too large whatever it is."""

DEPTH = 32
"""Deepest nesting of lists and objects that is looked into; what the operations take is at most four deep."""

REPEATED = 8
"""Characters of an unknown key that an answer repeats: enough to find it, too few for an address sent as a key."""

_CHOICES = {
    "mode": get_args(Mode),
    "type": get_args(EventKind),
    "language": get_args(Language),
    "level": get_args(Level),
}
_IDENTIFIER: msgspec.Meta = get_args(Identifier)[1]
_NAMES = re.compile(str(_IDENTIFIER.pattern))
_PLACE = re.compile(r" - at (?:key in )?`\$(?P<path>[^`]*)`$")
_FIELD = re.compile(r"field `(?P<name>[^`]*)`")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[][{}]', re.DOTALL)
T = TypeVar("T", bound=msgspec.Struct)


async def read_body(request: Request, kind: type[T]) -> T:
    """The request's JSON body as a `kind`.

    Raises:
        Problem: no JSON (400, 415), larger than `LIMIT` (413) or not what `kind` says (422).
    """
    media = header_of(request.scope, b"content-type").partition(";")[0].strip().lower()
    if media != "application/json":
        raise Problem(
            "unsupported-media-type", "The body must be JSON.", media[:60] or "no content type", "application/json"
        )
    body = await limited_body(request)
    try:
        return decode(body, kind)
    except Problem as problem:
        raise _encoded(request.scope) or problem from None


def _encoded(scope: Scope) -> Problem | None:
    """The 415 of a body that can't be read because it is compressed (RFC 9110, section 8.4)."""
    if header_of(scope, b"content-encoding").strip().lower() in {"", "identity"}:
        return None
    said, takes = "The body is encoded.", {"Accept-Encoding": "identity"}
    return Problem("unsupported-media-type", said, "a Content-Encoding", "identity", "Send it as it is", headers=takes)


def lines_of_header(scope: Scope, name: bytes) -> str:
    """All lines of a header that is a list, as one (RFC 9110, section 5.3), "" without it."""
    return ", ".join([value.decode("latin-1") for key, value in scope["headers"] if key == name])


def header_of(scope: Scope, name: bytes) -> str:
    """A header's value, "" without it; as `request.headers` finds it, without making those."""
    for key, value in scope["headers"]:
        if key == name:
            found: str = value.decode("latin-1")
            return found
    return ""


async def limited_body(request: Request) -> bytes:
    """The request's body, read once and kept with it; raises `Problem` 413 when it is larger than `LIMIT`."""
    kept: dict[str, bytes] = request.scope.setdefault("state", {})
    if "body" not in kept:
        kept["body"] = await _limited(request)
    return kept["body"]


async def _limited(request: Request) -> bytes:
    declared = header_of(request.scope, b"content-length")
    if declared.isdecimal() and (len(declared) > MOST_DIGITS or int(declared) > LIMIT):
        raise _too_large(declared[:MOST_DIGITS])
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > LIMIT:
            raise _too_large(size)
    return b"".join(parts)


def _too_large(size: int | str) -> Problem:
    return Problem(
        "too-large",
        "The body is too large.",
        f"{size} bytes or more",
        f"at most {LIMIT} bytes",
        "Send fewer events a request",
        headers={"Connection": "close"},
    )


def decode(body: bytes, kind: type[T]) -> T:
    """`body` as a `kind`; raises `Problem` 400 or 422."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        if too_deep(body):
            expected = f"at most {DEPTH} lists and objects within each other"
            raise invalid([FieldFault("", "The body is nested too deep.", expected=expected)], "body") from error
        raise invalid([fault_of(error, _loose(body), kind)], "body") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(
            "malformed-json", "The body is no JSON.", type(error).__name__, "one JSON object in UTF-8"
        ) from error


def too_deep(body: bytes) -> bool:
    """Whether lists and objects stand within each other deeper than `DEPTH`; looks no further than there."""
    depth = 0
    for token in _TOKEN.finditer(body):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token[0], 0)
        if depth > DEPTH:
            return True
    return False


def read_query(request: Request, kind: type[T]) -> T:
    """The request's query as a `kind`; raises `Problem` 422."""
    if not request.scope["query_string"]:
        return kind()
    pairs = request.query_params.multi_items()
    query = dict(pairs)
    if len(query) < len(pairs):
        raise invalid([FieldFault("query", "A key is given twice.", expected="each key once")], "query")
    try:
        return msgspec.convert(query, kind, strict=False)
    except msgspec.ValidationError as error:
        raise invalid([fault_of(error, query, kind)], "query") from error


def invalid(faults: list[FieldFault], where: str) -> Problem:
    """The 422 of these faults."""
    return Problem(
        "invalid",
        f"The {where} is not what this path takes: {faults[0].detail}",
        faults[0].found,
        faults[0].expected,
        "/openapi.json describes every key, with an example",
        tuple(faults),
    )


def fault_of(error: msgspec.ValidationError, value: Any, kind: type[msgspec.Struct]) -> FieldFault:
    """Place, fault and found value of a decoder's complaint about a `kind`; texts are described, never repeated."""
    text = str(error)
    place = _PLACE.search(text)
    path = _parts(place["path"]) if place else []
    said, regex, _ = _PLACE.sub("", text).partition(" matching regex")
    said += " without control characters" if regex else ""
    if said.startswith("Invalid enum value"):
        choices = ", ".join(_CHOICES.get(path[-1], ()))
        return FieldFault(_pointer(path), "Not one of the values known here.", describe(_at(value, path)), choices)
    expected = said.removeprefix("Expected ").partition(", got ")[0] if said.startswith("Expected ") else ""
    field = _FIELD.search(said)
    if field and "unknown" in said:
        return _unknown(path, field["name"], known_keys(kind, path))
    if field:
        return FieldFault(_pointer([*path, field["name"]]), f"Missing key {field['name']!r}.", "nothing", "the key")
    return FieldFault(_pointer(path), f"{said}.", describe(_at(value, path)), expected)


def _unknown(path: list[str], name: str, known: tuple[str, ...]) -> FieldFault:
    """The fault of a key that is not known at its place, with those that are and the one that was likely meant."""
    meant = get_close_matches(name[:40], known, n=1)
    begun = name if len(name) <= REPEATED else f"{name[:REPEATED]}…"
    said = f"Unknown key {begun!r}" + (f", perhaps {meant[0]!r} was meant" if meant else "")
    expected = f"one of {', '.join(known)}" if known else "no key"
    return FieldFault(_pointer([*path, begun]), f"{said}.", f"the key {begun!r}", expected)


def known_keys(kind: type[msgspec.Struct], path: list[str]) -> tuple[str, ...]:
    """Keys of the object at `path` within a `kind`; none where there is no object of known keys."""
    found: list[Any] = [msgspec.inspect.type_info(kind)]
    for part in path:
        found = [inner for each in found for inner in _within(each, part)]
    return tuple(field.encode_name for each in found for field in getattr(each, "fields", ()))


def _within(described: Any, part: str) -> list[Any]:
    """What may stand under a key or index of a described type; of a union each of its types."""
    fields = {field.encode_name: field.type for field in getattr(described, "fields", ())}
    found = fields.get(part, getattr(described, "item_type", None))
    return list(getattr(found, "types", (found,))) if found is not None else []


def _parts(path: str) -> list[str]:
    return [part for part in path.replace("[", ".").replace("]", "").split(".") if part]


def _pointer(path: list[str]) -> str:
    return "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in path) if path else ""


def _loose(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _at(value: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
    return value


def path_text(request: Request, name: str) -> str:
    """A part of the path that is an id; raises `Problem` 422 for one no id can be."""
    text: str = request.path_params[name]
    if "\ufffd" in text:
        _check_utf8(request, name)
    if len(text) <= (_IDENTIFIER.max_length or 0) and _NAMES.search(text):  # what `convert` asks, without its set-up
        return text
    try:
        return msgspec.convert(text, Identifier)
    except msgspec.ValidationError as error:
        expected = "1 to 200 characters without control characters"
        fault = FieldFault(f"path {name}", "Not an id.", describe(text), expected)
        raise invalid([fault], "path") from error


def _check_utf8(request: Request, name: str) -> None:
    """Refuse a path of bytes that are no UTF-8: decoded they all became U+FFFD, and many ids one."""
    try:
        unquote_to_bytes(request.scope.get("raw_path", b"")).decode()
    except UnicodeDecodeError as error:
        fault = FieldFault(f"path {name}", "Not an id.", "bytes that are no UTF-8", "percent-encoded UTF-8")
        raise invalid([fault], "path") from error
