"""The fault matrix is whole: every fault has its row, its figures, its short form and its minutes."""

from pathlib import Path

import pytest

from tests.benchmarks.figures import FIGURES, read_figures
from tests.docs.generating import ROOT
from tests.faults import minutes
from tests.faults.matrix import ROWS, Row, figures_of

MODULES = sorted((ROOT / "tests" / "faults").glob("fault_*.py"))


def test_all_faults_together_take_at_most_two_hours() -> None:
    """Every module has its minutes, as its runs noted them, and the sum is theirs and holds."""
    *told, total = read_figures(FIGURES / f"{minutes.NAME}.json")
    assert [each["name"] for each in told] == [path.stem for path in MODULES]
    assert (total["value"], total["holds"]) == (minutes.total(minutes.known())["value"], True)
    assert total["value"] <= 120


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


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.file} {row.about}".strip())
def test_a_row_is_measured_by_a_module_of_make_faults(row: Row) -> None:
    """What writes the figures of a row is collected by `make faults`, not by another command alone."""
    written = f'write_figures("{row.file}"'
    sources = {path for module in MODULES for path in minutes.reached([module])}
    assert any(written in path.read_text(encoding="utf-8") for path in sources)


def test_what_passed_is_remembered_until_a_source_changes(tmp_path: Path) -> None:
    """Figures and documents a run writes leave its notes valid; a change of the program begins anew."""
    (tmp_path / "serving").mkdir()
    source, figure, module = tmp_path / "serving" / "a.py", tmp_path / "docs.json", tmp_path / "fault_a.py"
    module.write_text("")
    digests = []
    for path, text in ((source, "1"), (figure, "1"), (source, "2")):
        path.write_text(text)
        minutes._program.cache_clear()
        digests.append(minutes.digest_of(module, tmp_path))
    assert (digests[0] == digests[1], digests[1] == digests[2]) == (True, False)


@pytest.mark.parametrize("kind", ["imports", "names", "runs", "imports within"])
def test_what_a_fault_imports_or_runs_belongs_to_it(tmp_path: Path, kind: str) -> None:
    """A change of test code that a module reaches over another one, by import or as a process, begins anew too."""
    said = {
        "imports": "from tests.made.base import deep",
        "names": "from tests.made import base",
        "runs": 'command = ["-m", "tests.made.base"]',
        "imports within": "def f():\n    import tests.made.base",
    }
    place = tmp_path / "tests" / "made"
    place.mkdir(parents=True)
    (place / "base.py").write_text("deep = 1")
    (place / "middle.py").write_text(said[kind])
    (place / "fault_a.py").write_text("from tests.made.middle import anything")
    (place / "other.py").write_text("unheard = 1")
    digests = []
    for changed in ("other.py", "base.py", "other.py"):
        digests.append(minutes.digest_of(place / "fault_a.py", tmp_path))
        (place / changed).write_text(f"changed = {len(digests)}")
    assert (digests[0] == digests[1], digests[1] == digests[2]) == (True, False)


@pytest.mark.parametrize("name", ["tests/benchmarks/load.py", "tests/serving/conftest.py", "tests/postgres.py"])
def test_a_real_fault_depends_on_what_lies_beside_it(name: str) -> None:
    """The generator of a load, the services of the tests and the real Postgres are reached by some module."""
    assert ROOT / name in {path for module in MODULES for path in minutes.reached([module, *_shared()])}


def _shared() -> list[Path]:
    return [ROOT / each for each in minutes.SHARED]


def test_minutes_of_a_module_count_when_all_of_its_tests_have_passed(tmp_path: Path) -> None:
    """Two tests, one noted: nothing; both noted: the sum, of the later day."""
    notes, found = [tmp_path / "a.json", tmp_path / "b.json"], []
    for note, seconds, day in zip(notes, (60.0, 30.0), ("2026-01-02", "2026-01-01"), strict=True):
        minutes.write_note(note, note.stem, seconds, day)
        found.append(minutes.minutes_of("fault_kill", notes))
    assert found == [None, (1.5, "2026-01-02")]


def test_minutes_are_told_beside_those_known_with_their_sum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run of one module replaces its minutes, leaves the others', and the sum is held against two hours."""
    for name in minutes.SHORTER:
        monkeypatch.delenv(name, raising=False)
    first = {"fault_kill": (50.0, "2026-01-01"), "fault_sync": (80.0, "2026-01-01")}
    for measured in (first, {"fault_kill": (20.0, "2026-01-02")}):
        minutes.tell(measured, tmp_path)
    told = read_figures(tmp_path / f"{minutes.NAME}.json")
    assert [(each["value"], each["date"], each["holds"]) for each in told] == [
        (20.0, "2026-01-02", None),
        (80.0, "2026-01-01", None),
        (100.0, "2026-01-02", None),
    ]


def test_all_modules_are_held_against_two_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum of some says nothing of all; that of all does."""
    told = {name: {"value": 60.5, "date": "2026-01-01"} for name in ("fault_a", "fault_b")}
    found = []
    for names in (["fault_a", "fault_b", "fault_c"], ["fault_a", "fault_b"]):
        monkeypatch.setattr(minutes, "modules", lambda names=names: names)
        found.append(minutes.total(told)["holds"])
    assert found == [None, False]


def test_a_shorter_run_tells_no_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer rounds take less time than the faults do."""
    monkeypatch.setenv("FAULT_ROUNDS", "1")
    minutes.tell({"fault_kill": (1.0, "2026-01-01")}, tmp_path)
    assert list(tmp_path.iterdir()) == []
