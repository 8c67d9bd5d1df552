"""Disks that fill up under load, of the database alone and with the journal: refusals, reads, recovery, losses."""

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from tests.faults.disks import Disk, small_disk
from tests.faults.killing import Acknowledged, load, lost, start
from tests.faults.postgres_disks import all_on, tables_on, wait_for_answers
from tests.faults.workspaces import small_workspace

COMMAND = "make faults FAULTS='-k full_disks'"
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "10"))
MEGABYTES = 256
"""Larger than all that is kept in the rounds, so that freeing the disk does free it."""

POSTGRES_COMMAND = "make faults FAULTS='-k disk_of_postgres'"
POSTGRES_MEGABYTES = 768
"""Larger by what a server needs for itself."""

LIMIT = 30.0
"""When a service that does not recover is given up [s]."""

EVENT = {"type": "purchase", "customer_id": "c0001", "lines": [{"product_id": "tea", "quantity": 1, "amount": 2.1}]}


@dataclass
class Seen:
    """Seconds until a write was refused, a read answered, writes were kept again; answers that are none of these."""

    refused: list[float] = field(default_factory=list)
    read: list[float] = field(default_factory=list)
    recovered: list[float] = field(default_factory=list)
    wrong: int = 0
    unrecorded: int = 0
    offers: int = 0


@pytest.mark.timeout(1_500)
def test_full_disks_lose_nothing_and_heal() -> None:
    """Writes are refused within 2 s, kept again within 5 s of space; nothing acknowledged is lost, reads go on."""
    figures = [*_filled("database", journal=False), *_filled("database and journal", journal=True)]
    write_figures("faults_disk", figures)
    assert [figure["name"] for figure in figures if figure["holds"] is False] == []


@pytest.mark.timeout(1_500)
def test_a_full_disk_of_postgres_loses_nothing_and_heals() -> None:
    """The same with Postgres: its tables on the disk that is full, or all of a server, which falls then."""
    figures = [*_filled_postgres("tables", tables_on), *_filled_postgres("server", all_on)]
    write_figures("faults_disk_postgres", [each | {"command": POSTGRES_COMMAND} for each in figures])
    assert [figure["name"] for figure in figures if figure["holds"] is False] == []


def _filled_postgres(name: str, on: Callable[[Disk], AbstractContextManager[str]]) -> list[dict[str, Any]]:
    seen, kept = Seen(), Acknowledged()
    with tempfile.TemporaryDirectory() as place, small_disk(Path(place) / "disk", POSTGRES_MEGABYTES) as disk:
        workspace = Path(place) / "workspace"
        with on(disk) as address:
            small_workspace(workspace, database_url=address)
            gone = _broken(disk, workspace, address, seen, kept)
    return _figures(f"full disk of Postgres ({name})", seen, kept, gone)


def _filled(name: str, *, journal: bool) -> list[dict[str, Any]]:
    seen, kept = Seen(), Acknowledged()
    with tempfile.TemporaryDirectory() as place, small_disk(Path(place) / "disk", MEGABYTES) as disk:
        workspace, address = Path(place) / "workspace", f"sqlite:///{disk.directory}/barista.db"
        small_workspace(workspace, database_url=address)
        if journal:
            (disk.directory / "journal").mkdir()
            (workspace / "journal").symlink_to(disk.directory / "journal")
        gone = _broken(disk, workspace, address, seen, kept)
    return _figures(f"full disk of the {name}", seen, kept, gone)


def _broken(disk: Disk, workspace: Path, address: str, seen: Seen, kept: Acknowledged) -> tuple[int, int]:
    """Fill and free the disk of a service's database again and again; events and decisions lost."""
    process, where = start(workspace, address=address)
    try:
        with httpx.Client(base_url=where, timeout=30) as http:
            for number in range(ROUNDS):
                _round(disk, http, where, f"{number}", seen, kept)
    finally:
        process.terminate()
        process.wait(15)
    disk.free()
    if address.startswith("postgresql"):
        wait_for_answers(address)
    return lost(workspace, kept, address)


def _round(disk: Disk, http: httpx.Client, where: str, prefix: str, seen: Seen, kept: Acknowledged) -> None:
    """Fill under load, ask until writes are refused, ask on for a while, free, ask until they are kept."""
    with load(where, 3, f"r{prefix}") as loaded:
        time.sleep(0.5)
        disk.fill()
        end = time.monotonic() + 3
        while time.monotonic() < end:
            _ask(http, f"{prefix}-{time.monotonic_ns()}", seen, kept)
        disk.free()
        start = time.perf_counter()
        while _report(http, f"{prefix}-after").status_code != 200 or not _offers(http)["recorded"]:
            if time.perf_counter() - start > LIMIT:
                break
            time.sleep(0.02)
        seen.recovered.append(time.perf_counter() - start)
    kept.events += loaded.events
    kept.decisions += loaded.decisions


def _ask(http: httpx.Client, event_id: str, seen: Seen, kept: Acknowledged) -> None:
    start = time.perf_counter()
    answer = _report(http, event_id)
    if answer.status_code == 200:
        kept.events.append(event_id)
    else:
        seen.refused.append(time.perf_counter() - start)
        seen.wrong += answer.status_code not in {503, 507} or "retry-after" not in answer.headers
    start = time.perf_counter()
    offers = _offers(http)
    seen.read.append(time.perf_counter() - start)
    seen.offers += 1
    if offers["recorded"]:
        kept.decisions.append(offers["decision_id"])
    seen.unrecorded += not offers["recorded"]


def _report(http: httpx.Client, event_id: str) -> httpx.Response:
    return http.post("/v1/events", json={"events": [EVENT | {"event_id": event_id}]})


def _offers(http: httpx.Client) -> dict[str, Any]:
    answer = http.post("/v1/recommendations", json={"customer_id": "c0001"})
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def _figures(name: str, seen: Seen, kept: Acknowledged, gone: tuple[int, int]) -> list[dict[str, Any]]:
    events, decisions = f"of {len(set(kept.events))}", f"of {len(set(kept.decisions))}"
    return [
        figure(f"{name}: slowest refusal of a write", max(seen.refused), "s", COMMAND, at_most=2),
        figure(f"{name}: refusals other than 503 or 507 with Retry-After", seen.wrong, "", COMMAND, at_most=0),
        figure(f"{name}: slowest read", max(seen.read), "s", COMMAND),
        figure(f"{name}: offers told not to be recorded", seen.unrecorded, f"of {seen.offers}", COMMAND),
        figure(f"{name}: slowest recovery of writes", max(seen.recovered), "s", COMMAND, at_most=5),
        figure(f"{name}: acknowledged events lost", gone[0], events, COMMAND, at_most=0),
        figure(f"{name}: recorded decisions lost", gone[1], decisions, COMMAND, at_most=0),
    ]
