"""`barista migrate` moves the tables of the workspace's database."""

from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.store.migrate import HEAD


def said(workspace, *arguments: str) -> str:
    """What the program prints."""
    done = CliRunner().invoke(build_app(), ["--workspace", str(workspace.directory), "migrate", *arguments])
    assert done.exit_code == 0, done.output
    return done.output.strip()


def test_migrate_goes_forward_back_and_says_when_nothing_is_to_do(tiny_workspace):
    """Each move names the versions before and after."""
    assert [said(tiny_workspace), said(tiny_workspace, "--to", "0001"), said(tiny_workspace), said(tiny_workspace)] == [
        f"Tables went from base to {HEAD}",
        f"Tables went from {HEAD} to 0001",
        f"Tables went from 0001 to {HEAD}",
        f"Tables were and stay at version {HEAD}",
    ]


def test_tables_on_a_server_are_made_before_the_first_import(tmp_path, monkeypatch):
    """A deployment migrates while there is no workspace yet."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'events.db'}")
    done = CliRunner().invoke(build_app(), ["--workspace", str(tmp_path / "none"), "migrate"])
    assert done.output.strip() == f"Tables went from base to {HEAD}"
