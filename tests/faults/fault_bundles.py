"""Every kind of bad bundle twenty times in process, and once over HTTP; collected by `make faults` only."""

import re
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from recsys.data.files import replace_text
from recsys.models.bundle import write_bundle
from recsys.settings import Settings
from recsys.testing.published import linear_content
from recsys.workspace import Workspace
from serving.answers import open_answers
from serving.http.local import serve_locally
from serving.http.state import State
from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from tests.faults.bad_bundles import KEY, KINDS, make_bad, write_good
from tests.faults.waiting import holds_within
from tests.serving.conftest import cafe

COMMAND = "make faults FAULTS='-k bundle'"
TIMES = 20
LIMIT = 30.0
"""When a service that does not say what it refuses, or does not heal, is given up [s]."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The café with signed bundles, churn a forest."""
    place = cafe(tmp_path_factory.mktemp("faults")).directory
    shutil.rmtree(place / "bundles")
    for name in ("offers", "value"):
        write_bundle(place / "bundles" / name / "1", linear_content(name), KEY)
        replace_text(place / "bundles" / name / "champion", "1")
    write_good(place / "bundles" / "churn" / "1", 1)
    replace_text(place / "bundles" / "churn" / "champion", "1")
    return Workspace.open(Settings(workspace=place, clock="snapshot", refresh_seconds=0.05, bundle_key=KEY.decode()))


@pytest.mark.timeout(1800)
def test_a_bad_bundle_is_never_taken_over(workspace: Workspace) -> None:
    """Twenty of each kind: answers keep their bits, and the service says each time and everywhere why."""
    state = State(workspace, open_answers)
    state.refresh()
    wrong = {kind: taken_over(state, kind) for kind in KINDS}
    with serve_locally(workspace) as local, httpx.Client(base_url=local.address, timeout=60) as http:
        silent = {kind: untold(workspace, http, kind) for kind in KINDS}
    figures = figures_of(sum(map(len, wrong.values())), sum(map(bool, silent.values())))
    write_figures("faults_bundles", figures)
    assert {kind: (wrong[kind], silent[kind]) for kind in KINDS if wrong[kind] or silent[kind]} == {}


def figures_of(wrong: int, silent: int) -> list[dict[str, Any]]:
    """What was seen beside what is asked."""
    name, said = f"bad bundles of {len(KINDS)} kinds", f"of {TIMES * len(KINDS)}"
    refused = f"{name}: taken over, or answers with other bits"
    refused += ", or the state not degraded, or counter or log line without the kind of error"
    told = f"{name}, over HTTP: not told by /health/ready with a reason and by barista_refusals_total in /metrics"
    return [
        figure(refused, wrong, said, COMMAND, at_most=0),
        figure(f"{told}, or not healed", silent, f"of {len(KINDS)}", COMMAND, at_most=0),
    ]


def taken_over(state: State, kind: str) -> list[Any]:
    """Seeds of bad bundles of a kind that were not refused as they must be, with what was seen."""
    before, churn = scored(state), state.workspace.bundles / "churn"
    wrong: list[Any] = []
    for seed in range(1, TIMES + 1):
        state.refusals.clear()
        make_bad(kind, churn / "2", seed)
        replace_text(churn / "champion", "2")
        with capture_logs() as lines:
            state.refresh()
        status, reasons = state.health()
        counted, logged = set(state.refusals), [each for each in lines if each["event"] == "not opened"]
        said = [(each["kind"], each["reason"], each["kept"]) for each in logged]
        known = counted <= KINDS[kind][1] and said == [(each, *reasons, True) for each in counted]
        seen = (status, len(counted), known, scored(state) == before)
        wrong += [(seed, *seen, dict(state.refusals), said)] if seen != ("degraded", 1, True, True) else []
        replace_text(churn / "champion", "1")
        clean(churn)
        state.refresh()
    return wrong


def untold(workspace: Workspace, http: httpx.Client, kind: str) -> list[str]:
    """Where a service does not say that it refuses a bad bundle of a kind, and why."""
    churn, before = workspace.bundles / "churn", refusals(http)
    make_bad(kind, churn / "2", 1)
    replace_text(churn / "champion", "2")
    told = {
        "/health/ready": holds_within(LIMIT, lambda: readiness(http)[0] == "degraded" and bool(readiness(http)[1])),
        "/metrics": holds_within(LIMIT, lambda: refusals(http) != before),
    }
    more = {reason for reason, count in refusals(http).items() if count != before.get(reason)}
    told["the kind of error"] = more <= KINDS[kind][1]
    replace_text(churn / "champion", "1")
    told["healed"] = holds_within(LIMIT, lambda: readiness(http) == ("ok", []))
    clean(churn)
    return [place for place, holds in told.items() if not holds]


def readiness(http: httpx.Client) -> tuple[str, list[str]]:
    """Status and reasons."""
    body = http.get("/health/ready").json()
    return body["status"], body["reasons"]


def refusals(http: httpx.Client) -> dict[str, float]:
    """How often champions were refused, by kind of error."""
    found = re.findall(r'^barista_refusals_total\{reason="(\w+)"\} (\S+)', http.get("/metrics").text, re.MULTILINE)
    return {reason: float(count) for reason, count in found}


def scored(state: State) -> str:
    """All of an answer's bits."""
    loaded = state.current()
    return repr(loaded.answers.score("ann", (), loaded.snapshot.as_of, reasons=True))


def clean(churn: Path) -> None:
    """Take the bad bundle away, and what a link pointed at."""
    shutil.rmtree(churn / "2")
    for path in churn.glob(".elsewhere-*"):
        path.unlink()
