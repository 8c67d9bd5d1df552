"""Request limits over all workers, body limits, and pages of other origins."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from recsys.errors import StoreUnavailable
from recsys.settings import Settings
from recsys.store import Database, LimitStore, turns
from serving.http import asking
from serving.http.limiting import Limiter
from serving.http.problems import Problem
from tests.serving.test_processes import children, serving
from tests.serving.test_state import wait_for

JSON = {"content-type": "application/json"}
ORIGIN = "https://crm.example"


@pytest.fixture
def endless(monkeypatch):
    """Nobody gives up waiting for a block, however busy the machine: who does lets the quota pass by itself."""
    monkeypatch.setattr(asking, "WITHIN", 600.0)
    monkeypatch.setattr(turns, "BUSY_MS", 600_000)


def worker(address, quota, requests, clock=lambda: 30.0):
    """How many of its requests a worker with its own connections lets pass."""
    store = LimitStore(Database.open(address))
    limiter = Limiter(quota, 60, lambda: store, clock)

    async def ask(caller="till"):
        try:
            await limiter.take(caller, {})
        except Problem:
            return False
        return True

    async def all_of_them():
        return sum(await asyncio.gather(*(ask() for _ in range(requests))))

    return asyncio.run(all_of_them())


@pytest.mark.usefixtures("endless")
@pytest.mark.parametrize("quota", [1, 7, 400])
def test_workers_together_let_pass_what_one_may(database_address, quota):
    """Four workers that each want more than the quota pass it exactly: no overshoot, nothing lost when all are busy."""
    Database.open(database_address)
    with ThreadPoolExecutor(4) as pool:
        passed = list(pool.map(lambda _: worker(database_address, quota, 2 * quota), range(4)))
    assert sum(passed) == quota


def test_an_idle_worker_holds_back_one_block(database_address):
    """A worker that asked once keeps at most 1% from the others."""
    Database.open(database_address)
    assert (worker(database_address, 1_000, 1), worker(database_address, 1_000, 2_000)) == (1, 990)


def test_a_new_window_begins_anew(database_address):
    """The quota is back when the next window begins."""
    assert [worker(database_address, 5, 9, lambda at=at: at) for at in (59.0, 59.9, 60.0)] == [5, 0, 5]


def test_a_host_whose_clock_is_behind_gets_no_window_of_its_own(database_address):
    """The newest window anyone named counts for all."""
    assert [worker(database_address, 5, 9, lambda at=at: at) for at in (61.0, 59.0)] == [5, 0]


@pytest.mark.parametrize("jump", [5 * 3600, -5 * 3600])
def test_a_clock_that_jumps_locks_nobody_out(database_address, jump):
    """Hours ahead and back again, in one worker and over the table: each time the quota is that of the window."""
    store = LimitStore(Database.open(database_address))
    now = [100_000.0]
    limiter = Limiter(5, 60, lambda: store, lambda: now[0])

    async def passed():
        return sum([await limiter.take("till", {}) is not None for _ in range(5)])

    counts = []
    for at in (0, jump, 0):
        now[0] = 100_000.0 + at
        counts.append(asyncio.run(passed()))
        with pytest.raises(Problem, match="too-many") as refused:
            asyncio.run(limiter.take("till", {}))
        assert int(refused.value.headers["Retry-After"]) <= 60
    assert (counts, worker(database_address, 5, 9, lambda: 200_000.0 + jump)) == ([5, 5, 5], 5)


def test_callers_have_limits_of_their_own(database_address):
    """One caller's requests leave another's alone."""
    store = LimitStore(Database.open(database_address))
    store.lease("a", 0, 5)
    assert (store.lease("b", 0, 5).left, store.lease("a", 0, 5).left) == (4, 3)


def test_without_the_store_a_worker_limits_by_itself():
    """Answering comes before limiting: the quota counts for each worker alone."""

    def away():
        raise StoreUnavailable("away")

    limiter = Limiter(3, 60, away, lambda: 0.0)

    async def passed():
        return [await limiter.take("till", {}) for _ in range(3)]

    assert len(asyncio.run(passed())) == 3
    with pytest.raises(Problem, match="too-many"):
        asyncio.run(limiter.take("till", {}))


def test_answers_tell_the_limit_and_the_last_when_to_come_back(make_workspace, serve):
    """Policy and what is left on every answer; past it 429 as a problem with Retry-After."""
    http = serve(make_workspace(rate_limit=3, rate_window=86_400)).http
    answers = [http.get("/v1/models") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0"]
    assert answers[0].headers["ratelimit-policy"] == '"requests";q=3;w=86400'
    assert answers[3].headers["content-type"] == "application/problem+json"
    assert 1 <= int(answers[3].headers["retry-after"]) <= 86_400


def owner(workers, stream):
    """Which of the worker processes holds the other end of a connection (Linux); None while none has accepted it."""
    here, there = (f":{stream.get_extra_info(name)[1]:04X}" for name in ("client_addr", "server_addr"))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(there) and row[2].endswith(here)}
    held = {pid: {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()} for pid in workers}
    return next((pid for pid, links in held.items() if links & inodes), None)


def one_for_each(stack, address, workers):
    """A client for each worker process, over a connection that stays open; any may take a new connection."""
    clients = {}

    def connect():
        http = stack.enter_context(httpx.Client(base_url=address, timeout=60))
        stream = http.get("/health/live").extensions["network_stream"]
        clients.setdefault(owner(workers, stream), http)
        return set(clients) >= set(workers)

    assert wait_for(connect)
    return [clients[pid] for pid in workers]


def test_two_worker_processes_together_let_pass_the_quota(make_workspace):
    """Blocks of three of a window of a day: one worker takes most, the other the rest; the first then has no more."""
    environment = {"BARISTA_RATE_LIMIT": "300", "BARISTA_RATE_WINDOW": "86400"}
    with ExitStack() as stack:
        options = ("--workers", "2", "--log-level", "error")  # nobody reads the log meanwhile
        process, address = stack.enter_context(serving(make_workspace(), *options, **environment))
        assert wait_for(lambda: len(children(process.pid)) == 2)
        first, second = one_for_each(stack, address, children(process.pid))
        asked = [(first, 200), (second, 200), (first, 20)]
        passed = [sum(http.get("/v1/models").status_code == 200 for _ in range(count)) for http, count in asked]
    assert (passed[0], 0 < passed[1] < 200, 300 <= sum(passed) <= 315) == (200, True, True)


def test_probes_have_no_limit(make_workspace, serve):
    """An orchestrator's questions are never counted."""
    http = serve(make_workspace(rate_limit=1)).http
    assert {http.get("/health/ready").status_code for _ in range(5)} == {200}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"customer_id": ' + b"[" * 33 + b"]" * 33 + b"}", "too deep"),
        (b'{"customer_id": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}", "too deep"),
        (b'{"customer_id": [' + b"[]," * 40 + b"[]]}", "Expected `str`"),
        (b'{"customer_id": ["' + b"[" * 50 + b'"]}', "Expected `str`"),
    ],
)
def test_nesting_is_looked_into_so_deep_and_no_deeper(shared, body, said):
    """Depth counts, not the number of brackets, nor those within a text."""
    answer = shared.http.post("/v1/recommendations", content=body, headers=JSON)
    assert (answer.status_code, said in answer.json()["detail"]) == (422, True)


