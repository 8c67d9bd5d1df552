"""Versions are registered with their run, one is the champion, and the bundle cache follows it or stays."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from shutil import copytree, rmtree

import pytest
from pydantic import SecretStr

from recsys.data.files import read_text
from recsys.errors import BundleError, DamagedBundle, RegistryError, SnapshotError
from recsys.models.refusal import note_refusal, refusal_of
from recsys.registry import Change, Registry, RunRecord, pulling

RECORD = RunRecord({"leaves": 31}, {"auc": 0.8125}, {"stage": "backtest"}, fingerprint="f1")


@pytest.fixture
def registry(workspace) -> Registry:
    return Registry(workspace.settings)


@pytest.fixture
def run_of(registry):
    """The MLflow run behind a version."""

    def find(name: str, version: int):
        (info,) = [each for each in registry.versions(name) if each.version == version]
        return registry._client.get_run(info.run_id)

    return find


def test_a_published_bundle_has_a_run_with_what_was_recorded(registry, run_of, bundle, snapshot):
    """Parameters, metrics, the fingerprint of the data and the bundle's digest stand beside the model."""
    path = bundle()
    version = registry.publish("churn", path, RECORD, snapshot)
    run = run_of("churn", version)
    digest = json.loads((path / "manifest.json").read_text())["digest"]
    kept = {name: run.data.tags[name] for name in ("stage", "barista.data", "barista.bundle_digest")}
    assert (run.data.params, run.data.metrics, kept, run.info.status) == (
        {"leaves": "31"},
        {"auc": 0.8125},
        {"stage": "backtest", "barista.data": "f1", "barista.bundle_digest": digest},
        "FINISHED",
    )


def test_reports_are_kept_with_the_run(registry, run_of, bundle, snapshot, tmp_path):
    """Who looks at a version in MLflow finds its report there."""
    (tmp_path / "report.html").write_text("<h1>churn</h1>")
    version = registry.publish("churn", bundle(), RunRecord(artifacts=[tmp_path / "report.html"]), snapshot)
    run = run_of("churn", version)
    assert "report.html" in [each.path for each in registry._client.list_artifacts(run.info.run_id)]


def test_a_challenger_is_pulled_beside_the_champion(registry, bundle, snapshot, tmp_path):
    """Its pointer stands beside the champion's; made champion, it challenges no more."""
    first, second = (registry.publish("churn", bundle(intercept=shift), RECORD, snapshot) for shift in (0.0, 0.5))
    registry.promote("churn", first)
    registry.promote("churn", second, "challenger")
    registry.pull(tmp_path)
    beside = [read_text(tmp_path / "churn" / role) for role in ("champion", "challenger")]
    registry.promote("churn", second)
    changes = registry.pull(tmp_path)
    after = [read_text(tmp_path / "churn" / role) for role in ("champion", "challenger")]
    assert (beside, after) == ([str(first), str(second)], [str(second), None])
    assert [(change.role, change.after) for change in changes] == [("champion", str(second)), ("challenger", "")]


def test_a_challenge_can_be_withdrawn(registry, bundle, snapshot, tmp_path):
    """Withdrawn in the registry, the next pull takes the pointer away; twice does no harm."""
    registry.promote("churn", registry.publish("churn", bundle(), RECORD, snapshot), "challenger")
    registry.pull(tmp_path)
    registry.withdraw("churn")
    registry.withdraw("churn")
    registry.pull(tmp_path)
    assert read_text(tmp_path / "churn" / "challenger") is None


def test_hundreds_of_metrics_are_kept(registry, run_of, bundle, snapshot):
    """More figures than MLflow takes at once arrive all the same."""
    metrics = {f"m{i}": float(i) for i in range(250)}
    version = registry.publish("value", bundle("value"), RunRecord({}, metrics), snapshot)
    assert run_of("value", version).data.metrics == metrics


def test_nothing_is_pickled(registry, run_of, bundle, snapshot, workspace):
    """The stored model is text and numbers: code by name, arrays without objects."""
    registry.publish("churn", bundle(), RECORD, snapshot)
    found = {path.suffix for path in (workspace.directory / "mlruns").rglob("*") if path.is_file()}
    assert found <= {".json", ".npy", ".txt", ".py", ".yaml", ".yml", ".html", ""}


def test_a_new_version_serves_only_after_its_promotion(registry, bundle, snapshot):
    """Registering and promoting are two decisions."""
    first = registry.publish("churn", bundle(), RECORD, snapshot)
    registry.promote("churn", first)
    registry.publish("churn", bundle(intercept=1.0), RECORD, snapshot)
    assert registry.champion("churn").version == first


def test_an_unknown_version_is_not_promoted(registry, bundle, snapshot):
    """The message lists the versions there are."""
    version = registry.publish("churn", bundle(), RECORD, snapshot)
    with pytest.raises(RegistryError, match=rf"found 999; expected one of .*{version}"):
        registry.promote("churn", 999)


def test_an_unknown_model_is_refused(registry):
    """Names are those of the three models."""
    with pytest.raises(RegistryError, match="offers, churn, value"):
        registry.versions("uplift")


