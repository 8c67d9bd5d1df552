"""Models change while it serves: bad ones are refused, good ones are swapped whole."""

import re
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from recsys.data.files import replace_text
from recsys.errors import BundleError
from recsys.models.bundle import write_bundle
from recsys.store import KeyStore
from recsys.testing.published import linear_content, publish_models
from serving import canary
from serving.answers import open_answers
from serving.canary import BundleKillsProcess, RefusedByCanary, try_bundle
from serving.http.state import State
from tests.faults.bad_bundles import KEY, KINDS, make_bad, write_good
from tests.serving.test_state import wait_for

STAGES_OF_AN_OFFER = ("state", "policy", "candidates", "ranking", "log")


@pytest.fixture(scope="module")
def signed(template, tmp_path_factory) -> Path:
    """The café with signed bundles, churn a forest."""
    place = tmp_path_factory.mktemp("signed") / "workspace"
    shutil.copytree(template, place)
    shutil.rmtree(place / "bundles")
    for name in ("offers", "value"):
        write_bundle(place / "bundles" / name / "1", linear_content(name), KEY)
        replace_text(place / "bundles" / name / "champion", "1")
    write_good(place / "bundles" / "churn" / "1", 1)
    replace_text(place / "bundles" / "churn" / "champion", "1")
    return place


@pytest.fixture
def workspace(signed, tmp_path):
    """The test's own copy."""
    from tests.serving.conftest import reopened

    shutil.copytree(signed, tmp_path / "signed")
    return reopened(tmp_path / "signed", bundle_key=KEY.decode())


def refuses(workspace, kind: str, seed: int, *, restarts: bool = False) -> tuple[str, str, bool, bool]:
    """Status, kind of error told, whether a log line says it, and whether answers kept their bits.

    The bad champion comes to a service that runs, or that `restarts` beside it.
    """
    state = State(workspace, open_answers)
    state.refresh()
    before = state.current().answers.score("ann", (), state.current().snapshot.as_of, reasons=True)
    make_bad(kind, workspace.bundles / "churn" / "2", seed)
    replace_text(workspace.bundles / "churn" / "champion", "2")
    state = State(workspace, open_answers) if restarts else state
    with capture_logs() as lines:
        state.refresh()
    after = state.current().answers.score("ann", (), state.current().snapshot.as_of, reasons=True)
    (reason,) = state.refusals
    logged = any(line["event"] == "not opened" and line["kind"] == reason and line["kept"] for line in lines)
    return state.health()[0], reason, logged, repr(before) == repr(after)


