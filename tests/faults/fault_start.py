"""A service that starts while its Postgres is down or stalled: how soon it answers, with what, and how it heals."""

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from recsys.store import KeyStore
from recsys.workspace import Workspace
from serving.erased import KEPT
from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from tests.faults.killing import Acknowledged, lost, start
from tests.faults.proxy import FaultProxy, Mode, fault_proxy
from tests.faults.waiting import holds_within
from tests.faults.workspaces import small_workspace
from tests.postgres import PostgresServer, running_postgres

COMMAND = "make faults FAULTS='-k without_its_database'"
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "10"))
LIMIT = 30.0
"""When a service that does not heal is given up [s]."""

OWN_KEY = "k" * 43
"""The key of the settings, which opens without a database."""

KNOWN, ERASED = "c0001", "c0003"
EVENT = {"type": "purchase", "customer_id": KNOWN, "lines": [{"product_id": "tea", "quantity": 1, "amount": 2.1}]}


@dataclass
class Outcome:
    """Times by what was asked [s], answers that were not what they must be, and what was acknowledged."""

    times: dict[str, list[float]] = field(default_factory=lambda: {each: [] for each in ("start", "write", "read")})
    healed: list[float] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)
    checks: int = 0
    acknowledged: Acknowledged = field(default_factory=Acknowledged)

    def check(self, what: str, holds: bool) -> None:
        """Count an answer, and what was wrong with it."""
        self.checks += 1
        self.wrong[what] += not holds


@pytest.mark.timeout(1_200)
def test_a_service_starts_without_its_database() -> None:
    """It answers from the snapshot, refuses writes within 2 s, does everything within 5 s of the end of the outage."""
    with running_postgres() as server:
        figures = [each for mode in ("down", "stall") for each in _started(server, mode)]
    write_figures("faults_start", figures)
    assert [figure["name"] for figure in figures if figure["holds"] is False] == []


def _started(server: PostgresServer, mode: Mode) -> list[dict[str, Any]]:
    """Many starts of one workspace, in turn with and without what was read of the erasures before."""
    name, seen = server.new_database().partition("?")[0].rpartition("/")[2], Outcome()
    with fault_proxy(server.socket) as proxy, tempfile.TemporaryDirectory() as place:
        address = f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/{name}?sslmode=disable&gssencmode=disable"
        workspace = small_workspace(Path(place) / "workspace", database_url=address)
        key, _ = KeyStore(workspace.database()).create("till", ["recommend", "score", "events"])
        erased = _erased(workspace, address)
        for number in range(ROUNDS):
            _remember(workspace, erased if number % 2 == 0 else None)
            _round(proxy, mode, workspace, address, key, f"{mode}-{number}", number % 2 == 0, seen)
        gone = sum(lost(workspace.directory, seen.acknowledged, address))
    print(f"{mode}: {dict(+seen.wrong)}")
    return _figures(f"database {mode} at the start:", seen, gone)


def _erased(workspace: Workspace, address: str) -> str:
    """What a service keeps beside the data after it erased a customer."""
    kept = workspace.directory / KEPT
    with _service(workspace, address) as http:
        http.delete(f"/v1/customers/{ERASED}").raise_for_status()
        holds_within(LIMIT, lambda: kept.exists() and _evidence(http, ERASED) == "low")
        time.sleep(1.5)  # as often as it reads the erasures again
    return kept.read_text()


def _remember(workspace: Workspace, erased: str | None) -> None:
    kept = workspace.directory / KEPT
    kept.unlink(missing_ok=True)
    if erased is not None:
        kept.write_text(erased)


@contextmanager
def _service(workspace: Workspace, address: str) -> Iterator[httpx.Client]:
    """A process that serves the workspace, asked with the key of its settings."""
    given = {"BARISTA_API_KEY": OWN_KEY, "BARISTA_REFRESH_SECONDS": "0.5"}
    process, where = start(workspace.directory, workers=1, address=address, **given)
    try:
        with httpx.Client(base_url=where, headers=_bearer(OWN_KEY), timeout=60) as http:
            yield http
    finally:
        process.terminate()
        process.wait(15)


def _round(
    proxy: FaultProxy,
    mode: Mode,
    workspace: Workspace,
    address: str,
    key: str,
    name: str,
    remembers: bool,
    seen: Outcome,
) -> None:
    """One start in the outage, what it answers, the end of the outage, what it answers then."""
    proxy.set(mode)
    begun = time.perf_counter()
    try:
        with _service(workspace, address) as http:
            http.get("/health/live").raise_for_status()
            seen.times["start"].append(time.perf_counter() - begun)
            _away(http, key, name, remembers, seen)
            proxy.set("pass")
            _back(http, key, name, seen)
    finally:
        proxy.set("pass")


