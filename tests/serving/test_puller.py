"""The process that asks MLflow: whatever MLflow does, the last good bundles serve."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from recsys.data.files import read_text
from recsys.models.bundle import write_bundle
from recsys.registry import Registry, RunRecord
from recsys.settings import Settings
from recsys.testing.published import linear_content
from recsys.workspace import create_tenant
from serving import puller
from serving.answers import open_answers
from serving.http.running import Running
from serving.http.state import State
from serving.puller import Puller, Rounds
from tests.serving.test_processes import CLIENT, serving
from tests.serving.test_state import wait_for

ANSWERS = {
    "html": (200, b"<html>a login page</html>"),
    "error": (500, b"{}"),
    "other json": (200, b'[1, 2, {"registered_models": 7}]'),
    "strange alias": (
        200,
        json.dumps(
            {
                "experiment": {"experiment_id": "0", "name": "barista", "lifecycle_stage": "active"},
                "registered_models": [{"name": "churn", "aliases": [{"alias": "champion", "version": "../../etc"}]}],
                "model_version": {"name": "churn", "version": "../../etc", "run_id": "../..", "source": "/etc"},
            }
        ).encode(),
    ),
}


@contextmanager
def mlflow_that_answers(status: int, body: bytes) -> Iterator[str]:
    """Address of a server that gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@contextmanager
def mlflow_that_stalls() -> Iterator[str]:
    """Address of a server that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def impatient(monkeypatch):
    """The MLflow client waits a second and asks once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def pointers(workspace) -> list[str | None]:
    """What the cache says serves."""
    return [read_text(workspace.bundles / name / "champion") for name in ("offers", "churn", "value")]


def reached(directory) -> bool | None:
    """Whether MLflow answered the last round of a workspace; None when nobody asked it."""
    said = puller.pulled(directory)
    return said.reached if said is not None else None


def pulled(workspace, address: str, monkeypatch) -> tuple[bool, bool | None, bool]:
    """Whether a round reached MLflow, what the report says, and whether the pointers are those of before."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    before = pointers(workspace)
    return Rounds(workspace.directory).pull(), reached(workspace.directory), pointers(workspace) == before


@pytest.mark.parametrize("answer", ANSWERS)
def test_garbage_changes_nothing(make_workspace, impatient, monkeypatch, answer):
    """A round that understands nothing is a failed one; the last good models stay."""
    workspace = make_workspace()
    with mlflow_that_answers(*ANSWERS[answer]) as address:
        assert pulled(workspace, address, monkeypatch) == (False, False, True)


def test_an_mlflow_that_knows_nothing_takes_nothing_away(make_workspace, impatient, monkeypatch):
    """An empty registry is no order to stop serving."""
    with mlflow_that_answers(200, b"") as address:
        assert pulled(make_workspace(), address, monkeypatch) == (True, True, True)


def test_an_mlflow_that_is_not_there_changes_nothing(make_workspace, impatient, monkeypatch):
    """Nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    assert pulled(make_workspace(), address, monkeypatch) == (False, False, True)


def test_an_mlflow_that_stalls_changes_nothing(make_workspace, impatient, monkeypatch):
    """It accepts and never answers."""
    with mlflow_that_stalls() as address:
        assert pulled(make_workspace(), address, monkeypatch) == (False, False, True)


def test_it_is_found_again(make_workspace, impatient, monkeypatch, tmp_path):
    """After failed rounds the first good one counts."""
    workspace = make_workspace()
    with mlflow_that_answers(*ANSWERS["html"]) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        rounds = Rounds(workspace.directory)
        assert rounds.pull() is False
    rounds._settings = Settings(workspace=workspace.directory, mlflow_tracking_uri=f"sqlite:///{tmp_path / 'm.db'}")
    assert (rounds.pull(), reached(workspace.directory)) == (True, True)


