"""What the health checks tell: how each part is, to those with a key; nothing that names files or secrets to others."""

import json
import os
import time

import pytest

from recsys.data.files import replace_text
from recsys.errors import DamagedBundle
from recsys.models.bundle import write_bundle
from recsys.models.refusal import forget_refusal, note_refusal
from recsys.store import KeyStore
from recsys.testing.published import linear_content
from serving.http.health import HIDDEN, LOW
from serving.puller import REPORT
from tests.serving.test_state import wait_for


def ready(service, **headers: str) -> dict:
    """The answer of the readiness check."""
    return service.http.get("/health/ready", headers=headers).json()


def components(service) -> dict:
    """Status of each part."""
    return ready(service)["components"]


def test_the_parts_of_a_service_that_is_well(service):
    """Snapshot and models with versions and ages, a database, an empty journal, space on the disk, no registry."""
    told = ready(service)
    parts, snapshot = told["parts"], service.state.current().snapshot
    since = time.time() - snapshot.as_of
    assert set(told["components"].values()) <= {
        "ok",
        "degraded",
    }  # degraded is the disk of a machine that is nearly full
    assert (parts["snapshot"]["id"], parts["snapshot"]["age_seconds"]) == (
        snapshot.snapshot_id,
        pytest.approx(since, abs=5),
    )
    versions = {name: model["version"] for name, model in parts["models"].items()}
    assert versions == {name: service.state.current().versions[name] for name in ("offers", "churn", "value")}
    assert (parts["database"], parts["journal"], parts["registry"]) == ("ok", {"files": 0, "bytes": 0}, None)


def test_the_age_of_a_model_is_that_of_its_bundle(service):
    """A bundle written an hour ago."""
    manifest = service.workspace.champion("churn") / "manifest.json"
    os.utime(manifest, (time.time() - 3_600,) * 2)
    assert wait_for(lambda: 3_600 <= ready(service)["parts"]["models"]["churn"]["age_seconds"] < 3_700)


def test_a_refused_bundle_is_named_with_why(service):
    """The part it belongs to is degraded and says which version was refused; after a roll back it still does."""
    write_bundle(service.workspace.bundles / "churn" / "2", linear_content("churn", 9))
    (service.workspace.bundles / "churn" / "2" / "churn.json").write_text("{}")
    replace_text(service.workspace.bundles / "churn" / "champion", "2")
    assert wait_for(lambda: components(service)["churn"] == "degraded")
    assert (components(service)["snapshot"], components(service)["value"]) == ("ok", "ok")
    replace_text(service.workspace.bundles / "churn" / "champion", "1")
    assert wait_for(lambda: components(service)["churn"] == "ok")
    refused = ready(service)["parts"]["models"]["churn"]["refused"]
    assert (refused["version"], refused["reason"], refused["age_seconds"] < 60) == ("2", "DamagedBundle", True)


def test_a_champion_that_was_never_taken_over_is_told_by_who_serves(make_workspace, serve):
    """Degraded, with version and why, by readiness, metric and parts until it is wanted no more; no key: no details."""
    workspace = make_workspace()
    key, _ = KeyStore(workspace.database()).create("till", ["metrics"])
    service, known = serve(workspace), {"Authorization": f"Bearer {key}"}
    note_refusal(workspace.bundles / "churn", "champion", "canary-9", DamagedBundle("churn.json is damaged"))
    assert wait_for(lambda: components(service)["churn"] == "degraded")
    told, hidden = ready(service, **known), ready(service)
    assert (told["status"], told["reasons"]) == (
        "degraded",
        ["The churn champion canary-9 was not taken over. churn.json is damaged."],
    )
    assert (hidden["reasons"], "canary" in json.dumps(hidden)) == ([HIDDEN], False)
    refused = told["parts"]["models"]["churn"]["refused"]
    assert (refused["version"], refused["reason"]) == ("canary-9", "DamagedBundle")
    for line in ('barista_refusals_total{reason="DamagedBundle"} 1.0', "barista_degraded 1.0"):
        assert wait_for(lambda line=line: line in service.http.get("/metrics", headers=known).text)
    forget_refusal(workspace.bundles / "churn", "champion")
    assert wait_for(lambda: ready(service)["status"] == "ok")


def test_a_snapshot_that_cannot_be_opened_is_the_snapshots_fault(service):
    """No model is blamed for it."""
    replace_text(service.workspace.snapshots / "current", "000000000000")
    assert wait_for(lambda: components(service)["snapshot"] == "degraded")
    assert components(service)["churn"] == "ok"


