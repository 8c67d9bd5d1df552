"""Many answers at once under a trace of system calls: each left after its record was synced."""

import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest

from recsys.store import Database
from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from tests.faults.asking import acknowledged
from tests.faults.killing import start
from tests.faults.tracing import Trace, read_trace, traced, tree
from tests.faults.workspaces import small_workspace
from tests.postgres import running_postgres

COMMAND = "make faults FAULTS='-k synced'"
CLIENTS, EACH = 8, 60


@pytest.mark.timeout(900)
def test_nothing_is_answered_before_it_is_synced() -> None:
    """SQLite, the journal and Postgres: no id left before fsync or fdatasync returned for the file that holds it."""
    figures = [*_sqlite(), *_journal(), *_postgres()]
    write_figures("faults_sync", figures)
    assert [figure["name"] for figure in figures if figure["holds"] is False] == []


def _sqlite() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as place:
        small_workspace(Path(place) / "workspace")
        return _figures("SQLite", *_traced(Path(place), None))


def _journal() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as place:
        locked = Database.open(small_workspace(Path(place) / "workspace").directory / "barista.db").writing
        return _figures("journal", *_traced(Path(place), None, during=locked))


def _postgres() -> list[dict[str, Any]]:
    with running_postgres(syncs=True) as server, tempfile.TemporaryDirectory() as place:
        small_workspace(Path(place) / "workspace")
        return _figures("Postgres", *_traced(Path(place), server.new_database(), [server.pid]))


def _traced(
    place: Path, address: str | None, others: Iterable[int] = (), during: Any = nullcontext
) -> tuple[int, Trace]:
    """How many ids were acknowledged to `CLIENTS` clients at once, and what the trace says of them."""
    process, where = start(place / "workspace", workers=1, address=address)
    block: AbstractContextManager[object] = during()
    events = during is nullcontext
    try:
        with block, ThreadPoolExecutor(CLIENTS) as pool:
            acknowledged(where, 1, events=events)
            pids = [*tree(process.pid), *(each for other in others for each in tree(other))]
            with traced(pids, place / "trace", lambda: httpx.get(f"{where}/health/live")):
                asked = [pool.submit(acknowledged, where, EACH, events=events) for _ in range(CLIENTS)]
                ids = {each for done in asked for each in done.result()}
    finally:
        process.terminate()
        process.wait(15)
    with (place / "trace").open(errors="replace") as lines:
        return len(ids), read_trace(lines, int(where.rpartition(":")[2]), ids)


def _figures(name: str, acknowledged: int, found: Trace) -> list[dict[str, Any]]:
    said = f"of {acknowledged}"
    unseen = acknowledged - len(found.safe) - len(found.early)
    return [
        figure(f"{name}: answers that left before their record was synced", len(found.early), said, COMMAND, at_most=0),
        figure(f"{name}: answers the trace did not see", unseen, said, COMMAND, at_most=0),
    ]