def two_versions(workspace, address: str, monkeypatch) -> Registry:
    """An MLflow of its own for the workspace, with two unlike versions of churn."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    registry = Registry(Settings(workspace=workspace.directory, mlflow_tracking_uri=address))
    for version, seed in (("a", 1), ("b", 9)):
        made = workspace.directory / "made" / version
        write_bundle(made, linear_content("churn", seed))
        registry.publish("churn", made, RunRecord(), workspace.current_snapshot())
    return registry


def test_a_moved_alias_arrives_and_rolls_back_bit_by_bit(make_workspace, monkeypatch, tmp_path):
    """The process itself: promoted by alias, taken over, moved back, the same bits as before."""
    workspace = make_workspace()
    registry = two_versions(workspace, f"sqlite:///{tmp_path / 'shared.db'}", monkeypatch)
    state, seen, process = State(workspace, open_answers), [], None
    try:
        for version in (1, 2, 1):
            registry.promote("churn", version)
            process = process or Puller(0.2, [workspace.directory])
            assert wait_for(lambda version=version: read_text(workspace.bundles / "churn" / "champion") == str(version))
            state.refresh()
            seen.append(repr(state.current().answers.score("ann", (), state.current().snapshot.as_of, reasons=True)))
    finally:
        process.stop()
    assert (seen[0] == seen[2], seen[0] == seen[1]) == (True, False)


def test_a_version_its_puller_refuses_is_told_by_the_service(make_workspace, monkeypatch, tmp_path):
    """Bytes changed where MLflow keeps them: the former champion serves, degraded; after the roll back it is well."""
    workspace = make_workspace()
    registry = two_versions(workspace, f"sqlite:///{tmp_path / 'shared.db'}", monkeypatch)
    run = registry._client.get_run(registry._client.get_model_version("churn", "2").run_id)
    with Path(f"{run.info.artifact_uri}/model/artifacts/bundle/churn.json").open("a") as file:
        file.write(" ")
    state, rounds, seen = State(workspace, open_answers), Rounds(workspace.directory), []
    for version in (1, 2, 1):
        registry.promote("churn", version)
        rounds.pull()
        state.refresh()
        seen.append((state.health()[0], state.current().versions["churn"].partition("-")[0]))
    assert (seen, state.refusals) == ([("ok", "1"), ("degraded", "1"), ("ok", "1")], {"DamagedBundle": 1})


@pytest.mark.parametrize("mlflow", ["", 'mlflow_tracking_uri = "http://mlflow.example:5000"\n'])
def test_a_tenant_with_an_mlflow_of_its_own_is_asked_for(tmp_path, monkeypatch, mlflow):
    """And who has none is not, where the operator has none either."""
    place, asked = tmp_path / "tenants", []
    place.mkdir()
    for name in ("north", "south"):
        create_tenant(Settings(tenants=place), name)
    with (place / "north" / "barista.toml").open("a") as file:
        file.write(mlflow)
    monkeypatch.setattr("serving.http.running.Puller", lambda _seconds, served, _tenants: asked.extend(served))
    Running.open(Settings(tenants=place))._puller()
    assert asked == ([place / "north"] if mlflow else [])


OPERATORS = 'mlflow_tracking_uri = "http://mlflow.example:5000"\nbundle_key = "k1"\nregistry_prefix = "shared-"\n'


@pytest.mark.parametrize("told", ["argument", "environment"])
def test_it_asks_for_a_tenant_under_the_settings_it_is_served_under(tmp_path, monkeypatch, told):
    """The operator's MLflow and key, the tenant's prefix; a workspace elsewhere is nobody's tenant."""
    place, alone = tmp_path / "tenants", tmp_path / "alone"
    place.mkdir()
    (place / "barista.toml").write_text(OPERATORS)
    create_tenant(Settings(tenants=place), "north")
    if told == "environment":
        monkeypatch.setenv("BARISTA_TENANTS", str(place))
    found = [Rounds(each, place if told == "argument" else None)._settings for each in (place / "north", alone)]
    settings = [(each.mlflow_tracking_uri, each.bundle_key, each.registry_prefix) for each in found]
    assert settings == [("http://mlflow.example:5000", SecretStr("k1"), "north-"), (None, None, "")]


@pytest.mark.usefixtures("impatient")  # the child would set how long the client waits, for later tests too
def test_its_process_is_told_where_the_tenants_are(tmp_path, monkeypatch):
    """What the service says reaches the one that asks."""
    started, rounds = [], []
    monkeypatch.setattr(puller.subprocess, "Popen", lambda command, **_: started.append(command))
    monkeypatch.setattr(puller, "pull_again_and_again", lambda *named: rounds.append((named[1], named[3])))
    monkeypatch.setattr(puller.sys, "stdout", puller.sys.stdout)
    monkeypatch.setattr("recsys.logs.configure_logs", lambda _level: None)
    Puller(1.0, [tmp_path / "north"], tmp_path)
    puller._child(started[0][3:])
    assert rounds == [([tmp_path / "north"], tmp_path)]


def test_it_ends_with_the_process_that_started_it(make_workspace, monkeypatch):
    """When its standard input ends, so does it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    process = Puller(0.2, [make_workspace().directory])._process
    process.stdin.close()
    assert process.wait(30) == 0


def test_a_child_that_says_nothing_is_replaced(monkeypatch):
    """The one that watches does not wait for ever, and goes on watching."""
    read, write = os.pipe()
    with os.fdopen(read) as silent, os.fdopen(write, "w"):
        monkeypatch.setattr(puller, "PATIENCE", 0.2)
        monkeypatch.setattr(puller.sys, "stdin", silent)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdout=subprocess.PIPE)
        begun = time.monotonic()
        wanted = puller._watch(child)
        child.kill()
        child.wait()
    assert (wanted, time.monotonic() - begun < 30) == (True, True)


@contextmanager
def mlflow_that_is_not_there() -> Iterator[str]:
    """Address of a port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    yield address


@pytest.mark.parametrize("mlflow", [mlflow_that_is_not_there, mlflow_that_stalls])
def test_a_service_starts_without_its_mlflow(make_workspace, impatient, mlflow):
    """The process itself is ready, answers offers by the cached champions, and says that MLflow is out of reach."""
    workspace = make_workspace()
    with (
        mlflow() as address,
        serving(workspace, MLFLOW_TRACKING_URI=address, BARISTA_REFRESH_SECONDS="0.1") as (_, url),
    ):
        ready = CLIENT.get(f"{url}/health/ready").json()["status"]
        assert wait_for(lambda: "barista_registry_reached 0.0" in CLIENT.get(f"{url}/metrics").text)
        offers = CLIENT.post(f"{url}/v1/recommendations", json={"customer_id": "ann"}).json()
        models = {
            each["name"]: each["version"].partition("-")[0] for each in CLIENT.get(f"{url}/v1/models").json()["models"]
        }
    assert (ready, bool(offers["offers"]), [models[name] for name in ("offers", "churn", "value")]) == (
        "ok",
        True,
        pointers(workspace),
    )
