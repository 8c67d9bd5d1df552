"""Every kind of bad bundle twenty times; collected by `make faults` only."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from recsys.data.files import replace_text
from recsys.models.bundle import write_bundle
from recsys.settings import Settings
from recsys.testing.published import linear_content
from recsys.workspace import Workspace
from serving.answers import open_answers
from serving.http.state import State
from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from tests.faults.bad_bundles import KEY, KINDS, make_bad, write_good
from tests.serving.conftest import cafe

TIMES = 20


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> State:
    """The café with signed bundles, churn a forest, opened once."""
    place = cafe(tmp_path_factory.mktemp("faults")).directory
    shutil.rmtree(place / "bundles")
    for name in ("offers", "value"):
        write_bundle(place / "bundles" / name / "1", linear_content(name), KEY)
        replace_text(place / "bundles" / name / "champion", "1")
    write_good(place / "bundles" / "churn" / "1", 1)
    replace_text(place / "bundles" / "churn" / "champion", "1")
    settings = Settings(workspace=place, clock="snapshot", bundle_key=KEY.decode())
    state = State(Workspace.open(settings), open_answers)
    state.refresh()
    return state


@pytest.mark.timeout(1800)
def test_a_bad_bundle_is_never_taken_over(state: State) -> None:
    """Twenty of each kind: degraded each time with a known kind of error, answers keep their bits."""
    wrong = {kind: taken_over(state, kind) for kind in KINDS}
    count, said = sum(len(each) for each in wrong.values()), f"of {TIMES * len(KINDS)}"
    name = f"bad bundles of {len(KINDS)} kinds: taken over, or refused without saying why"
    write_figures("faults_bundles", [figure(name, count, said, "make faults FAULTS='-k bundle'", at_most=0)])
    assert {kind: each for kind, each in wrong.items() if each} == {}


def taken_over(state: State, kind: str) -> list[Any]:
    """Seeds of bad bundles of a kind that were not refused as they must be, with what was seen."""
    before, churn = scored(state), state.workspace.bundles / "churn"
    wrong: list[Any] = []
    for seed in range(1, TIMES + 1):
        state.refusals.clear()
        make_bad(kind, churn / "2", seed)
        replace_text(churn / "champion", "2")
        state.refresh()
        seen = (state.health()[0], set(state.refusals) <= KINDS[kind][1], scored(state) == before)
        wrong += [(seed, *seen, dict(state.refusals))] if seen != ("degraded", True, True) else []
        replace_text(churn / "champion", "1")
        clean(churn)
        state.refresh()
    return wrong


def scored(state: State) -> str:
    """All of an answer's bits."""
    loaded = state.current()
    return repr(loaded.answers.score("ann", (), loaded.snapshot.as_of, reasons=True))


def clean(churn: Path) -> None:
    """Take the bad bundle away, and what a link pointed at."""
    shutil.rmtree(churn / "2")
    for path in churn.glob(".elsewhere-*"):
        path.unlink()