@pytest.mark.parametrize("restarts", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_last_good_model_serves_when_the_new_one_is_bad(workspace, kind, restarts):
    """Twelve kinds: answers keep their bits, readiness says degraded, error kind and log line say why."""
    status, reason, logged, kept = refuses(workspace, kind, seed=1, restarts=restarts)
    assert (status, reason in KINDS[kind][1], logged, kept) == ("degraded", True, True, True)


def beside_a_bad_champion(workspace) -> State:
    """A service that started from the last good churn model: the champion fails its golden rows."""
    State(workspace, open_answers).refresh()
    make_bad("golden rows fail", workspace.bundles / "churn" / "2", 1)
    replace_text(workspace.bundles / "churn" / "champion", "2")
    state = State(workspace, open_answers)
    state.refresh()
    return state


def test_a_bad_champion_keeps_no_new_snapshot_out(workspace, newer_import):
    """The new snapshot answers with the last good model; the service stays degraded."""
    state = beside_a_bad_champion(workspace)
    snapshot_id = newer_import(workspace)
    state.refresh()
    assert (state.current().snapshot.snapshot_id, state.health()[0]) == (snapshot_id, "degraded")


def test_what_is_refused_again_opens_nothing_again(workspace):
    """While nothing else is new each look finds the same refusal, and the state stays the very same."""
    state = beside_a_bad_champion(workspace)
    opened = state.current()
    state.refresh()
    assert (state.current() is opened, state.swaps) == (True, {"loaded": 1, "failed": 2})


def test_a_service_that_started_from_the_last_good_model_heals(workspace):
    """With the alias moved back all is well at the next look."""
    state = beside_a_bad_champion(workspace)
    replace_text(workspace.bundles / "churn" / "champion", "1")
    state.refresh()
    assert (state.health(), state.current().versions["churn"][:2]) == (("ok", ()), "1-")


def test_a_good_model_that_changed_since_is_no_longer_good(workspace):
    """Neither the champion nor what was opened last can be trusted: not ready, rather than answers nobody checked."""
    State(workspace, open_answers).refresh()
    for version in ("1", "2"):
        make_bad("bit flips", workspace.bundles / "churn" / version, 1)
    replace_text(workspace.bundles / "churn" / "champion", "2")
    state = State(workspace, open_answers)
    state.refresh()
    assert state.health()[0] == "not ready"


def test_a_refusal_is_told_by_readiness_and_metric_and_heals(workspace, serve):
    """Over HTTP: degraded with the reason, a counter by kind of error, and ok again after a roll back."""
    service = serve(workspace)
    make_bad("wrong signature", workspace.bundles / "churn" / "2", 1)
    replace_text(workspace.bundles / "churn" / "champion", "2")
    assert wait_for(lambda: service.http.get("/health/ready").json()["status"] == "degraded")
    assert "signed" in service.http.get("/health/ready").json()["reasons"][0]
    assert wait_for(lambda: 'barista_refusals_total{reason="UnsignedBundle"}' in service.http.get("/metrics").text)
    replace_text(workspace.bundles / "churn" / "champion", "1")
    assert wait_for(lambda: service.http.get("/health/ready").json()["status"] == "ok")


def seconds_told(service, name):
    """Count and sum of a metric of durations, by its label; of one without a label by ""."""
    found: dict[str, dict[str, float]] = {}
    for line in service.http.get("/metrics").text.splitlines():
        row = re.fullmatch(rf'barista_{name}_seconds_(count|sum)(?:{{stage="(\w+)"}})? (\S+)', line)
        if row:
            found.setdefault(row[2] or "", {})[row[1]] = float(row[3])
    return {label: (each["count"], each["sum"]) for label, each in found.items()}


def test_metrics_tell_how_long_each_stage_of_an_offer_took(service):
    """After one offer every stage of it is counted once; together they took no longer than the client waited."""
    begun = time.perf_counter()
    service.offers()
    waited = time.perf_counter() - begun
    told = seconds_told(service, "stage")
    assert {stage: count for stage, (count, _) in told.items() if count} == dict.fromkeys(STAGES_OF_AN_OFFER, 1)
    assert all(told[stage][1] > 0 for stage in STAGES_OF_AN_OFFER)
    assert sum(took for _, took in told.values()) <= waited


def test_metrics_tell_how_long_a_swap_took(service):
    """None before the first; then one, which took no longer than until it was seen."""
    before, begun = seconds_told(service, "swap"), time.perf_counter()
    publish_models(service.workspace.directory, ["churn"], version="2", seed=9)
    assert wait_for(lambda: seconds_told(service, "swap")[""][0] > 0)
    count, took = seconds_told(service, "swap")[""]
    assert (before, count, 0 < took <= time.perf_counter() - begun) == ({"": (0, 0)}, 1, True)


def test_a_champion_that_is_not_there_is_no_model_less(workspace):
    """A pointer to a missing bundle is refused; the model goes on serving."""
    state = State(workspace, open_answers)
    state.refresh()
    replace_text(workspace.bundles / "churn" / "champion", "7")
    state.refresh()
    assert (state.health()[0], "churn" in state.current().versions) == ("degraded", True)


def test_a_bundle_is_tried_in_a_child_before_it_is_opened(workspace, monkeypatch):
    """A bundle that takes its process down takes the child; this one goes on with the last good model."""
    state = State(workspace, open_answers)
    state.refresh()
    monkeypatch.setattr(canary.sys, "executable", str(killed_at_once(workspace.directory)))
    write_good(workspace.bundles / "churn" / "2", 2)
    replace_text(workspace.bundles / "churn" / "champion", "2")
    state.refresh()
    assert (state.health()[0], dict(state.refusals)) == ("degraded", {"BundleKillsProcess": 1})


def test_the_same_bundle_is_tried_once(workspace, monkeypatch):
    """A refused bundle that stays is refused at every look, by one child in all."""
    tries, real = [], try_bundle
    monkeypatch.setattr("serving.http.state.try_bundle", lambda *given: (tries.append(given), real(*given)))
    state = State(workspace, open_answers)
    state.refresh()
    make_bad("golden rows fail", workspace.bundles / "churn" / "2", 1)
    replace_text(workspace.bundles / "churn" / "champion", "2")
    for _ in range(3):
        state.refresh()
    assert ([given[0] for given in tries].count("churn"), state.refusals["UnequalScores"]) == (1, 3)


@pytest.mark.parametrize(("again", "tries"), [(600.0, 1), (0.0, 3)], ids=["soon", "later"])
def test_a_bundle_that_kills_its_process_is_tried_again_later(workspace, monkeypatch, again, tries):
    """Each try may take a minute: three looks make one, and after a while the bundle has another."""
    tried = []

    def killing(name, *_):
        tried.append(name)
        raise BundleKillsProcess("never ended")

    state = State(workspace, open_answers)
    state.refresh()
    monkeypatch.setattr("serving.http.state.try_bundle", killing)
    monkeypatch.setattr("serving.http.state.AGAIN", again)
    write_good(workspace.bundles / "churn" / "2", 2)
    replace_text(workspace.bundles / "churn" / "champion", "2")
    for _ in range(3):
        state.refresh()
    assert (len(tried), state.refusals["BundleKillsProcess"]) == (tries, 3)


@pytest.fixture
def stuck(service, monkeypatch):
    """A service whose look waits for a child that tries a new model, as long as the test lasts."""
    begun, end = threading.Event(), threading.Event()

    def waiting(*_):
        begun.set()
        end.wait(300)

    monkeypatch.setattr("serving.http.state.try_bundle", waiting)
    publish_models(service.workspace.directory, ["churn"], version="2", seed=9)
    assert begun.wait(60)
    yield service
    end.set()


def test_keys_are_read_while_a_new_model_is_tried(stuck):
    """A look may take a minute; a key made meanwhile closes the door, and would open no more once revoked."""
    KeyStore(stuck.workspace.database()).create("till", ["score"])
    assert wait_for(lambda: stuck.http.get("/v1/models").status_code == 401)


def test_what_serves_already_is_not_tried_again(workspace, monkeypatch):
    """A change of something else, of the snapshot or of another model, costs no child for what was opened before."""
    tries = []
    monkeypatch.setattr("serving.http.state.try_bundle", lambda *given: tries.append(given[0]))
    state = State(workspace, open_answers)
    state.refresh()
    write_good(workspace.bundles / "churn" / "2", 2)
    replace_text(workspace.bundles / "churn" / "champion", "2")
    state.refresh()
    assert (tries, state.swaps["loaded"]) == (["churn"], 2)


def test_a_new_champion_is_opened_by_a_thread_that_stands_back(workspace, monkeypatch):
    """The first opening does not rest, for nobody is answered yet; the next ones do after each tree."""
    rests, counts = [], []
    monkeypatch.setattr("recsys.models.pacing.time.sleep", rests.append)
    state = State(workspace, open_answers)
    for version in (None, 2):
        if version is not None:
            write_good(workspace.bundles / "churn" / str(version), version)
            replace_text(workspace.bundles / "churn" / "champion", str(version))
        state.refresh()
        counts.append(len(rests))
    assert (counts[0], counts[1] > 1, state.swaps) == (0, True, {"loaded": 2, "failed": 0})


def killed_at_once(directory: Path) -> Path:
    """A program that dies of a segmentation fault, as an interpreter with a damaged model in it may."""
    path = directory / "dying"
    path.write_text("#!/bin/sh\nkill -SEGV $$\n")
    path.chmod(0o755)
    return path


def test_the_child_says_what_it_refuses(workspace):
    """The error of the child is the error told."""
    make_bad("golden rows fail", workspace.bundles / "churn" / "2", 1)
    with pytest.raises(RefusedByCanary, match="Golden rows") as caught:
        try_bundle("churn", workspace.bundles / "churn" / "2", KEY)
    assert caught.value.reason == "UnequalScores"


def test_a_child_that_never_ends_is_a_refusal(workspace, monkeypatch):
    """Nobody waits for ever."""

    def slow(*_, **__):
        raise subprocess.TimeoutExpired("canary", 60)

    monkeypatch.setattr(canary.subprocess, "run", slow)
    with pytest.raises(BundleKillsProcess):
        try_bundle("churn", workspace.bundles / "churn" / "1", KEY)
    assert issubclass(BundleKillsProcess, BundleError)


def swap_under_load(service, swaps: int) -> tuple[int, int, int]:
    """Swap churn and offers between two versions under load: answers, failures, answers that mix versions."""
    directory = service.workspace.bundles
    for name in ("churn", "offers"):
        write_bundle(directory / name / "2", linear_content(name, 9))
    expected, ending, answers = {}, threading.Event(), []

    def ask(worker: int) -> None:
        with httpx.Client(base_url=service.http.base_url, timeout=60) as client:
            while not ending.is_set():
                score = client.get("/v1/customers/ann/scores")
                offers = client.post("/v1/recommendations", json={"customer_id": "ann"})
                answers.append((score, offers))

    def known(score, offers) -> bool:
        churn, ranked = score["churn"], [(each["item_id"], each["raw"]) for each in offers["offers"]]
        found = {churn["model_version"]: churn["probability"], offers["model_version"]: ranked}
        return all(expected[version] == value for version, value in found.items())

    for version in ("1", "2"):
        point(directory, version)
        assert wait_for(lambda version=version: service.scores()["churn"]["model_version"].startswith(f"{version}-"))
        assert wait_for(lambda version=version: service.offers()["model_version"].startswith(f"{version}-"))
        score, offers = service.scores(), service.offers()
        expected[score["churn"]["model_version"]] = score["churn"]["probability"]
        expected[offers["model_version"]] = [(each["item_id"], each["raw"]) for each in offers["offers"]]
    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask, worker) for worker in range(3)]
        for swap in range(swaps):
            loaded = service.state.swaps["loaded"]
            point(directory, "12"[swap % 2])
            assert wait_for(lambda loaded=loaded: service.state.swaps["loaded"] > loaded)
        ending.set()
        for each in asking:
            each.result()
    failed = sum(answer.status_code != 200 for pair in answers for answer in pair)
    mixed = sum(not known(score.json(), offers.json()) for score, offers in answers)
    return 2 * len(answers), failed, mixed


