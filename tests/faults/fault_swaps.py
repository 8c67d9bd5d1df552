"""Champions swapped under load: the workspace's, forests a thousand times, forests nobody opened; `make faults`."""

from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.figures import FIGURES, read_figures, write_figures
from tests.faults.swapping import (
    figures_of,
    new_figures,
    new_swapped,
    swapped,
    thousand_figures,
    thousand_swapped,
    workspace_asked,
)

STEADY = 30.0
"""How long the workspace's champions are swapped [s]."""


@pytest.mark.timeout(900)
def test_swaps_of_the_workspaces_champions_are_noticed_by_nobody(tmp_path: Path) -> None:
    """At half of the peak no request fails and nobody waits for a swap."""
    figures = figures_of(swapped(workspace_asked(), tmp_path, STEADY))
    _write(figures)
    assert [figure["name"] for figure in figures if figure["holds"] is False] == []


@pytest.mark.timeout(2_400)
def test_a_thousand_swaps_of_forests_are_noticed_by_nobody(tmp_path: Path) -> None:
    """No request fails, no answer mixes versions, and nobody waits for a swap."""
    figures = thousand_figures(thousand_swapped(tmp_path))
    _write(figures)
    assert [figure["name"] for figure in figures if figure["holds"] is False] == []


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.timeout(900)
def test_swaps_to_champions_nobody_has_opened_are_noticed_by_nobody(tmp_path: Path, workers: int) -> None:
    """While a child tries each of them no request fails, no answer mixes versions, and nobody waits."""
    figures = new_figures(new_swapped(tmp_path, workers), workers)
    _write(figures)
    assert [figure["name"] for figure in figures if figure["holds"] is False] == []


def _write(figures: list[dict[str, Any]]) -> None:
    """Write these in the place of those of the same test, and leave the other's."""
    path, about = FIGURES / "faults_swaps.json", figures[0]["name"].partition(":")[0]
    told = read_figures(path) if path.exists() else []
    others = [each for each in told if each["name"].partition(":")[0] != about]
    write_figures("faults_swaps", sorted([*others, *figures], key=lambda each: not each["name"].startswith("swaps")))
