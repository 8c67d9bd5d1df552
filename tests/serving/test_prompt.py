"""An answer given in its turn is the one by the long way, and nothing that waits behind it suffers."""

import asyncio
import json
import socket
from collections import Counter
from contextlib import contextmanager

import httpx
import pytest
from starlette.testclient import TestClient

from recsys.store import KeyStore
from serving.http.admission import LONGEST, SLICE, Gate
from serving.http.app import create_app
from serving.http.envelope import AT_ONCE, RequestIds
from serving.http.local import answering
from serving.http.metrics import Metrics
from serving.http.wire import Wire

CHANGING = {"date", "x-request-id", "ratelimit"}
SCORES = "/v1/customers/ann/scores"


@contextmanager
def short(app):
    """Where `app` answers, and how many answers were given in their turn."""
    given = Counter()
    find = app.state.prompts.answer

    def counted(way, scope):
        whole = find(way, scope)
        given["prompt" if whole is not None else "long"] += 1
        return whole

    app.state.prompts.answer = counted
    with answering(app) as address:
        yield address, given


def seen(http, path, headers):
    """Status, headers but for those that change, and body but for the request's id."""
    found = http.get(path, headers={"Host": "127.0.0.1", "X-Request-Id": "mine"} | headers)
    kept = sorted((name, value) for name, value in found.headers.multi_items() if name not in CHANGING)
    return found.status_code, kept, found.content


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (SCORES, {}),
        (SCORES + "?reasons=true", {}),
        (SCORES + "?nonsense=1", {}),
        ("/v1/customers/%0A/scores", {}),
        ("/v1/customers/caf%C3%A9/scores", {}),
        (SCORES, {"If-None-Match": "*"}),
        (SCORES, {"Host": "elsewhere"}),
    ],
)
def test_in_its_turn_as_by_the_long_way(service, path, headers):
    """Answers and problems have the same status, headers and bytes as those of the application in any server."""
    app = create_app(service.state)
    with short(app) as (address, given), httpx.Client(base_url=address) as http:
        prompt = seen(http, path, headers)
    with TestClient(create_app(service.state), base_url="http://127.0.0.1") as client:
        assert (prompt, given) == (seen(client, path, headers), {"prompt": 1})


def test_ids_of_requests_are_never_the_same():
    """More than are made at once, 32 hexadecimal digits each."""
    ids = RequestIds()
    made = {ids.of({"headers": []}) for _ in range(3 * AT_ONCE)}
    assert (len(made), {len(each) for each in made}) == (3 * AT_ONCE, {32})


def test_an_unforeseen_error_is_a_500_with_its_id(service, monkeypatch):
    """Nothing of the error leaves, and the connection goes on."""
    app = create_app(service.state)

    def broken(*_arguments, **_options):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(app.state.service, "scored", broken)
    with short(app) as (address, given), httpx.Client(base_url=address) as http:
        found = [http.get(SCORES, headers={"X-Request-Id": "mine"}) for _ in range(2)]
    told = found[1].json()
    assert (found[1].status_code, told["instance"][-4:], b"secret" in found[1].content, given["prompt"]) == (
        500,
        "mine",
        False,
        2,
    )


def test_each_is_counted_once(service):
    """One request in the metrics, by route, method and status."""
    metrics = Metrics()
    with short(create_app(service.state, metrics)) as (address, _):
        httpx.get(address + SCORES)
    assert metrics.sums("barista_requests_total") == {("GET", "/v1/customers/{customer_id}/scores", "200"): 1.0}


def test_a_new_key_goes_the_long_way_and_opens(make_workspace, serve):
    """A key made since the ring was read is looked for in the store, which may wait; what is no key is not."""
    workspace = make_workspace()
    store = KeyStore(workspace.database())
    old, _ = store.create("old", ["score"])
    state = serve(workspace).state
    app = create_app(state)
    app.state.guards.refresh = lambda: None
    new, _ = store.create("new", ["score"])
    with short(app) as (address, given):
        statuses = [
            httpx.get(address + SCORES, headers={"Authorization": f"Bearer {key}"}).status_code
            for key in (old, new, f"{new}strange", "strange")
        ]
    assert (statuses, given) == ([200, 200, 401, 401], {"prompt": 2, "long": 2})


