"""More requests than a worker takes on: some are refused at once, the others answered."""

import asyncio
import shutil
import socket
from types import SimpleNamespace

import httpx
import pytest

from serving.answers import open_answers
from serving.http.admission import LONGEST, Admission, Gate
from serving.http.app import create_app
from serving.http.local import answering
from serving.http.metrics import Metrics
from serving.http.state import State
from tests.serving.conftest import reopened
from tests.serving.test_state import wait_for


class Held:
    """An application whose answers wait for `go`."""

    def __init__(self) -> None:
        self.go, self.answered = asyncio.Event(), 0

    async def __call__(self, scope, receive, send) -> None:
        await self.go.wait()
        self.answered += 1


async def asked(admission: Admission, path: str, sent: list) -> None:
    """One request; what is sent for it."""

    async def send(message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "state": {"request_id": "r"}}
    await admission(scope, None, send)


async def flood(limit: int, paths: list[str]) -> tuple[int, list[list], list[int]]:
    """Ask for all paths at once: how many the application answered, what the others got, and the counts told."""
    held, told = Held(), []
    admission = Admission(held, Gate(limit, told.append))
    sents = [[] for _ in paths]
    asking = [asyncio.create_task(asked(admission, path, sent)) for path, sent in zip(paths, sents, strict=True)]
    for _ in range(5):
        await asyncio.sleep(0)
    held.go.set()
    await asyncio.gather(*asking)
    return held.answered, [sent for sent in sents if sent], told


def test_what_is_beyond_the_bound_is_refused_at_once():
    """Eleven at once where two are under way for long, eight for a moment: three 503 that say when to come again."""
    answered, refused, _ = asyncio.run(flood(2, ["/v1/recommendations"] * 11))
    starts = [(sent[0]["status"], (b"retry-after", b"1") in sent[0]["headers"]) for sent in refused]
    assert (answered, starts) == (8, [(503, True)] * 3)


@pytest.mark.parametrize(
    ("counts", "refused"),
    [
        ([(0.0, 7), (4.9, 7)], [False, False]),  # a burst of less than five seconds
        ([(0.0, 8)], [True]),  # as many as any burst may bring
        ([(0.0, 8), (0.1, 5), (0.2, 2), (0.3, 1)], [True, True, True, False]),  # they end it
        ([(0.0, 2), (5.0, 2), (9.0, 2), (9.0, 1)], [False, True, True, False]),  # overload: two and no more
        ([(0.0, 3), (2.5, 1), (4.9, 3), (9.8, 3), (10.0, 3)], [False, False, False, False, True]),  # two bursts
    ],
)
def test_more_than_the_bound_is_taken_on_for_some_seconds(counts, refused):
    """Bound 2, burst 8: when so many are under way at such instants, the next one is refused or not."""
    now = [0.0]
    gate = Gate(2, lambda _count: None, clock=lambda: now[0])

    async def entered() -> list[bool]:
        told, under_way = [], 0
        for now[0], count in counts:
            while under_way > count:
                gate.leave()
                under_way -= 1
            asking = [asyncio.create_task(gate.enter()) for _ in range(count - under_way)]
            assert all([await each for each in asking])
            under_way = count
            told.append(gate.full)
        return told

    assert asyncio.run(entered()) == refused


@pytest.mark.parametrize("path", ["/health/ready", "/health/live", "/metrics"])
def test_health_and_metrics_are_answered_all_the_same(path):
    """Under overload one still sees how it is."""
    answered, refused, _ = asyncio.run(flood(1, ["/v1/models", path, path]))
    assert (answered, refused) == (3, [])


def test_the_count_goes_up_and_down_again():
    """Requests under way are told; none is left when all are answered."""
    _, _, told = asyncio.run(flood(2, ["/v1/models"] * 3))
    assert (max(told), told[-1]) == (3, 0)


def test_a_request_that_fails_is_no_longer_under_way():
    """An error frees its place."""

    async def broken(scope, receive, send) -> None:
        raise RuntimeError

    told = []
    admission = Admission(broken, Gate(1, told.append))
    with pytest.raises(RuntimeError):
        asyncio.run(asked(admission, "/v1/models", []))
    assert told == [1, 0]


class Rounds:
    """An application that notes in which round of the event loop each request is computed."""

    def __init__(self) -> None:
        self.round, self.computed = 0, []

    async def __call__(self, scope, receive, send) -> None:
        self.computed.append(self.round)

    def count(self) -> None:
        self.round += 1
        if self.round < 50:
            asyncio.get_running_loop().call_soon(self.count)


def test_one_is_computed_in_each_round_of_the_event_loop():
    """Between two that compute the loop reads what has arrived; nobody's turn is forgotten."""

    async def all_at_once() -> list[int]:
        app = Rounds()
        admission = Admission(app, Gate(9, lambda _count: None))
        asyncio.get_running_loop().call_soon(app.count)
        await asyncio.gather(*(asked(admission, "/v1/models", []) for _ in range(6)))
        return app.computed

    computed = asyncio.run(all_at_once())
    assert (len(computed), len(set(computed)), computed) == (6, 6, sorted(computed))


@pytest.mark.parametrize(
    ("seconds", "refused"),
    [
        (LONGEST / 4, 0),
        (LONGEST + 0.01, 4),  # the second waited too long, but nobody had before
        (3 * LONGEST, 4),
    ],
)
def test_who_waited_too_long_for_the_turn_is_refused(seconds, refused):
    """Six at once, each computed for so long: once turns come late for a while, late ones are refused."""
    now, sents, told = [0.0], [[] for _ in range(6)], []

    async def slow(scope, receive, send) -> None:
        await asyncio.sleep(0)
        now[0] += seconds

    async def all_at_once() -> None:
        admission = Admission(slow, Gate(9, told.append, clock=lambda: now[0]))
        await asyncio.gather(*(asked(admission, "/v1/models", sent) for sent in sents))

    asyncio.run(all_at_once())
    statuses = [sent[0]["status"] for sent in sents if sent]
    assert (statuses, told[-1]) == ([503] * refused, 0)


