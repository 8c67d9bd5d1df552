"""Five times what the service can answer, by the benchmark's own code; collected by `make faults`."""

from pathlib import Path

import pytest

from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from tests.benchmarks.service_load import overloaded, peak_of
from tests.benchmarks.sides import copied, service
from tests.faults.swapping import workspace_asked, workspace_or_small

COMMAND = "make faults FAULTS='-k overload'"


@pytest.mark.timeout(600)
def test_an_overload_is_refused_at_once_and_soon_over(tmp_path: Path) -> None:
    """Each request is answered or refused by 503 with Retry-After, health answers, and it heals within five seconds."""
    with copied(workspace_or_small(workspace_asked(), tmp_path)) as case, service(case) as side:
        peak = peak_of(case, side)
        figures = [
            figure("five times the peak: the peak, one worker, 16 connections", peak, "/s", COMMAND),
            *overloaded(case, side, peak, COMMAND),
        ]
    write_figures("faults_overload", figures)
    assert [each["name"] for each in figures if each["holds"] is False] == []
