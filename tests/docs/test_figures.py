"""Figures are files, and the tables in the documentation come from them."""

import pytest

from tests.benchmarks.figures import FIGURES, faults_of, read_figures, table, write_figures
from tests.benchmarks.measure import figure
from tests.docs.generating import regenerated

FIGURE = {
    "name": "opening",
    "value": 0.00512,
    "unit": "s",
    "asked": "≤ 10 ms",
    "holds": True,
    "command": "make bench-snapshot",
    "date": "2026-01-01",
    "versions": {"python": "3.11"},
    "split": None,
}


@pytest.mark.parametrize("name", sorted(path.name for path in FIGURES.glob("*.json")))
def test_figure_files_are_well_formed(name: str) -> None:
    """Every figure has all keys, no other, with values of the right kind."""
    assert [fault for figure in read_figures(FIGURES / name) for fault in faults_of(figure)] == []


def test_a_table_shows_the_figure_and_its_bound() -> None:
    """A row says what was measured, what was asked and whether it holds."""
    assert table([FIGURE]).splitlines()[-1] == "| opening | 0.00512 s | ≤ 10 ms | yes |  | 2026-01-01 |"


@pytest.mark.parametrize(("value", "holds"), [("none", True), ("pandas", False)])
def test_a_text_is_held_against_the_one_asked_for(value: str, holds: bool) -> None:
    """What was found in words is asked for in words."""
    told = figure("mapped by a worker", value, "", "make bench-service", said="none")
    assert (told["value"], told["asked"], told["holds"]) == (value, "none", holds)


@pytest.mark.parametrize(
    "change", [{"value": None}, {"holds": None}, {"colour": "red"}, {"versions": "3.11"}, {"split": 1}], ids=str
)
def test_a_malformed_figure_is_refused(change: dict[str, object], tmp_path: object) -> None:
    """A figure with a missing value, a bound without verdict, an unknown key or a wrong kind is not written."""
    with pytest.raises(ValueError, match="x:"):
        write_figures("x", [FIGURE | change], tmp_path)  # type: ignore[arg-type]


def test_a_stale_part_is_found() -> None:
    """A generated part that says something else is written anew."""
    stale = "<!-- generated: settings -->\nold\n<!-- end -->"
    assert "BARISTA_CLOCK" in regenerated(stale)
