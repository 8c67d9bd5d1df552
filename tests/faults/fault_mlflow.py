"""MLflow away at the start, lost, stalled, slow or giving garbage: what is answered meanwhile, what comes after."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from recsys.data.files import read_text
from recsys.registry import Registry, RunRecord
from recsys.settings import Settings
from recsys.workspace import Workspace
from serving.puller import REPORT, pulled
from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from tests.benchmarks.sides import Case, Side, copied, service
from tests.faults.bad_bundles import KEY
from tests.faults.mlflow_faults import KINDS, SLOW, SPOILT, FaultyMLflow, running_mlflow
from tests.faults.reading import Read, Said, reading, told
from tests.faults.swapping import (
    FORESTS,
    SIGNED,
    TREES,
    answers_of,
    client_of,
    forest_workspace,
    point,
    serving_versions,
    wait_for_versions,
)
from tests.faults.waiting import holds_within

COMMAND = "make faults FAULTS='-k mlflow'"
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "5"))
POLL = 1.0
"""How often MLflow is asked [s]."""

RATE = 100.0
"""Requests a second meanwhile."""

AT_START = ("not there", "stall")
LIMIT = 60.0
"""When a puller that says nothing is given up [s]."""

PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "1", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
"""How long the puller waits for an MLflow that stalls: shorter than by default, as rounds are."""


@dataclass
class Scene:
    """A service's workspace, its registry, what stands before it, and the versions of the registry."""

    case: Case
    registry: Registry
    faulty: FaultyMLflow
    champion: str = FORESTS[0]

    @property
    def other(self) -> str:
        """The version that is not the champion."""
        return next(each for each in FORESTS if each != self.champion)

    def forget_other(self) -> None:
        """Let the cache not hold the other version, so that it has to be downloaded."""
        for name in TREES:
            shutil.rmtree(self.case.directory / "bundles" / name / self.other, ignore_errors=True)

    def promote_other(self) -> str:
        """Move the aliases of offers and churn to the other version; the version."""
        self.champion = self.other
        for name in TREES:
            self.registry.promote(name, int(self.champion))
        return self.champion

    def serving(self) -> AbstractContextManager[Side]:
        """The service, which asks MLflow."""
        given = {"MLFLOW_TRACKING_URI": self.faulty.address, "BARISTA_PULL_SECONDS": str(POLL)}
        return service(self.case, BARISTA_REFRESH_SECONDS="0.2", **given, **PATIENCE, **SIGNED)


@dataclass
class Outcome:
    """Times [s], counts of what went wrong, the answers."""

    starts: list[float] = field(default_factory=list)
    taken_up: list[float] = field(default_factory=list)
    slowly: list[float] = field(default_factory=list)
    rolled_back: list[float] = field(default_factory=list)
    polls: list[int] = field(default_factory=list)
    untold: int = 0
    spoilt: int = 0
    moved: int = 0
    asked: int = 0
    differing: int = 0
    read: Read = field(default_factory=Read)


@pytest.mark.timeout(1_800)
def test_without_its_mlflow_it_serves_the_last_good_champions(tmp_path: Path) -> None:
    """Whatever MLflow does no request fails and no bit changes; what is new is taken up when it is back."""
    with running_mlflow(tmp_path / "mlflow") as port, copied(forest_workspace(tmp_path / "forests").directory) as case:
        expected = {key: said for version in FORESTS for key, said in answers_of(case, version).items()}
        scene = Scene(case, _published(case, port), FaultyMLflow(port))
        point(case.directory / "bundles", dict.fromkeys(TREES, scene.champion))
        seen = Outcome()
        for kind in AT_START:
            for _ in range(ROUNDS):
                _started(scene, kind, expected, seen)
        with scene.serving() as side:
            wait_for_versions(case, side, dict.fromkeys(TREES, scene.champion))
            with reading(case, side, RATE) as seen.read:
                for _ in range(ROUNDS):
                    _rolled_back(scene, side, seen)
                for kind in KINDS:
                    for _ in range(ROUNDS):
                        _lost(scene, side, kind, seen)
                for _ in range(ROUNDS):
                    _slow(scene, side, seen)
                for kind in SPOILT:
                    for _ in range(ROUNDS):
                        _spoilt(scene, side, kind, seen)
        scene.faulty.stop()
    figures = figures_of(seen, expected)
    write_figures("faults_mlflow", figures)
    assert [each["name"] for each in figures if each["holds"] is False] == []