def test_a_named_origin_may_call(make_workspace, serve):
    """Its preflight is answered, its pages may read answers and the headers that matter."""
    http = serve(make_workspace(cors_origins=(ORIGIN,))).http
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    preflight, answer = http.options("/v1/events", headers=asked), http.get("/v1/models", headers={"Origin": ORIGIN})
    assert (preflight.status_code, preflight.headers["access-control-allow-methods"]) == (204, "GET, POST, DELETE")
    assert [each.headers["access-control-allow-origin"] for each in (preflight, answer)] == [ORIGIN, ORIGIN]
    assert "RateLimit" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origin", ["https://crm.example.org", "http://crm.example", "https://CRM.example", "null"])
def test_an_origin_almost_named_gets_nothing(make_workspace, serve, origin):
    """Origins are compared exactly; errors carry no permission either."""
    http = serve(make_workspace(cors_origins=(ORIGIN,))).http
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answers = [http.options("/v1/events", headers=asked), http.get("/v1/nothing", headers={"Origin": origin})]
    assert [name for each in answers for name in each.headers if name.startswith("access-control")] == []


@pytest.mark.parametrize("origin", ["*", "crm.example", "https://*.example", "https://crm.example/"])
def test_an_origin_that_is_not_exact_is_refused(origin):
    """No star, no path."""
    with pytest.raises(ValidationError, match="origin"):
        Settings(cors_origins=(origin,))


def test_who_waits_for_anothers_block_does_so_for_a_while_only(monkeypatch):
    """A block that is leased for long holds nobody up: this worker then lets the quota pass by itself."""
    monkeypatch.setattr(asking, "WITHIN", 0.05)
    limiter = Limiter(3, 60, lambda: None, lambda: 0.0)

    async def passed():
        await limiter._share("till").lock.acquire()
        return await limiter.take("till", {})

    assert asyncio.run(passed())["RateLimit"].startswith('"requests";r=2;')
