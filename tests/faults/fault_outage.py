"""Postgres down, stalled or reset behind a proxy: how long writes take to be refused, how soon the service recovers."""

import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.http.local import serve_locally
from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from tests.faults.proxy import FaultProxy, Mode, fault_proxy
from tests.faults.workspaces import small_workspace
from tests.postgres import PostgresServer, running_postgres

COMMAND = "make faults FAULTS='-k outage'"
ROUNDS = 10
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
        return [each for mode in ("down", "stall") for each in _broken(server, mode)]


def _broken(server: PostgresServer, mode: Mode) -> list[dict[str, Any]]:
    name = server.new_database().partition("?")[0].rpartition("/")[2]
    seen: dict[str, list[float]] = {"refused": [], "read": [], "recovered": []}
    counts = {"wrong": 0, "unrecorded": 0}
    with fault_proxy(server.socket) as proxy, tempfile.TemporaryDirectory() as place:
        address = f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/{name}?sslmode=disable&gssencmode=disable"
        workspace = small_workspace(Path(place) / "workspace", database_url=address)
        with serve_locally(workspace) as local, httpx.Client(base_url=local.address, timeout=60) as http:
            for number in range(ROUNDS):
                _round(proxy, http, mode, f"{mode}-{number}", seen, counts)
            kept = workspace.events().count()
    return [
        figure(f"database {mode}: slowest 503 of a write", max(seen["refused"]), "s", COMMAND, at_most=2),
        figure(f"database {mode}: slowest read, marked stale", max(seen["read"]), "s", COMMAND),
        figure(f"database {mode}: slowest recovery of writes", max(seen["recovered"]), "s", COMMAND, at_most=5),
        figure(
            f"database {mode}: answers other than 503, or reads not marked", counts["wrong"], "", COMMAND, at_most=0
        ),
        figure(f"database {mode}: offers kept nowhere", counts["unrecorded"], "", COMMAND, at_most=0),
        figure(f"database {mode}: acknowledged events lost", 2 * ROUNDS - kept, f"of {2 * ROUNDS}", COMMAND, at_most=0),
    ]


def _round(
    proxy: FaultProxy,
    http: httpx.Client,
    mode: Mode,
    prefix: str,
    seen: dict[str, list[float]],
    counts: dict[str, int],
) -> None:
    """Break, write, read, mend, write until it is kept."""
    _report(http, f"{prefix}-before").raise_for_status()
    proxy.set(mode)
    for _ in range(3):
        start = time.perf_counter()
        answer = _report(http, f"{prefix}-after")
        seen["refused"].append(time.perf_counter() - start)
        counts["wrong"] += answer.status_code != 503 or "retry-after" not in answer.headers
        start = time.perf_counter()
        offers = http.post("/v1/recommendations", json={"customer_id": "c0001"}).json()
        seen["read"].append(time.perf_counter() - start)
        counts["wrong"] += not offers["stale"]
        counts["unrecorded"] += not offers["recorded"]
    proxy.set("pass")
    start = time.perf_counter()
    while _report(http, f"{prefix}-after").status_code != 200:
        time.sleep(0.05)
    seen["recovered"].append(time.perf_counter() - start)


def _report(http: httpx.Client, event_id: str) -> httpx.Response:
    return http.post("/v1/events", json={"events": [EVENT | {"event_id": event_id}]})