def exchange(address, sent):
    """All that is answered on one connection to bytes sent at once."""
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def asked(path, name, more=""):
    """One GET as bytes."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-Id: {name}\r\n{more}\r\n".encode()


def test_pipelined_answers_leave_in_their_order(service):
    """Requests sent at once on one connection, of both kinds, are answered one after the other."""
    with short(create_app(service.state)) as (address, _):
        sent = [asked(SCORES, "r1"), asked("/v1/models", "r2"), asked(SCORES, "r3"), asked(SCORES, "r4")]
        told = exchange(address, b"".join([*sent, asked("/health/live", "r5", "Connection: close\r\n")]))
    places = [told.find(f"x-request-id: r{k}".encode()) for k in range(1, 6)]
    assert (min(places) >= 0, places) == (True, sorted(places))


def test_a_caller_that_leaves_holds_nobody_up(service):
    """Ten ask and go away before the answer; the next one is answered, and nothing stays under way."""
    app = create_app(service.state)
    with short(app) as (address, _):
        host, _, port = address.removeprefix("http://").partition(":")
        for _ in range(10):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(asked(SCORES, "gone"))
        status = httpx.get(address + SCORES).status_code
    assert (status, app.state.gate._under_way) == (200, 0)


def test_pages_of_other_origins_are_looked_at(make_workspace, serve):
    """With CORS every answer passes the layer that marks it."""
    assert create_app(serve(make_workspace(cors_origins=["https://crm.example"])).state).state.prompts is None


async def turned(gate, turns):
    """Queue `turns` at once and let the loop run."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: failures.append(context["exception"]))
    failures = []
    for turn in turns:
        gate.queue(turn, loop)
    for _ in range(30):
        await asyncio.sleep(0)
    return failures


def test_a_failing_turn_takes_no_other_with_it():
    """Neither the next turns nor the answers that are ready to leave."""
    left, told = [], []

    def broken(_in_time):
        raise ZeroDivisionError

    turns = [lambda _in_time: lambda: left.append(1), broken, lambda _in_time: lambda: 1 / 0, lambda _: left.append(2)]
    failures = asyncio.run(turned(Gate(9, told.append), turns))
    assert (sorted(left), [type(each) for each in failures], told[-1]) == ([1, 2], [ZeroDivisionError] * 2, 0)


@pytest.mark.parametrize(("seconds", "slices"), [(SLICE / 4.5, [5, 1]), (SLICE * 2, [1] * 6), (0.0, [6])])
def test_answers_leave_at_the_end_of_their_slice(seconds, slices):
    """As many as fit into a slice leave together, at least one; the loop reads between two slices."""
    now, done = [0.0], []

    def turn(_in_time):
        now[0] += seconds
        done.append("computed")
        return lambda: done.append("left")

    asyncio.run(turned(Gate(9, lambda _count: None, clock=lambda: now[0]), [turn] * 6))
    computed = [len(each) for each in "".join(each[0] for each in done).replace("l", " ").split()]
    assert computed == slices


def test_turns_that_come_late_for_long_are_refused():
    """Each computed for half as long as one may wait: who waited longer, after others that did, is refused."""
    now, fates = [0.0], []

    def turn(in_time):
        now[0] += LONGEST / 2
        fates.append(in_time)

    asyncio.run(turned(Gate(9, lambda _count: None, clock=lambda: now[0]), [turn] * 7))
    assert fates == [True] * 5 + [False] * 2


def test_uvicorn_starts_each_request_by_the_method_we_override():
    """If uvicorn renames it, answers would all take the long way and full gates not be seen."""
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    names = HttpToolsProtocol.on_headers_complete.__code__.co_names
    assert ("_start_asgi_task" in names, "_start_asgi_task" in vars(Wire)) == (True, True)


def test_a_late_turn_is_answered_503(service, monkeypatch):
    """It is the refusal every other way gives, and counted as one without a route."""
    metrics = Metrics()
    app = create_app(service.state, metrics)
    monkeypatch.setattr(app.state.gate, "_too_late", lambda _waited: True)
    with short(app) as (address, _):
        found = httpx.get(address + SCORES)
    told = json.loads(found.content)["type"].rpartition(":")[2]
    counted = metrics.sums("barista_requests_total")
    assert (found.status_code, told, found.headers["retry-after"], counted) == (
        503,
        "overloaded",
        "1",
        {("GET", "other", "503"): 1.0},
    )


def test_a_late_turn_of_the_long_way_is_counted_without_a_route_too(service, monkeypatch):
    """What was only looked up on the connection is not told its route."""
    metrics = Metrics()
    app = create_app(service.state, metrics)

    async def full():
        return False

    monkeypatch.setattr(app.state.gate, "enter", full)
    with answering(app) as address:
        httpx.get(address + "/v1/models")
    assert metrics.sums("barista_requests_total") == {("GET", "other", "503"): 1.0}