def point(bundles: Path, version: str) -> None:
    """Make a version of churn and offers the champion."""
    for name in ("churn", "offers"):
        replace_text(bundles / name / "champion", version)


def test_swaps_under_load_fail_no_request_and_mix_no_versions(service):
    """Twenty swaps: every answer is 200, and each model version in it gives exactly its own scores."""
    answers, failed, mixed = swap_under_load(service, 20)
    assert (answers > 40, failed, mixed) == (True, 0, 0)


def test_a_roll_back_by_alias_restores_every_bit(make_workspace):
    """Version 2 promoted and taken over, then the alias moved back: scores and version are those of before."""
    from recsys.registry import Registry, RunRecord

    workspace = make_workspace()
    registry, snapshot = Registry(workspace.settings), workspace.current_snapshot()
    for version, seed in (("a", 1), ("b", 9)):
        write_bundle(workspace.directory / "made" / version, linear_content("churn", seed))
        registry.publish("churn", workspace.directory / "made" / version, RunRecord(), snapshot)
    state, seen = State(workspace, open_answers), []
    for version in (1, 2, 1):
        registry.promote("churn", version)
        registry.pull(workspace.bundles)
        state.refresh()
        seen.append(repr(state.current().answers.score("ann", (), state.current().snapshot.as_of, reasons=True)))
    assert (seen[0] == seen[2], seen[0] == seen[1]) == (True, False)
