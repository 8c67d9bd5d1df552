"""A clock that jumps by hours, to and fro, under load."""

import tempfile
from pathlib import Path

import pytest

from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from tests.faults.clocks import jumps
from tests.faults.workspaces import small_workspace

COMMAND = "make faults FAULTS='-k clock'"
HOURS = (1.0, -1.0, 5.0, -5.0, 0.0, 12.0, -12.0, 25.0, 0.0, -23.0, 0.0, 0.5, -0.5, 0.0)


@pytest.mark.timeout(600)
def test_a_clock_that_jumps_loses_nothing_and_locks_nobody_out() -> None:
    """Fourteen jumps of up to 48 hours, four seconds of load after each."""
    with tempfile.TemporaryDirectory() as place:
        small_workspace(Path(place) / "workspace")
        seen = jumps(Path(place) / "workspace", HOURS, seconds=4)
    name = f"{len(HOURS)} jumps of the clock under load"
    found = (
        ("acknowledged events lost", seen.lost_events, f"of {seen.events}"),
        ("recorded decisions lost", seen.lost_decisions, f"of {seen.decisions}"),
        ("decision ids given twice", seen.same_ids, f"of {seen.decisions}"),
        ("requests refused", seen.refused, f"of {seen.events + seen.decisions}"),
        ("kept answers not replayed", seen.forgotten, f"of {2 * len(HOURS) + 2}"),
        ("keys that open or expire by another clock", seen.keys, f"of {len(HOURS) + 1}"),
    )
    figures = [figure(f"{name}: {what}", count, said, COMMAND, at_most=0) for what, count, said in found]
    write_figures("faults_clock", figures)
    assert [figure["name"] for figure in figures if figure["holds"] is False] == []
