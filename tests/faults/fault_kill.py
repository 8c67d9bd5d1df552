"""kill -9 for a loaded service, again and again on one workspace: nothing acknowledged is lost."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from tests.faults.killing import killed_under_load, lost
from tests.faults.workspaces import small_workspace
from tests.postgres import running_postgres

COMMAND = "make faults FAULTS='-k killed'"
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "20"))


@pytest.mark.timeout(3_000)
def test_killed_services_lose_nothing() -> None:
    """No acknowledged event and no recorded decision is missing after any kill."""
    figures = run()
    write_figures("faults_kill", figures)
    assert [figure["name"] for figure in figures if not figure["holds"]] == []


def run() -> list[dict[str, Any]]:
    """SQLite, then Postgres."""
    with running_postgres() as server:
        return [*_killed("SQLite", None), *_killed("Postgres", server.new_database())]


def _killed(name: str, address: str | None) -> list[dict[str, Any]]:
    events = decisions = lost_events = lost_decisions = 0
    with tempfile.TemporaryDirectory() as place:
        workspace = Path(place) / "workspace"
        small_workspace(workspace)
        for number in range(ROUNDS):
            seen = killed_under_load(workspace, f"r{number}", clients=4, seconds=2.0, address=address)
            gone = lost(workspace, seen, address)
            events, decisions = events + len(seen.events), decisions + len(seen.decisions)
            lost_events, lost_decisions = lost_events + gone[0], lost_decisions + gone[1]
    rounds = f"{ROUNDS} kills under load, {name}"
    return [
        figure(f"{rounds}: acknowledged events lost", lost_events, f"of {events}", COMMAND, at_most=0),
        figure(f"{rounds}: recorded decisions lost", lost_decisions, f"of {decisions}", COMMAND, at_most=0),
    ]
