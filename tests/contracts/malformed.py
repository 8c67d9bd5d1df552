"""Malformed requests by number, and what is wrong with an answer: the document, and nothing else, is the judge.

Requests are bytes as a server hands them to the application; the same number is the same request on every machine.
"""

import asyncio
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock
from urllib.parse import unquote

import jsonschema_rs
from fastapi import FastAPI
from starlette.types import ASGIApp

from recsys.settings import Settings
from recsys.testing.builders import random_snapshot
from recsys.testing.published import publish_models, publish_snapshot
from recsys.workspace import Workspace
from serving.answers import open_answers
from serving.http import asking
from serving.http.app import create_app
from serving.http.state import State

PROBLEM = "application/problem+json"
JSON = (b"content-type", b"application/json")
AT_ONCE = 4
KEY = "k" * 43


@dataclass(frozen=True)
class Sent:
    """A request as bytes; `target` is path and query as they stand in the request line."""

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """An answer, and the endpoint that routing chose for the request."""

    status: int
    headers: dict[str, str]
    body: bytes
    endpoint: Any


def _post(path: str, body: Any, *more: tuple[bytes, bytes]) -> Sent:
    return Sent("POST", path.encode(), (JSON, *more), json.dumps(body).encode())


def seeds(number: int) -> tuple[Sent, ...]:
    """Proper requests to every operation; ids change with the number, so that nobody's history grows long."""
    who = f"c{number % 997:04d}"
    line = {"product_id": "p001", "quantity": 2, "amount": 4.5, "discount": 0.5}
    event = {"event_id": f"e{number}", "type": "purchase", "customer_id": who, "order_id": f"o{number}"}
    event |= {"lines": [line, line], "occurred_at": "2024-03-01T08:00:00+01:00", "store_id": "s1", "channel": "till"}
    asked = {"customer_id": who, "n": 5, "mode": "new", "exclude": ["p002", "p003"], "basket": [line], "reasons": True}
    asked["context"] = {"store_id": "s1", "groups": ["G1"]}
    asked["novelty"] = {"level": "family", "look_back_days": 90}
    key = (b"idempotency-key", f"k{number}".encode())
    return (
        _post("/v1/recommendations", asked),
        _post("/v1/recommendations", {"customer_id": who}, key),
        _post("/v1/events", {"events": [event]}),
        _post("/v1/events", {"events": [event | {"type": "refund"}, event | {"event_id": f"f{number}"}]}, key),
        Sent("GET", f"/v1/customers/{who}/scores?reasons=true".encode()),
        Sent("GET", f"/v1/customers/{who}/timing?categories=true".encode()),
        Sent("GET", f"/v1/customers/{who}".encode()),
        Sent("GET", f"/v1/customers/{who}/export".encode()),
        Sent("DELETE", f"/v1/customers/x{number % 50}".encode(), (key,)),
        Sent("GET", b"/v1/customers?search=c0&limit=5"),
        Sent("GET", b"/v1/items?search=p&limit=7"),
        Sent("GET", b"/v1/decisions/0123456789abcdef0123456789abcdef"),
        Sent("GET", b"/v1/models"),
        Sent("GET", b"/v1/shadow"),
        Sent("GET", b"/health/live"),
        Sent("GET", b"/health/ready"),
        Sent("GET", b"/metrics"),
    )


ODD = (
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b'"\\ud800"', b'"\\u0000"', b"NaN", b"-Infinity", b"1e999",
    b"-0", b"9" * 400, b"1" + b"0" * 5000, b"0.1e-400", b"{}", b"[]", b"null", b"true", b'""', b'"' + b"x" * 300 + b'"',
    b"[" * 40, b"]" * 40, b'{"a":' * 40, b",", b":", b'"', b"\\", b"\r\n", b"%00", b"%2e%2e%2f", b"%ff", b"%", b"%zz",
    b"../", b"//", b"?", b"&", b"#", b";", b"\xc2\xb2", b"\xb2", b"9007199254740993", b"18446744073709551616", b"1e308",
    b'"2024-13-45T99:99:99Z"', b'"0001-01-01T00:00:00+23:59"', b'"9999-12-31T23:59:59-12:00"', b'"1970-01-01"',
    b"\xe2\x80\xae",
)  # fmt: skip
"""Bytes that have broken readers of JSON, numbers, instants, paths and headers."""

VALUES = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**30, 0.1, -0.0, 1e-320, 1e308, "", "x", "\x00", "\n",
    "x" * 201, "\ud7ff\U0001f600", "2024-02-30T00:00:00Z", "2024-03-01T08:00:00", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", [], {}, [[]], [None], {"": 0}, ["x"] * 2000, "c0001", "purchase", "new",
)  # fmt: skip
"""Values put where others stood."""