def _published(case: Case, port: int) -> Registry:
    """A registry of the server with both versions of offers and churn under the numbers they have in the cache."""
    address = f"http://127.0.0.1:{port}"
    settings = Settings(workspace=case.directory, mlflow_tracking_uri=address, bundle_key=KEY.decode())
    registry, snapshot = Registry(settings), Workspace.open(settings).current_snapshot()
    for name in TREES:
        for number in range(1, int(FORESTS[-1]) + 1):
            version = str(number) if str(number) in FORESTS else FORESTS[0]
            registry.publish(name, case.directory / "bundles" / name / version, RunRecord(), snapshot)
        registry.promote(name, int(FORESTS[0]))
    return registry


def _started(scene: Scene, kind: str, expected: Said, seen: Outcome) -> None:
    """A start without MLflow, answers of the cached champions, then what is new when it is there."""
    scene.faulty.set(kind)
    cached, offered = scene.champion, scene.promote_other()
    with scene.serving() as side:
        seen.starts.append(side.ready)
        for number, answer in enumerate(_asked(scene.case, side)):
            seen.asked += 1
            seen.differing += not answer[0].startswith(f"{cached}-") or expected.get((number, answer[0])) != answer[1]
        scene.faulty.set("pass")
        seen.taken_up.append(wait_for_versions(scene.case, side, dict.fromkeys(TREES, offered)))


def _asked(case: Case, side: Side) -> Iterator[tuple[str, str]]:
    """What the requests are answered one by one, in their order."""
    with client_of(case, side) as http:
        for customer in list(dict.fromkeys(case.customers))[:20]:
            answers = (
                http.post("/v1/recommendations", json={"customer_id": customer}),
                http.get(f"/v1/customers/{customer}/scores"),
            )
            yield from (told(answer.content if answer.status_code == 200 else b"") for answer in answers)


def _lost(scene: Scene, side: Side, kind: str, seen: Outcome) -> None:
    """MLflow goes wrong while requests come; an alias moved meanwhile counts when it is back, and not before."""
    before = scene.champion
    scene.faulty.set(kind)
    seen.untold += not holds_within(LIMIT, lambda: _reached(scene.case) is False) or not holds_within(
        LIMIT, lambda: _metric(scene.case, side)
    )
    after = scene.promote_other()
    for name in TREES:  # what is new is not in the cache yet
        shutil.rmtree(scene.case.directory / "bundles" / name / after)
    time.sleep(2 * POLL)
    seen.moved += not _serves(scene, side, before)
    scene.faulty.set("pass")
    seen.taken_up.append(wait_for_versions(scene.case, side, dict.fromkeys(TREES, after)))
    holds_within(LIMIT, lambda: bool(_reached(scene.case)))


def _slow(scene: Scene, side: Side, seen: Outcome) -> None:
    """A slow MLflow brings what is new, slowly; one that is healed in the middle of it too."""
    scene.forget_other()
    scene.faulty.set(SLOW)
    seen.slowly.append(wait_for_versions(scene.case, side, dict.fromkeys(TREES, scene.promote_other())))
    scene.forget_other()
    after = scene.promote_other()
    time.sleep(2 * POLL)
    scene.faulty.set("pass")
    seen.taken_up.append(wait_for_versions(scene.case, side, dict.fromkeys(TREES, after)))