def _away(http: httpx.Client, key: str, name: str, remembers: bool, seen: Outcome) -> None:
    """Reads from the snapshot, writes refused, keys of the settings only; nobody is shown who may be erased."""
    scores = seen_in(seen.times["read"], lambda: http.get(f"/v1/customers/{KNOWN}/scores")).json()
    seen.check("scores stale", scores["stale"] is True)
    seen.check("scores of who is known", scores["evidence"] == ("history" if remembers else "low"))
    seen.check("scores of who is erased", _evidence(http, ERASED) == "low")
    offers = seen_in(seen.times["read"], lambda: _offers(http)).json()
    seen.check("offers stale and recorded", offers["stale"] is True and offers["recorded"] is True)
    seen.acknowledged.decisions.append(offers["decision_id"])
    for kind, write in WRITES.items():
        answer = seen_in(seen.times["write"], partial(write, http, f"{name}-{kind.replace(' ', '-')}"))
        seen.check(f"{kind} refused", answer.status_code == 503 and "retry-after" in answer.headers)
    for each, status in ((key, 503), ("anything", 401)):
        answer = http.get("/v1/models", headers=_bearer(each))
        seen.check(f"key answered {status}", answer.status_code == status)
    seen.check("readiness degraded", http.get("/health/ready").json()["status"] == "degraded")


def _back(http: httpx.Client, key: str, name: str, seen: Outcome) -> None:
    """Writes are kept again; then reads are fresh, keys of the database open, and all is well."""
    begun = time.perf_counter()
    healed = holds_within(LIMIT, lambda: _report(http, f"{name}-back").status_code == 200)
    seen.check("writes kept again", healed)
    seen.healed.append(time.perf_counter() - begun)
    seen.acknowledged.events.append(f"{name}-back")
    known = http.get(f"/v1/customers/{KNOWN}/scores").json()
    seen.check("scores fresh", known["stale"] is False)
    seen.check("readiness well", holds_within(LIMIT, lambda: http.get("/health/ready").json()["status"] == "ok"))
    seen.check(
        "key opens", holds_within(LIMIT, lambda: http.get("/v1/models", headers=_bearer(key)).status_code == 200)
    )
    seen.check("who is known is known again", holds_within(LIMIT, lambda: _evidence(http, KNOWN) == "history"))
    seen.check("who is erased stays so", _evidence(http, ERASED) == "low")
    seen.acknowledged.decisions.append(_offers(http).json()["decision_id"])


def _figures(name: str, seen: Outcome, gone: int) -> list[dict[str, Any]]:
    kept = len(seen.acknowledged.events) + len(seen.acknowledged.decisions)
    wrong, checks = sum(seen.wrong.values()), f"of {seen.checks} in {ROUNDS} starts"
    return [
        figure(f"{name} slowest start until it answers", max(seen.times["start"]), "s", COMMAND),
        figure(f"{name} slowest 503 of a write", max(seen.times["write"]), "s", COMMAND, at_most=2),
        figure(f"{name} slowest read, marked stale", max(seen.times["read"]), "s", COMMAND),
        figure(f"{name} slowest recovery of writes", max(seen.healed), "s", COMMAND, at_most=5),
        figure(f"{name} answers other than they must be", wrong, checks, COMMAND, at_most=0),
        figure(f"{name} acknowledged events and decisions lost", gone, f"of {kept}", COMMAND, at_most=0),
    ]


def seen_in(times: list[float], ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer, its time noted [s]."""
    begun = time.perf_counter()
    answer = ask()
    times.append(time.perf_counter() - begun)
    return answer


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _evidence(http: httpx.Client, customer: str) -> str:
    evidence: str = http.get(f"/v1/customers/{customer}/scores").json()["evidence"]
    return evidence


def _offers(http: httpx.Client) -> httpx.Response:
    return http.post("/v1/recommendations", json={"customer_id": KNOWN}).raise_for_status()


def _report(http: httpx.Client, event_id: str, **headers: str) -> httpx.Response:
    return http.post("/v1/events", json={"events": [EVENT | {"event_id": event_id}]}, headers=headers)


WRITES: dict[str, Callable[[httpx.Client, str], httpx.Response]] = {
    "report": _report,
    "report under a key": lambda http, name: _report(http, name, **{"Idempotency-Key": name}),
    "erasure": lambda http, _name: http.delete("/v1/customers/c0002"),
}