def request(number: int) -> Sent:
    """The malformed request of this number."""
    draw = Random(number)
    choices = seeds(number)
    sent = draw.choices(choices, [4 if each.body else 1 for each in choices])[0]
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        sent = draw.choice(CHANGES)(sent, draw)
    if draw.random() < 0.03:
        sent = replace(sent, body=sent.body + draw.choice(choices).body)
    return sent


def _bytes(text: bytes, draw: Random) -> bytes:
    """`text` with one change: a bit, bytes gone, odd bytes within, a part twice, an early end."""
    at = draw.randrange(len(text) + 1)
    to = min(len(text), at + draw.randrange(1, 9))
    kind = draw.randrange(6)
    if kind == 0 and text:
        at = min(at, len(text) - 1)
        return text[:at] + bytes([text[at] ^ (1 << draw.randrange(8))]) + text[at + 1 :]
    changed = {1: b"", 2: draw.choice(ODD), 3: text[at:to] * 2, 4: draw.randbytes(to - at)}
    if kind in changed:
        return text[:at] + changed[kind] + text[to:]
    return text[:at]


def _body(sent: Sent, draw: Random) -> Sent:
    if not sent.body and draw.random() < 0.9:
        return _target(sent, draw)
    return replace(sent, body=_bytes(sent.body, draw), headers=sent.headers or (JSON,))


def _target(sent: Sent, draw: Random) -> Sent:
    """The path or the query changed; what no request line can hold is escaped."""
    changed = _bytes(sent.target[1:], draw)
    return replace(sent, target=b"/" + re.sub(rb"[^\x21-\x7e]", lambda found: b"%%%02x" % found[0][0], changed))


def _header(sent: Sent, draw: Random) -> Sent:
    """A header changed or added; servers let no line end and no NUL through."""
    names = (
        b"content-type",
        b"content-length",
        b"idempotency-key",
        b"x-request-id",
        b"authorization",
        b"accept",
        b"host",
    )
    known = dict(sent.headers)
    name = draw.choice(names)
    value = _bytes(known.get(name, draw.choice((b"application/json", b"12", b"Bearer x", b"127.0.0.1"))), draw)
    return replace(sent, headers=(*(known | {name: re.sub(rb"[\x00\r\n]", b"", value)}).items(),))