def _spoilt(scene: Scene, side: Side, kind: str, seen: Outcome) -> None:
    """MLflow says that there is a new version, and gives no proper files of it until it is healed."""
    before = scene.champion
    scene.forget_other()
    scene.faulty.set(kind)
    after = scene.promote_other()
    seen.spoilt += holds_within(LIMIT, lambda: scene.faulty.spoilt > 0)
    time.sleep(2 * POLL)
    seen.moved += not _serves(scene, side, before) or _pointers(scene.case) != {before}
    scene.faulty.set("pass")
    seen.taken_up.append(wait_for_versions(scene.case, side, dict.fromkeys(TREES, after)))


def _serves(scene: Scene, side: Side, version: str) -> bool:
    """Whether offers and churn are answered by this version."""
    with client_of(scene.case, side) as http:
        return dict.fromkeys(TREES, version).items() <= serving_versions(http).items()


def _rolled_back(scene: Scene, side: Side, seen: Outcome) -> None:
    """A version promoted and taken over, then the alias moved back: polls and seconds until the former one answers."""
    former, bundles = scene.champion, scene.case.directory / "bundles"
    wait_for_versions(scene.case, side, dict.fromkeys(TREES, scene.promote_other()))
    scene.promote_other()
    moved, begun, ended = time.time_ns(), time.monotonic(), set[int]()

    def back() -> bool:
        ended.add((bundles / REPORT).stat().st_mtime_ns)
        return _pointers(scene.case) == {former}

    holds_within(LIMIT, back)
    taken = max((bundles / name / "champion").stat().st_mtime_ns for name in TREES)
    seen.polls.append(sum(moved < each < taken for each in ended))
    wait_for_versions(scene.case, side, dict.fromkeys(TREES, former))
    seen.rolled_back.append(time.monotonic() - begun)


def _pointers(case: Case) -> set[str]:
    return {(read_text(case.directory / "bundles" / name / "champion") or "").strip() for name in TREES}


def _reached(case: Case) -> bool | None:
    said = pulled(case.directory)
    return said.reached if said is not None else None


def _metric(case: Case, side: Side) -> bool:
    """Whether the metric says that MLflow is out of reach."""
    with client_of(case, side) as http:
        return "barista_registry_reached 0.0" in http.get("/metrics").text


def figures_of(seen: Outcome, expected: Said) -> list[dict[str, Any]]:
    """What was seen beside what is asked."""
    start, lost, rounds = "MLflow not there or stalled at the start", "MLflow lost", len(KINDS) * ROUNDS
    read, back, spoilt = seen.read, "roll back by alias", len(SPOILT) * ROUNDS
    said, kinds = f"of {read.answers}", len([*KINDS, SLOW, *SPOILT])
    return [
        figure(f"{start}: slowest of {len(seen.starts)} starts", max(seen.starts), "s", COMMAND),
        figure(f"{start}: answers other than before", seen.differing, f"of {seen.asked}", COMMAND, at_most=0),
        figure(f"{lost}, {kinds} kinds {ROUNDS} times each: requests failed", read.failed, said, COMMAND, at_most=0),
        figure(f"{lost}: answers with other bits than their version's", read.mixed(expected), said, COMMAND, at_most=0),
        figure(f"{lost}: longest time without an answer", read.longest_gap, "ms", COMMAND),
        figure(f"{lost}: longest delay of the client itself", max(read.seen.late), "ms", COMMAND),
        figure(f"{lost}: not told by report and metric", seen.untold, f"of {rounds}", COMMAND, at_most=0),
        figure(
            f"{lost} or its downloads spoilt: versions that changed meanwhile",
            seen.moved,
            f"of {rounds + spoilt}",
            COMMAND,
            at_most=0,
        ),
        figure(f"{lost}: its downloads spoilt", seen.spoilt, f"times of {spoilt}", COMMAND, at_least=spoilt),
        figure("MLflow slow: slowest until what is new answers all the same", max(seen.slowly), "s", COMMAND),
        figure(f"{lost}: slowest until what is new answers when it is back", max(seen.taken_up), "s", COMMAND),
        figure(
            f"{back}: polls that ended before the former version was taken", max(seen.polls), "", COMMAND, at_most=1
        ),
        figure(f"{back}: slowest until it answers, a poll each {POLL:g} s", max(seen.rolled_back), "s", COMMAND),
    ]
