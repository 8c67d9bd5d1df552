"""The `barista` program: every command is there, errors are one line, usage errors exit with 2."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from recsys.cli.app import build_app, main
from recsys.errors import SnapshotError
from recsys.store import Event

COMMANDS = (
    "import",
    "check",
    "train",
    "backtest",
    "score",
    "sweep",
    "serve",
    "status",
    "backup",
    "restore",
    "pull",
    "promote",
)


def run(*arguments: str, workspace=None):
    """Output of `barista`, in this process; a cured error stays an exception."""
    options = ["--workspace", str(workspace.directory)] if workspace else []
    return CliRunner().invoke(build_app(), [*options, *arguments], catch_exceptions=False)


def test_help_lists_the_commands_of_all_packages():
    """Training and serving add their commands by entry points."""
    text = run("--help").output
    assert [name for name in COMMANDS if f" {name} " not in text] == []


def test_help_loads_none_of_the_heavy_libraries():
    """Asking for help is quick because nothing is imported for it."""
    heavy = {"numpy", "polars", "pandas", "sklearn", "mlflow", "lightgbm", "numba", "fastapi", "sqlalchemy"}
    program = f"import sys, recsys.cli.app as a; a.build_app(); print(sorted(set(sys.modules) & {heavy}))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_status_as_json_is_for_programs(tiny_workspace):
    """Every number of the text is in the JSON."""
    tiny_workspace.events().append([Event("e1", "anna", "view", 1)])
    found = json.loads(run("status", "--json", workspace=tiny_workspace).output)
    assert (found["counts"]["customers"], found["events"], found["models"]) == (3, 1, [])


def test_status_says_what_to_do_next(tiny_workspace):
    """A newcomer reads the next command from the output."""
    assert "run `barista train`" in run("status", workspace=tiny_workspace).output


def test_a_backup_is_restored_at_another_place(tiny_workspace, tmp_path):
    """The two commands are each other's opposite."""
    run("backup", str(tmp_path / "w.tar.zst"), workspace=tiny_workspace)
    result = CliRunner().invoke(build_app(), ["-w", str(tmp_path / "again"), "restore", str(tmp_path / "w.tar.zst")])
    assert result.output == f"Restored {tmp_path / 'again'}, snapshot {tiny_workspace.snapshot_id()}\n"


def test_an_error_a_user_can_cure_is_one_line(settings, monkeypatch, capsys):
    """No traceback: what happened, what was found, what to do."""
    monkeypatch.setattr(sys, "argv", ["barista", "-w", str(settings.workspace), "status"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert (caught.value.code, capsys.readouterr().err.count("\n")) == (1, 1)


def test_with_debug_the_traceback_is_shown(settings, monkeypatch):
    """A developer sees where the error came from."""
    (settings.workspace / "snapshots").mkdir(parents=True)
    (settings.workspace / "snapshots" / "current").write_text("gone")
    (settings.workspace / "bundles").mkdir()
    monkeypatch.setattr(sys, "argv", ["barista", "--debug", "-w", str(settings.workspace), "status"])
    with pytest.raises(SnapshotError):
        main()


def test_a_wrong_setting_is_an_error_of_one_line(settings, monkeypatch, capsys):
    """Global options are checked before a command runs."""
    monkeypatch.setattr(sys, "argv", ["barista", "--clock", "yesterday", "status"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err.startswith("barista: Setting BARISTA_CLOCK can't be used")


@pytest.mark.parametrize("arguments", [["brew"], ["backup"], ["--volume", "11", "status"]])
def test_wrong_usage_exits_with_2(arguments):
    """Scripts tell a typing error from a failure."""
    assert run(*arguments).exit_code == 2