def test_a_stall_is_no_overload():
    """After a pause of ten seconds those that waited are answered: their turns come one right after the other."""
    now, sents = [0.0], [[] for _ in range(6)]

    async def stalled(scope, receive, send) -> None:
        await asyncio.sleep(0)
        now[0] = 10.0

    async def all_at_once() -> None:
        admission = Admission(stalled, Gate(9, lambda _count: None, clock=lambda: now[0]))
        await asyncio.gather(*(asked(admission, "/v1/models", sent) for sent in sents))

    asyncio.run(all_at_once())
    assert [sent for sent in sents if sent] == []


def test_one_that_goes_away_while_it_waits_frees_its_place():
    """A cancelled request is no longer under way, and the next one gets its turn."""

    async def go_away() -> tuple[int, list[int]]:
        held, told = Held(), []
        admission = Admission(held, Gate(3, told.append))
        asking = [asyncio.create_task(asked(admission, "/v1/models", [])) for _ in range(3)]
        await asyncio.sleep(0)
        asking[1].cancel()
        held.go.set()
        await asyncio.gather(*asking, return_exceptions=True)
        return held.answered, told

    answered, told = asyncio.run(go_away())
    assert (answered, told[-1]) == (2, 0)


@pytest.fixture(scope="module")
def full(template, tmp_path_factory):
    """Address of a service that has no place for any request, and its metrics."""
    place = tmp_path_factory.mktemp("full") / "workspace"
    shutil.copytree(template, place)
    state, metrics = State(reopened(place), open_answers), Metrics()
    state.refresh()
    app = create_app(state, metrics)
    app.state.gate._limit = 0
    with answering(app) as address:
        yield address, metrics


def exchange(address: str, *sent: bytes) -> bytes:
    """All that is answered on one connection until it is closed from there."""
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        for each in sent:
            connection.sendall(each)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


LAST = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
BODY = b'{"customer_id": "ann"}'
HEAD = b"POST /v1/recommendations HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-Id: %b\r\nContent-Length: 22\r\n"


def test_a_refusal_on_the_wire_is_that_of_the_application(full):
    """What is refused before a request is made of it gets the same answer, header by header, but for its id."""
    address, _ = full
    with httpx.Client(base_url=address) as http:
        short = http.post("/v1/recommendations", json={}, headers={"X-Request-Id": "r.1"})
        long = http.post("/v1/recommendations", json={}, headers={"X-Request-Id": "r.1", "Origin": "https://crm"})
    kept = [{name: value for name, value in each.headers.items() if name != "date"} for each in (short, long)]
    assert (short.status_code, kept[0], short.json()) == (503, kept[1], long.json())


def test_a_refused_connection_goes_on(full):
    """The body of a refused request, in one piece or many, is skipped: the next request of the connection is read."""
    address, _ = full
    whole = HEAD % b"one" + b"\r\n" + BODY
    told = exchange(address, whole, whole[:-5], whole[-5:], LAST)
    assert [told.count(each) for each in (b" 503 ", b" 200 ", b'request:one"')] == [2, 1, 2]


def test_who_waits_to_send_the_body_is_refused_and_closed(full):
    """`Expect: 100-continue`: what comes next could be the body or another request, so nothing more is read."""
    address, _ = full
    told = exchange(address, HEAD % b"one" + b"Expect: 100-continue\r\n\r\n")
    assert (told.count(b" 503 "), b"connection: close" in told) == (1, True)


def test_answers_leave_in_the_order_of_their_requests(full):
    """A refusal does not overtake the answer to a request before it on the same connection."""
    address, _ = full
    health = b"GET /health/ready HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    told = exchange(address, health + HEAD % b"one" + b"Connection: close\r\n\r\n" + BODY)
    assert 0 < told.find(b" 200 ") < told.find(b" 503 ")


def test_a_refused_question_without_a_body_gets_none(full):
    """HEAD is refused by the head alone."""
    address, _ = full
    told = exchange(address, b"HEAD /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert (b" 503 " in told, told.endswith(b"\r\n\r\n")) == (True, True)


def test_refusals_are_counted_and_told_once_a_while(full, monkeypatch):
    """Each is in the metrics; one log line says how many there were."""
    address, metrics = full
    name, key = "barista_requests_total", ("POST", "other", "503")
    before, lines = metrics.sums(name).get(key, 0.0), []
    monkeypatch.setattr("serving.http.admission.LOG", SimpleNamespace(warning=lambda *_, **said: lines.append(said)))
    exchange(address, *[HEAD % b"one" + b"\r\n" + BODY] * 5, LAST)
    assert wait_for(lambda: lines)
    assert (metrics.sums(name)[key] - before, lines[0]["refused"] >= 5) == (5.0, True)


def test_a_flood_is_answered_or_refused(make_workspace, serve):
    """Sixty at once where two are taken on: each is answered 200 or 503, some of both, and afterwards all is well."""
    service = serve(make_workspace(most_requests=2))

    async def flood() -> list[int]:
        async with httpx.AsyncClient(base_url=service.http.base_url, limits=httpx.Limits(max_connections=60)) as http:
            asking = (http.post("/v1/recommendations", json={"customer_id": "ann"}) for _ in range(60))
            return [answer.status_code for answer in await asyncio.gather(*asking)]

    statuses = asyncio.run(flood())
    assert (set(statuses), len(statuses), service.offers()["recorded"]) == ({200, 503}, 60, True)