def test_a_bundle_of_another_model_is_not_published(registry, bundle, snapshot):
    """A value model never answers for churn."""
    with pytest.raises(BundleError, match="another model"):
        registry.publish("churn", bundle("value"), RECORD, snapshot)


def test_a_snapshot_without_population_facts_is_refused(registry, bundle, tiny_workspace):
    """An MLflow model that could not answer is not registered."""
    with pytest.raises(SnapshotError, match="population"):
        registry.publish("churn", bundle(), RECORD, tiny_workspace.current_snapshot())


def test_pull_brings_the_champion_into_the_cache(registry, bundle, snapshot, workspace, tmp_path):
    """Workers find the same bytes that were published."""
    path = bundle(intercept=2.0)
    registry.promote("churn", registry.publish("churn", path, RECORD, snapshot))
    registry.pull(tmp_path / "cache")
    version = read_text(tmp_path / "cache" / "churn" / "champion")
    cached = tmp_path / "cache" / "churn" / version
    assert {each.name: each.read_bytes() for each in cached.iterdir()} == {
        each.name: each.read_bytes() for each in path.iterdir()
    }


def test_a_second_pull_changes_nothing(registry, bundle, snapshot, tmp_path):
    """The cache is touched only when a champion changed."""
    registry.promote("churn", registry.publish("churn", bundle(), RECORD, snapshot))
    registry.pull(tmp_path / "cache")
    assert registry.pull(tmp_path / "cache") == []


@pytest.fixture
def cached(registry, bundle, snapshot, tmp_path):
    """A champion in the cache."""
    registry.promote("churn", registry.publish("churn", bundle(intercept=4.0), RECORD, snapshot))
    registry.pull(tmp_path / "cache")
    folder = tmp_path / "cache" / "churn"
    return folder / read_text(folder / "champion")


def contents(directory):
    """Bytes of the files by name."""
    return {each.name: each.read_bytes() for each in directory.iterdir()}


def tear(path):
    """Half of the file is gone, as after a full disk."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("harm", [tear, lambda path: path.unlink()], ids=["torn", "lost"])
def test_a_damaged_champion_of_the_cache_is_fetched_again(registry, cached, tmp_path, harm):
    """MLflow has it whole: the next pull replaces what a disk or a hand destroyed, and says so."""
    whole = contents(cached)
    harm(cached / "churn.json")
    changes = registry.pull(tmp_path / "cache")
    assert (changes, contents(cached)) == ([Change("churn", cached.name, cached.name)], whole)


def test_another_bundle_under_the_number_of_the_champion_is_replaced(registry, cached, bundle, tmp_path):
    """One of another MLflow has other bytes, each of them whole."""
    whole = contents(cached)
    rmtree(cached)
    bundle(intercept=6.0).rename(cached)
    registry.pull(tmp_path / "cache")
    assert contents(cached) == whole


def test_a_champion_that_holds_is_read_once(registry, cached, tmp_path, monkeypatch):
    """Rounds a few seconds apart read its files again only after one changed."""
    registry.pull(tmp_path / "cache")
    read, real = [], pulling.read_bundle
    monkeypatch.setattr(pulling, "read_bundle", lambda *named: read.append(named[0]) or real(*named))
    registry.pull(tmp_path / "cache")
    unchanged = len(read)
    os.utime(cached / "churn.json", (1, 1))
    registry.pull(tmp_path / "cache")
    assert (unchanged, read) == (0, [cached])


def test_two_that_pull_at_once_stand_in_nobodys_way(bundle, tmp_path):
    """Process ids of two pods on one volume may be alike: each fetches into a folder of its own."""
    places, source = [], bundle()

    def fetch(_run_id, target):
        places.append(target)
        if len(places) == 1:
            pulling.pull_champion(fetch, tmp_path / "cache" / "churn", 2, "other", None)
        return Path(copytree(source, target / "bundle"))

    pulling.pull_champion(fetch, tmp_path / "cache" / "churn", 1, "one", None)
    assert len(set(places)) == 2


def test_a_damaged_champion_is_refused_and_the_last_good_one_stays(registry, run_of, bundle, snapshot, tmp_path):
    """Bytes changed in the artifact store never reach a worker."""
    good = registry.publish("churn", bundle(), RECORD, snapshot)
    registry.promote("churn", good)
    registry.pull(tmp_path / "cache")
    bad = registry.publish("churn", bundle(intercept=3.0), RECORD, snapshot)
    registry.promote("churn", bad)
    stored = f"{run_of('churn', bad).info.artifact_uri}/model/artifacts/bundle/churn.json"
    with open(stored, "a") as file:  # noqa: PTH123
        file.write(" ")
    changes = [each for each in registry.pull(tmp_path / "cache") if each.name == "churn"]
    serving = read_text(tmp_path / "cache" / "churn" / "champion")
    registry.promote("churn", good)
    assert (serving, [(c.before, c.after, "churn.json is damaged" in c.refused) for c in changes]) == (
        str(good),
        [(str(good), str(bad), True)],
    )


def test_what_was_refused_is_noted_until_it_is_wanted_no_more(registry, run_of, bundle, snapshot, tmp_path):
    """Version and why, beside the bundles, for champion and challenger alike; gone with the alias, or when it holds."""
    good, bad = (registry.publish("churn", bundle(intercept=each), RECORD, snapshot) for each in (1.0, 3.0))
    stored = Path(f"{run_of('churn', bad).info.artifact_uri}/model/artifacts/bundle/churn.json")
    whole = stored.read_text()
    seen = []

    def pull():
        registry.pull(tmp_path)
        found = [refusal_of(tmp_path / "churn", role) for role in ("champion", "challenger")]
        seen.append([None if each is None else (each.version, each.kind) for each in found])

    stored.write_text(f"{whole} ")
    registry.promote("churn", bad)
    pull()
    registry.promote("churn", good)
    registry.promote("churn", bad, "challenger")
    pull()
    stored.write_text(whole)
    pull()
    note_refusal(tmp_path / "churn", "challenger", "7", DamagedBundle("bad"))
    registry.withdraw("churn")
    pull()
    refused = (str(bad), "DamagedBundle")
    assert seen == [[refused, None], [None, refused], [None, None], [None, None]]


def test_what_a_killed_download_left_is_swept(bundle, tmp_path):
    """Of hours ago; that of a download under way stays."""
    cache = tmp_path / "churn"
    for name, age in ((".pulling-a", 7_200), (".pulling-b", 60)):
        (cache / name).mkdir(parents=True)
        os.utime(cache / name, (time.time() - age,) * 2)
    pulling.pull_champion(lambda _run, _target: bundle(), cache, 1, "one", None)
    assert [each.name for each in cache.glob(".pulling-*")] == [".pulling-b"]


def test_with_a_key_only_signed_bundles_are_taken(workspace, bundle, snapshot):
    """Whoever can write to the artifact store can't put a model of their own into service."""
    signed = Registry(workspace.settings.model_copy(update={"bundle_key": SecretStr("k1")}))
    with pytest.raises(BundleError, match="not signed"):
        signed.publish("churn", bundle(), RECORD, snapshot)


