"""Health, models, metrics, and changes of the workspace while it serves."""

import time

import pytest
from structlog.testing import capture_logs

from recsys.models.bundle import write_bundle
from recsys.testing.published import linear_content, publish_models
from serving.answers import open_answers
from serving.http.state import State


def wait_for(condition):
    """True as soon as `condition` holds, False after four minutes."""
    end = time.monotonic() + 240
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_who_is_erased_is_known_before_the_first_answer(make_workspace):
    """A database that is lost right after the start hides nobody who was not erased."""
    state = State(make_workspace(), open_answers)
    state.begin()
    state.erased.away = lambda: True
    assert state.erased("ann") is None


def test_a_new_champion_answers_without_restart(service):
    """The pointer to the champion moves, the next answers come from it."""
    publish_models(service.workspace.directory, ["churn"], version="2", seed=9)
    assert wait_for(lambda: service.scores()["churn"]["model_version"].startswith("2-"))


def test_a_roll_back_gives_the_former_bits(service):
    """Moving the pointer back restores every bit of the scores."""
    before = service.scores()
    publish_models(service.workspace.directory, ["churn"], version="2", seed=9)
    assert wait_for(lambda: service.scores() != before)
    (service.workspace.bundles / "churn" / "champion").write_text("1")
    assert wait_for(lambda: service.scores() == before)


def test_a_new_import_answers_without_restart(service, newer_import):
    """A published snapshot is taken over, with its customers' newer orders."""
    snapshot_id = newer_import(service.workspace)
    assert wait_for(lambda: service.offers(customer_id="bob")["snapshot_id"] == snapshot_id)
    assert service.http.get("/v1/customers/bob").json()["orders"] == 3


@pytest.mark.parametrize("damage", ["champion", "snapshot"])
def test_the_last_good_state_goes_on_answering(service, damage):
    """What can't be opened is not taken over; readiness says degraded and why, and heals by itself."""
    before, pointer = service.scores(), service.workspace.bundles / "churn" / "champion"
    if damage == "champion":
        write_bundle(service.workspace.bundles / "churn" / "2", linear_content("churn", 9))
        (service.workspace.bundles / "churn" / "2" / "churn.json").write_text("{}")
        pointer.write_text("2")
        good = "1"
    else:
        pointer, good = service.workspace.snapshots / "current", service.workspace.snapshot_id()
        pointer.write_text("000000000000")
    assert wait_for(lambda: service.http.get("/health/ready").json()["status"] == "degraded")
    assert service.http.get("/health/ready").json()["reasons"]
    assert service.scores() == before
    pointer.write_text(good)
    assert wait_for(lambda: service.http.get("/health/ready").json()["status"] == "ok")


def test_without_a_snapshot_it_is_alive_but_not_ready(make_workspace, serve):
    """Nothing imported: probes say so with the cure, answers are 503."""
    workspace = make_workspace()
    (workspace.snapshots / "current").unlink()
    service = serve(workspace)
    ready = service.http.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
    assert "barista import" in ready.json()["reasons"][0]
    assert service.http.get("/health/live").status_code == 200
    assert service.http.get("/v1/customers/ann/scores").status_code == 503


def test_without_any_model_it_is_not_ready(make_workspace, serve):
    """A snapshot alone can't answer."""
    workspace = make_workspace()
    for name in ("offers", "churn", "value"):
        (workspace.bundles / name / "champion").unlink()
    ready = serve(workspace).http.get("/health/ready")
    assert (ready.status_code, "barista train" in ready.json()["reasons"][0]) == (503, True)


def test_models_name_versions_digests_and_metrics(shared):
    """The published models are listed with what they were measured at."""
    models = shared.http.get("/v1/models").json()["models"]
    assert [(model["name"], model["kind"], model["metrics"]) for model in models] == [
        (name, "linear", {"validation.auc": 0.75}) for name in ("offers", "churn", "value")
    ]


def test_metrics_count_routes_never_ids(service):
    """Requests are counted by path template; no id is a label."""
    service.scores("ann")
    text = service.http.get("/metrics").text
    counted = 'barista_requests_total{method="GET",route="/v1/customers/{customer_id}/scores",status="200"} 1.0'
    assert (counted in text, "ann" in text) == (True, False)


def test_metrics_tell_swaps_and_degradation(service):
    """A state that could not be opened is counted and shown."""
    (service.workspace.snapshots / "current").write_text("000000000000")
    assert wait_for(lambda: "barista_degraded 1.0" in service.http.get("/metrics").text)
    assert 'barista_swaps_total{result="failed"}' in service.http.get("/metrics").text


@pytest.mark.parametrize("name", ["snapshots/current", "bundles/churn/champion"])
def test_a_pointer_that_is_no_text_is_a_fault_like_others(service, name):
    """Bytes that are no UTF-8: degraded, answers go on, and the service goes on looking for what is next."""
    pointer, before = service.workspace.directory / name, service.scores()
    good = pointer.read_bytes()
    pointer.write_bytes(b"\xff")
    assert wait_for(lambda: service.http.get("/health/ready").json()["status"] == "degraded")
    assert service.scores() == before
    pointer.write_bytes(good)
    assert wait_for(lambda: service.http.get("/health/ready").json()["status"] == "ok")


def test_a_look_that_fails_is_not_the_last_one(service, monkeypatch):
    """Whatever goes wrong beside the answers is logged, and the next look is made all the same."""
    looks, real = [], service.state.refresh

    def broken() -> bool:
        looks.append(1)
        if len(looks) == 1:
            raise KeyError("canary")
        return real()

    with capture_logs() as lines:
        monkeypatch.setattr(service.state, "refresh", broken)
        assert wait_for(lambda: len(looks) > 1)
    failed = [line for line in lines if line["event"] == "look failed"]
    assert (len(failed), failed[0]["error"], "canary" in repr(lines)) == (1, "KeyError", False)
