"""Postgres down, stalled or reset behind a proxy: how long writes take to be refused, how soon the service recovers."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest

from recsys.store import Database
from recsys.workspace import Workspace
from serving.http.local import serve_locally
from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from tests.faults.proxy import FaultProxy, Mode, fault_proxy
from tests.faults.workspaces import small_workspace
from tests.postgres import PostgresServer, running_postgres

COMMAND = "make faults FAULTS='-k outage'"
ROUNDS = 10
RESETS = 100
LIMIT = 30.0
"""When a service that does not recover is given up [s]."""

KEY = "Idempotency-Key"
EVENT = {"type": "purchase", "customer_id": "c0001", "lines": [{"product_id": "tea", "quantity": 1, "amount": 2.1}]}


@pytest.mark.timeout(1_000)
def test_outages_are_short_and_lose_nothing() -> None:
    """Writes are refused within 2 s, kept again within 5 s of the end; reads go on."""
    figures = run()
    write_figures("faults_outage", figures)
    assert [figure["name"] for figure in figures if figure["holds"] is False] == []


def run() -> list[dict[str, Any]]:
    """Each fault ten times on one running service."""
    with running_postgres() as server:
        broken = [each for mode in ("down", "stall") for each in _broken(server, mode)]
        return [*broken, *_reset(server), *_locked()]


def _broken(server: PostgresServer, mode: Mode) -> list[dict[str, Any]]:
    seen, counts = _nothing_seen()
    with _proxied(server) as (proxy, workspace, http):
        for number in range(ROUNDS):
            _round(partial(proxy.set, mode), partial(proxy.set, "pass"), http, f"{mode}-{number}", seen, counts)
        kept = workspace.events().count()
    return [
        *_refusals(f"database {mode}", seen),
        figure(f"database {mode}: slowest read, marked stale", max(seen["read"]), "s", COMMAND),
        figure(f"database {mode}: slowest recovery of writes", max(seen["recovered"]), "s", COMMAND, at_most=5),
        figure(
            f"database {mode}: answers other than 503, or reads not marked", counts["wrong"], "", COMMAND, at_most=0
        ),
        figure(f"database {mode}: offers kept nowhere", counts["unrecorded"], "", COMMAND, at_most=0),
        figure(f"database {mode}: acknowledged events lost", 3 * ROUNDS - kept, f"of {3 * ROUNDS}", COMMAND, at_most=0),
    ]


def _nothing_seen() -> tuple[dict[str, list[float]], dict[str, int]]:
    """Times by what was asked, and counts of what went wrong, before the first round."""
    return {each: [] for each in (*WRITES, "offer", "read", "recovered")}, {"wrong": 0, "unrecorded": 0}


def _refusals(what: str, seen: dict[str, list[float]]) -> list[dict[str, Any]]:
    """How long each kind of write took to be refused, and offers under a key to be made anew."""
    said = {"report": "503 of a write", "keyed": "503 of a keyed write", "erase": "503 of an erasure"}
    said["offer"] = "answer to offers under a key"
    return [figure(f"{what}: slowest {text}", max(seen[name]), "s", COMMAND, at_most=2) for name, text in said.items()]


@contextmanager
def _proxied(server: PostgresServer) -> Iterator[tuple[FaultProxy, Workspace, httpx.Client]]:
    """A service whose Postgres stands behind a proxy."""
    name = server.new_database().partition("?")[0].rpartition("/")[2]
    with fault_proxy(server.socket) as proxy, tempfile.TemporaryDirectory() as place:
        address = f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/{name}?sslmode=disable&gssencmode=disable"
        workspace = small_workspace(Path(place) / "workspace", database_url=address)
        with serve_locally(workspace) as local, httpx.Client(base_url=local.address, timeout=60) as http:
            yield proxy, workspace, http


def _reset(server: PostgresServer) -> list[dict[str, Any]]:
    """All connections broken again and again between requests, new ones let through."""
    wrong = 0
    with _proxied(server) as (proxy, workspace, http):
        for number in range(RESETS):
            proxy.reset()
            wrong += _report(http, f"reset-{number}").status_code != 200
            proxy.reset()
            offers = http.post("/v1/recommendations", json={"customer_id": "c0001"}).json()
            wrong += offers["stale"] or not offers["recorded"]
        kept = workspace.events().count()
    said = f"of {2 * RESETS}"
    return [
        figure("connections reset: writes refused, reads stale or unrecorded", wrong, said, COMMAND, at_most=0),
        figure("connections reset: acknowledged events lost", RESETS - kept, f"of {RESETS}", COMMAND, at_most=0),
    ]


def _locked() -> list[dict[str, Any]]:
    """SQLite in the hands of another program."""
    seen, counts = _nothing_seen()
    with tempfile.TemporaryDirectory() as place:
        workspace = small_workspace(Path(place) / "workspace")
        other = Database.open(workspace.directory / "barista.db")
        with serve_locally(workspace) as local, httpx.Client(base_url=local.address, timeout=60) as http:
            for number in range(ROUNDS):
                block = ExitStack()
                lock, unlock = partial(block.enter_context, other.writing()), block.close
                _round(lock, unlock, http, f"lock-{number}", seen, counts, stale=None)
            kept = workspace.events().count()
        other.close()
    return [
        *_refusals("SQLite locked", seen),
        figure("SQLite locked: slowest read", max(seen["read"]), "s", COMMAND),
        figure("SQLite locked: slowest recovery of writes", max(seen["recovered"]), "s", COMMAND, at_most=5),
        figure("SQLite locked: answers other than 503", counts["wrong"], "", COMMAND, at_most=0),
        figure("SQLite locked: offers kept nowhere", counts["unrecorded"], "", COMMAND, at_most=0),
        figure("SQLite locked: acknowledged events lost", 3 * ROUNDS - kept, f"of {3 * ROUNDS}", COMMAND, at_most=0),
    ]


def _round(
    break_it: Callable[[], object],
    mend: Callable[[], object],
    http: httpx.Client,
    prefix: str,
    seen: dict[str, list[float]],
    counts: dict[str, int],
    stale: bool | None = True,
) -> None:
    """Break, write, read, mend, write until all is kept; `stale` is what reads must say meanwhile, None for either.

    The kinds of writes take turns in finding the outage. Nothing sent under a key is done twice.
    """
    _report(http, f"{prefix}-before").raise_for_status()
    break_it()
    turn = next(TURNS)
    for name in (*KINDS[turn:], *KINDS[:turn]):
        answer = _timed(seen[name], partial(WRITES[name], http, prefix))
        counts["wrong"] += answer.status_code != 503 or "retry-after" not in answer.headers
        for kind, key in (("read", {}), ("offer", {KEY: f"{prefix}-offer"})):
            offers = _timed(seen[kind], partial(_offers, http, key)).json()
            counts["wrong"] += stale is not None and offers["stale"] != stale
            counts["unrecorded"] += not offers["recorded"]
    mend()
    start = time.perf_counter()
    for name in KINDS:
        while WRITES[name](http, prefix).status_code != 200 and time.perf_counter() - start < LIMIT:
            time.sleep(0.05)
    seen["recovered"].append(time.perf_counter() - start)
    counts["wrong"] += "idempotency-replayed" not in _keyed(http, prefix).headers


def _timed(times: list[float], ask: Callable[[], httpx.Response]) -> httpx.Response:
    start = time.perf_counter()
    answer = ask()
    times.append(time.perf_counter() - start)
    return answer


def _offers(http: httpx.Client, headers: dict[str, str]) -> httpx.Response:
    return http.post("/v1/recommendations", json={"customer_id": "c0001"}, headers=headers).raise_for_status()


def _report(http: httpx.Client, event_id: str, **headers: str) -> httpx.Response:
    return http.post("/v1/events", json={"events": [EVENT | {"event_id": event_id}]}, headers=headers)


def _keyed(http: httpx.Client, prefix: str) -> httpx.Response:
    return _report(http, f"{prefix}-keyed", **{KEY: f"{prefix}-keyed"})


WRITES: dict[str, Callable[[httpx.Client, str], httpx.Response]] = {
    "report": lambda http, prefix: _report(http, f"{prefix}-after"),
    "keyed": _keyed,
    "erase": lambda http, _prefix: http.delete("/v1/customers/c0002"),
}
"""Writes of a round by kind; nothing counted is about the customer who is erased."""

KINDS = tuple(WRITES)
TURNS = cycle(range(len(KINDS)))
"""Which kind of write finds the next outage."""
