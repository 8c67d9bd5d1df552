"""A Postgres that answers and refuses: what clients of a service hear, what is lost, how soon it heals."""

import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from tests.faults.fault_outage import CLIENTS
from tests.faults.killing import lost, start
from tests.faults.outage_load import KINDS, Told, asking, calm_after
from tests.faults.refusing import ERRORS, till_of
from tests.faults.workspaces import small_workspace
from tests.postgres import PostgresServer, running_postgres

COMMAND = "make faults FAULTS='-k refuses'"
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "3"))
BROKEN = 2.5
"""How long Postgres refuses [s]."""

SAID = {"closed": "takes no connections", "too many": "has no connections left", "terminated": "ends connections"}


@pytest.mark.timeout(1_000)
def test_a_postgres_that_refuses_is_survived() -> None:
    """Everything is done or refused by 503 with Retry-After, nothing is lost, writes are kept 5 s after the end."""
    with running_postgres() as server:
        figures = [each for error in ERRORS for each in _refused(server, error)]
    write_figures("faults_refusing", figures)
    assert [figure["name"] for figure in figures if figure["holds"] is False] == []


def _refused(server: PostgresServer, error: str) -> list[dict[str, Any]]:
    """Several clients of a service of two workers ask for everything while it happens again and again."""
    told, recovered = Told(), []
    with till_of(server) as till, tempfile.TemporaryDirectory() as place, ExitStack() as running:
        workspace = Path(place) / "workspace"
        small_workspace(workspace)
        process, address = start(workspace, address=till.address)
        running.callback(process.wait, 15)
        running.callback(process.terminate)
        with httpx.Client(base_url=address, timeout=60) as http:
            assert told.ask("offers", http, "before").status == 200
        begin, end = ERRORS[error]
        for number in range(ROUNDS):
            with asking(address, CLIENTS, f"{error}-{number}".replace(" ", "-"), told):
                time.sleep(0.7)
                till.run(begin)
                time.sleep(BROKEN)
                mended = time.perf_counter()
                till.run(end)
                recovered.append(calm_after(mended, told))
        running.close()
        gone = lost(workspace, told.kept, till.beside)
    return _figures(f"Postgres {SAID.get(error, error)}", told, max(recovered), gone)


def _figures(what: str, told: Told, recovered: float, gone: tuple[int, int]) -> list[dict[str, Any]]:
    odd = sum(not each.documented for each in told.answers)
    kept, asked = told.kept, len(told.answers)
    return [
        figure(f"{what}: answers other than documented", odd, f"of {asked}", COMMAND, at_most=0),
        figure(f"{what}: refused", sum(each.refused for each in told.answers), f"of {asked}", COMMAND),
        figure(f"{what}: slowest answer", told.slowest(*KINDS), "s", COMMAND, at_most=2),
        figure(f"{what}: slowest recovery", recovered, "s", COMMAND, at_most=5),
        figure(f"{what}: acknowledged events lost", gone[0], f"of {len(kept.events)}", COMMAND, at_most=0),
        figure(f"{what}: recorded decisions lost", gone[1], f"of {len(kept.decisions)}", COMMAND, at_most=0),
    ]