def test_a_clock_before_the_data_is_not_ready(make_workspace, serve):
    """Where every answer would be 503 because of the clock, so is the health check, and it says why."""
    http = serve(make_workspace(clock="2024-03-11T00:00:00+01:00")).http
    answer = http.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (
        http.get("/v1/customers/ann/scores").status_code,
        "not ready",
    )
    assert "BARISTA_CLOCK" in answer.json()["reasons"][0]


def test_a_missing_model_says_why(make_workspace, serve):
    """No churn model was ever published."""
    workspace = make_workspace()
    (workspace.bundles / "churn" / "champion").unlink()
    service = serve(workspace)
    churn = ready(service)["parts"]["models"]["churn"]
    assert (components(service)["churn"], churn["version"], "barista train" in churn["why"]) == ("missing", None, True)


def test_decisions_that_wait_are_counted(service):
    """A file of the journal with a lock of another worker: one file, so many bytes."""
    waiting = service.workspace.directory / "journal"
    waiting.mkdir(exist_ok=True)
    (waiting / "other.d").write_text("")  # no journal file
    with (waiting / "other.jsonl").open("wb") as file:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(b"12345")
        file.flush()
        assert wait_for(lambda: ready(service)["parts"]["journal"] == {"files": 1, "bytes": 5})
        assert components(service)["journal"] == "degraded"


@pytest.mark.parametrize(("reached", "status"), [(True, "ok"), (False, "degraded")])
def test_the_registry_is_told_as_the_puller_saw_it(service, reached, status):
    """Whether it answered the last round, and how long ago it did."""
    report = {"at": 0, "reached": reached, "error": "canary-uri", "succeeded": int(time.time()) - 600}
    replace_text(service.workspace.bundles / REPORT, json.dumps(report))
    assert wait_for(lambda: components(service).get("registry") == status)
    seen = ready(service)["parts"]["registry"]
    assert (seen["reached"], 600 <= seen["success_age_seconds"] < 660) == (reached, True)


@pytest.mark.parametrize(("free", "status"), [(LOW, "ok"), (LOW - 0.01, "degraded")])
def test_a_disk_that_is_nearly_full_is_told(service, monkeypatch, free, status):
    """Before it is full."""
    import shutil
    from types import SimpleNamespace

    usage = SimpleNamespace(free=round(free * 1_000), total=1_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    assert wait_for(lambda: ready(service)["parts"]["disk"] == {"free_bytes": usage.free, "free_share": free})
    assert components(service)["disk"] == status


def test_callers_without_a_key_are_told_no_details(make_workspace, serve):
    """What is wrong is told by component; versions, files and the words of errors only to those with a key."""
    workspace = make_workspace()
    key, _ = KeyStore(workspace.database()).create("till", ["score"])
    service = serve(workspace)
    replace_text(workspace.bundles / "churn" / "champion", "canary-7")
    known = {"Authorization": f"Bearer {key}"}
    assert wait_for(lambda: components(service)["churn"] == "degraded")
    told, other = ready(service), ready(service, Authorization="Bearer brs_wrong")
    assert (told, told["reasons"], told["parts"]) == (other, [HIDDEN], None)
    assert "canary" not in json.dumps(told)
    assert ready(service, **known)["parts"]["models"]["churn"]["refused"]["version"] == "canary-7"
    assert "canary-7" in ready(service, **known)["reasons"][0]


def test_a_forged_host_is_told_no_details(service):
    """A page of elsewhere that reaches a service without keys by a forged name learns what anyone may."""
    assert ready(service, Host="evil.example")["parts"] is None


def test_no_path_is_told_to_anyone(service):
    """Not even to callers with a key, while all is well."""
    assert str(service.workspace.directory) not in json.dumps(ready(service))


def test_the_process_says_how_long_it_runs(service):
    """Liveness waits for nothing and tells nothing of the workspace."""
    live = service.http.get("/health/live").json()
    assert (live["status"], set(live), live["uptime_seconds"] < 600) == ("ok", {"status", "uptime_seconds"}, True)


def test_files_that_cannot_be_read_leave_what_was_seen(service, monkeypatch):
    """A disk that fails takes no health check with it."""

    def broken(_path):
        raise OSError

    monkeypatch.setattr("serving.http.health.shutil.disk_usage", broken)
    before = ready(service)["parts"]["looked_seconds"]
    assert wait_for(lambda: ready(service)["parts"]["looked_seconds"] > before)
    assert ready(service)["status"] == "ok"
