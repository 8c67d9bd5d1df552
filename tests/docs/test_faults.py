"""The fault matrix is whole: every fault has its minutes, its row, its figures and its short form."""

from pathlib import Path

import pytest

from tests.benchmarks.figures import FIGURES, read_figures
from tests.docs.generating import ROOT
from tests.faults.conftest import done_folder
from tests.faults.matrix import MINUTES, ROWS, Row, figures_of

MODULES = {path.stem for path in (ROOT / "tests" / "faults").glob("fault_*.py")}


def test_all_faults_together_take_at_most_two_hours() -> None:
    """Each module of `make faults` says how long it takes."""
    assert (sorted(MODULES - set(MINUTES)), sum(MINUTES.values()) <= 120) == ([], True)


def test_every_figure_of_a_fault_stands_in_the_matrix() -> None:
    """Nothing is measured that no row tells."""
    told = {each["name"] for row in ROWS for each in figures_of(row)}
    measured = {each["name"] for path in FIGURES.glob("faults_*.json") for each in read_figures(path)}
    assert measured - told == set()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.file} {row.about}".strip())
def test_a_row_names_a_test_that_exists_and_figures_that_its_file_holds(row: Row) -> None:
    """A renamed test or figure leaves no row behind."""
    found = (FIGURES / f"{row.file}.json").exists()
    assert ((ROOT / row.short).exists(), bool(figures_of(row))) == (True, found)


def test_what_passed_is_remembered_until_a_source_changes(tmp_path: Path) -> None:
    """Figures and documents a run writes leave its notes valid; a change of the code begins anew."""
    (tmp_path / "serving").mkdir()
    source, figure = tmp_path / "serving" / "a.py", tmp_path / "docs.json"
    folders = []
    for path, text in ((source, "1"), (figure, "1"), (source, "2")):
        path.write_text(text)
        folders.append(done_folder(tmp_path))
    assert (folders[0] == folders[1], folders[1] == folders[2]) == (True, False)
