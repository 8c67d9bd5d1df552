"""`barista promote` and `barista pull`: what a person types to change what serves."""

import pytest
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.data.files import read_text
from recsys.registry import Registry, RunRecord


@pytest.fixture
def versions(workspace, bundle, snapshot) -> list[int]:
    """Two versions of the value model, the first one promoted and pulled."""
    registry = Registry(workspace.settings)
    found = [registry.publish("value", bundle("value", at), RunRecord(), snapshot) for at in (0.0, 1.0)]
    registry.promote("value", found[0])
    registry.pull(workspace.bundles)
    return found


def run(workspace, *arguments: str):
    return CliRunner().invoke(build_app(), ["--workspace", str(workspace.directory), *arguments])


def test_promote_changes_what_serves(workspace, versions):
    """One command promotes and fetches."""
    result = run(workspace, "promote", "value", str(versions[1]))
    assert (result.output, read_text(workspace.bundles / "value" / "champion")) == (
        f"value: version {versions[0]} → {versions[1]}\n",
        str(versions[1]),
    )


def test_pull_without_news_says_so(workspace, versions):
    """A command run every minute is quiet and successful."""
    result = run(workspace, "pull")
    assert (result.exit_code, result.output) == (0, "Nothing new\n")


def test_a_refused_bundle_fails_the_pull_and_names_what_serves(workspace, versions):
    """A nightly job notices by the exit code."""
    registry = Registry(workspace.settings)
    artifacts = workspace.directory / "mlruns"
    (info,) = [each for each in registry.versions("value") if each.version == versions[1]]
    (artifacts / info.run_id / "artifacts/model/artifacts/bundle/spend.json").write_text("{}")
    registry.promote("value", versions[1])
    result = run(workspace, "pull")
    registry.promote("value", versions[0])
    assert (result.exit_code, f"version {versions[1]} refused, {versions[0]} serves" in result.output) == (1, True)