def test_a_bundle_signed_with_the_key_is_published_and_pulled(workspace, bundle, snapshot, tmp_path):
    """The same key signs and verifies."""
    settings = workspace.settings.model_copy(update={"bundle_key": SecretStr("k1"), "registry_prefix": "signed-"})
    signed = Registry(settings)
    version = signed.publish("churn", bundle(key=b"k1"), RECORD, snapshot)
    signed.promote("churn", version)
    assert signed.pull(tmp_path / "cache") == [Change("churn", None, str(version))]


def test_tenants_with_another_prefix_see_other_versions(workspace, registry, bundle, snapshot):
    """Two workspaces on one MLflow server keep apart by their prefix."""
    registry.publish("churn", bundle(), RECORD, snapshot)
    other = Registry(workspace.settings.model_copy(update={"registry_prefix": "other-"}))
    assert (other.versions("churn"), len(registry.versions("churn")) > 0) == ((), True)


def test_nothing_is_written_where_one_happens_to_stand(workspace, bundle, snapshot, tmp_path, monkeypatch):
    """A tracking database named by the environment keeps its artifacts in the workspace, too."""
    monkeypatch.chdir(tmp_path)
    path = bundle()
    settings = workspace.settings.model_copy(update={"mlflow_tracking_uri": f"sqlite:///{tmp_path}/runs.db"})
    Registry(settings).publish("churn", path, RECORD, snapshot)
    assert sorted(each.name for each in tmp_path.iterdir()) == [path.name, "runs.db"]


def test_mlflow_that_does_not_answer_is_an_error_of_the_registry(workspace, monkeypatch):
    """A server that is down is told with its cure."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError, match="MLFLOW_TRACKING_URI"):
        Registry(workspace.settings.model_copy(update={"mlflow_tracking_uri": "http://127.0.0.1:1"}))


def test_opening_what_serves_imports_no_mlflow(workspace, registry, bundle, snapshot):
    """Workers read the cache; MLflow with its 165 MB stays out of them."""
    registry.promote("churn", registry.publish("churn", bundle(), RECORD, snapshot))
    registry.pull(workspace.bundles)
    program = (
        "import sys; from recsys.settings import load_settings; from recsys.workspace import Workspace;"
        f"Workspace.open(load_settings(workspace={str(workspace.directory)!r})).load_serving();"
        "print(sorted({'mlflow', 'pandas', 'sklearn', 'lightgbm', 'implicit'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_versions_served_name_number_and_digest(workspace, registry, bundle, snapshot):
    """An answer says exactly which model it came from."""
    path = bundle(intercept=5.0)
    version = registry.publish("churn", path, RECORD, snapshot)
    registry.promote("churn", version)
    registry.pull(workspace.bundles)
    digest = json.loads((path / "manifest.json").read_text())["digest"]
    assert workspace.load_serving().churn.version == f"{version}-{digest[:8]}"