def _method(sent: Sent, draw: Random) -> Sent:
    return replace(
        sent, method=draw.choice(("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "BREW"))
    )


def _value(sent: Sent, draw: Random) -> Sent:
    """One value of the JSON body replaced, one key renamed, added or left out."""
    try:
        content = json.loads(sent.body)
    except (ValueError, RecursionError):
        return _body(sent, draw)
    places = list(_places(content))
    if not places:
        return _body(sent, draw)
    holder, key = draw.choice(places)
    kind = draw.randrange(4)
    if kind == 0 and isinstance(holder, dict):
        holder[draw.choice(("", "colour", "customer_id", "x" * 50, "\x00", "~/"))] = holder[key]
    elif kind == 1:
        del holder[key]
    else:
        holder[key] = draw.choice(VALUES)
    return replace(sent, body=json.dumps(content, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass"))


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a JSON value: what holds it, and the key or index there."""
    listed: Iterable[Any] = (
        content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    )
    for key, value in list(listed):
        yield content, key
        yield from _places(value)


CHANGES = (_body, _body, _body, _value, _value, _value, _value, _target, _header, _method)
"""Ways to spoil a request, the likely ones more than once."""


async def call(app: ASGIApp, sent: Sent) -> Answer:
    """The application's answer, in process; the host is this machine unless the request says otherwise."""
    raw, _, query = sent.target.partition(b"?")
    headers = [*({b"host": b"127.0.0.1"} | dict(sent.headers)).items()]
    scope = {"type": "http", "http_version": "1.1", "method": sent.method, "path": unquote(raw.decode("ascii"))}
    scope |= {"raw_path": raw, "query_string": query, "root_path": "", "scheme": "http", "headers": headers}
    scope |= {"server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 1)}
    parts: list[dict[str, Any]] = [{"type": "http.request", "body": sent.body, "more_body": False}]
    told: list[Any] = []

    async def receive() -> Any:
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        told.append(message)

    await app(scope, receive, send)
    found = {name.decode("latin-1"): value.decode("latin-1") for name, value in told[0]["headers"]}
    return Answer(told[0]["status"], found, b"".join(each.get("body", b"") for each in told[1:]), scope.get("endpoint"))


class Judge:
    """Says what is wrong with an answer, by the document of the application."""

    def __init__(self, app: Any) -> None:
        document = app.openapi()
        self._parts = {"components": document["components"]}
        self._problem = self._validator(document["components"]["schemas"]["ProblemBody"])
        self._answers: dict[tuple[str, str, str], Any] = {}
        named = {}
        for path in document["paths"].values():
            for method, operation in path.items():
                named[operation["operationId"]] = (method.upper(), operation["responses"])
        self._operations = {route.endpoint: named.get(route.name) for route in app.routes}

    def _validator(self, schema: dict[str, Any]) -> Any:
        return jsonschema_rs.validator_for(schema | self._parts)

    def fault(self, sent: Sent, answer: Answer) -> str:
        """What is wrong with it; nothing when all is as described."""
        media = answer.headers.get("content-type", "").partition(";")[0]
        if answer.status >= 500:
            return f"{answer.status}"
        if answer.status >= 400 and (media != PROBLEM or self._problem_fault(answer)):
            return f"{answer.status} is no valid problem: {media} {answer.body[:80]!r}"
        known = self._operations.get(answer.endpoint)
        if known is None or known[0] != sent.method:
            return self._outside(sent, answer, known)
        return self._as_documented(known[1], answer, media)

    @staticmethod
    def _outside(sent: Sent, answer: Answer, known: Any) -> str:
        """Paths that are no operation, pages, and other methods of a path that is one."""
        due = {404, 405} if known is None else {405}
        page = answer.endpoint is not None and known is None and sent.method in {"GET", "HEAD"}
        read = known is not None and sent.method == "HEAD"
        return "" if answer.status in due or page or read else f"{answer.status} where no operation is"

    def _problem_fault(self, answer: Answer) -> bool:
        try:
            body = json.loads(answer.body)
        except ValueError:
            return True
        return not self._problem.is_valid(body) or body["status"] != answer.status or "urn:" not in body["type"]

    def _as_documented(self, responses: dict[str, Any], answer: Answer, media: str) -> str:
        described = responses.get(str(answer.status))
        if described is None:
            return f"{answer.status} is not documented"
        if media not in described["content"]:
            return f"{answer.status} as {media} is not documented"
        schema = described["content"][media]["schema"]
        if media == "text/plain":
            return ""
        key = (json.dumps(schema, sort_keys=True), str(answer.status), media)
        validator = self._answers.setdefault(key, self._validator(schema))
        return "" if validator.is_valid(json.loads(answer.body)) else f"{answer.status} does not fit its schema"


def with_key(sent: Sent, number: int) -> Sent:
    """The request with the service's key, now and then with a spoilt one or none."""
    draw = Random(-number)
    shown = {0: None, 1: _bytes(KEY.encode(), draw)}.get(draw.randrange(20), KEY.encode())
    if shown is None or b"authorization" in dict(sent.headers):
        return sent
    return replace(sent, headers=(*sent.headers, (b"authorization", b"Bearer " + re.sub(rb"[\x00\r\n]", b"", shown))))


def small_state(place: Path, **settings: Any) -> State:
    """Two hundred random customers and three linear models, opened."""
    workspace = Workspace.create(Settings(workspace=place, clock="snapshot", **settings))
    publish_snapshot(place, random_snapshot(3, 200))
    publish_models(place)
    state = State(workspace, open_answers)
    state.refresh()
    return state


def patient_app(state: State) -> FastAPI:
    """The application; its database may take its time, since a busy disk is no malformed request."""
    app = create_app(state)
    state.workspace.database().answer_within(60)
    return app


def block(place: Path, numbers: range, *, keyed: bool) -> dict[str, Any]:
    """The attack of these numbers on a service of its own, with a key or without one."""
    app = patient_app(small_state(place, **({"api_key": KEY} if keyed else {})))
    with mock.patch.object(asking, "WITHIN", 60):
        return asyncio.run(attack(app, numbers, with_key if keyed else lambda sent, _number: sent))


async def attack(app: Any, numbers: Iterable[int], dress: Any) -> dict[str, Any]:
    """Send the requests of these numbers, some at once; counts by status, and what was wrong with which."""
    judge = Judge(app)
    statuses: dict[int, int] = {}
    faults: list[str] = []
    waiting = iter(numbers)

    async def client() -> None:
        for number in waiting:
            sent = dress(request(number), number)
            try:
                answer = await call(app, sent)
            except Exception as error:  # what leaves the application is a failure of it
                faults.append(f"{number}: {type(error).__name__} {error} after {sent.method} {sent.target[:60]!r}")
                continue
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
            fault = judge.fault(sent, answer)
            if fault:
                faults.append(f"{number}: {fault} after {sent.method} {sent.target[:60]!r}")

    async with app.router.lifespan_context(app):
        await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return {"sent": sum(statuses.values()), "statuses": statuses, "faults": faults}
