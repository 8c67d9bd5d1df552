"""A workspace survives as one file: everything comes back, damage is noticed, nothing is overwritten by accident."""

import sqlite3
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from recsys.data.files import replace_text
from recsys.errors import WorkspaceError, WorkspaceLocked
from recsys.store import Event
from recsys.workspace import Workspace, backup, restore
from recsys.workspace.places import note_place, noted_places


@pytest.fixture
def full(tiny_workspace: Workspace) -> Workspace:
    """A workspace with an event, a bundle, a report and a run database that names its own folder."""
    tiny_workspace.events().append([Event("e1", "anna", "purchase", 1)])
    replace_text(tiny_workspace.directory / "reports" / "churn.html", "<h1>report</h1>" * 200_000)
    (tiny_workspace.bundles / "churn" / "1").mkdir(parents=True)
    replace_text(tiny_workspace.bundles / "churn" / "champion", "1\n")
    replace_text(tiny_workspace.bundles / "churn" / "1" / "manifest.json", "{}")
    with sqlite3.connect(tiny_workspace.directory / "mlflow.db") as connection:
        connection.execute("CREATE TABLE runs (uri TEXT)")
        connection.execute("INSERT INTO runs VALUES (?)", (f"{tiny_workspace.directory}/mlruns/0",))
    return tiny_workspace


def files_of(directory: Path) -> dict[str, bytes]:
    """Content of every file but the lock and the databases, whose bytes may differ for the same rows."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != "lock" and ".db" not in path.name
    }


def elsewhere(workspace: Workspace):
    return workspace.settings.model_copy(update={"workspace": workspace.directory.with_name("restored")})


@pytest.mark.parametrize("name", ["w.tar.zst", "w.tar.gz"])
def test_every_file_comes_back(full, tmp_path, name):
    """Snapshots, bundles, reports and pointers are byte for byte the same."""
    backup(full, tmp_path / name)
    assert files_of(restore(elsewhere(full), tmp_path / name).directory) == files_of(full.directory)


def test_events_come_back(full, tmp_path):
    """Rows that stood only in the write-ahead log are in the backup."""
    backup(full, tmp_path / "w.tar.zst")
    assert restore(elsewhere(full), tmp_path / "w.tar.zst").events().orders_of("anna")[0].event_id == "e1"


def test_artifact_addresses_follow_the_workspace(full, tmp_path):
    """Runs of a workspace restored elsewhere are found there."""
    backup(full, tmp_path / "w.tar.zst")
    restored = restore(elsewhere(full), tmp_path / "w.tar.zst")
    with sqlite3.connect(restored.directory / "mlflow.db") as connection:
        assert connection.execute("SELECT uri FROM runs").fetchone()[0] == f"{restored.directory}/mlruns/0"


def test_an_existing_workspace_is_not_overwritten(full, tmp_path):
    """Restoring over a living workspace needs --force."""
    backup(full, tmp_path / "w.tar.zst")
    with pytest.raises(WorkspaceError, match="--force"):
        restore(full.settings, tmp_path / "w.tar.zst")


def test_with_force_the_former_state_is_replaced(full, tmp_path):
    """What was added after the backup is gone."""
    backup(full, tmp_path / "w.tar.zst")
    replace_text(full.directory / "reports" / "later.html", "later")
    restore(full.settings, tmp_path / "w.tar.zst", force=True)
    assert not (full.directory / "reports" / "later.html").exists()


def damage(file: Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    if how == "truncated":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


@pytest.mark.parametrize("how", ["truncated", "one byte"])
@pytest.mark.parametrize("name", ["w.tar.zst", "w.tar.gz"])
def test_a_damaged_backup_changes_nothing(full, tmp_path, name, how):
    """The living workspace stays when the backup is broken, even with --force."""
    backup(full, tmp_path / name)
    damage(tmp_path / name, how)
    before = files_of(full.directory)
    with pytest.raises(WorkspaceError, match="damaged"):
        restore(full.settings, tmp_path / name, force=True)
    assert files_of(full.directory) == before


def test_a_changed_member_is_noticed_by_its_digest(full, tmp_path):
    """An archive that was unpacked, changed and packed again is refused."""
    backup(full, tmp_path / "w.tar.gz")
    with tarfile.open(tmp_path / "w.tar.gz") as old, tarfile.open(tmp_path / "x.tar.gz", "w:gz") as new:
        for entry in old:
            content = old.extractfile(entry).read().replace(b"{}", b"[]")
            new.addfile(entry, BytesIO(content))
    with pytest.raises(WorkspaceError, match=r"bundles/churn/1/manifest\.json"):
        restore(elsewhere(full), tmp_path / "x.tar.gz")


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside"])
def test_a_name_that_leads_elsewhere_is_refused(full, tmp_path, name):
    """A prepared archive can't write outside the workspace."""
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo(name), BytesIO(b""))
    with pytest.raises(WorkspaceError, match="what no backup of ours does"):
        restore(elsewhere(full), tmp_path / "evil.tar.gz")


def test_a_backup_waits_for_no_import(full, tmp_path):
    """While an import writes, the backup says so instead of copying half of it."""
    with full.writing(), pytest.raises(WorkspaceLocked):
        backup(full, tmp_path / "w.tar.zst")


def test_a_failed_backup_leaves_no_file(full, tmp_path):
    """Half a backup never looks like one."""
    (full.directory / "mlflow.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Exception, match="can't be copied"):
        backup(full, tmp_path / "w.tar.zst")
    assert [path.name for path in tmp_path.iterdir()] == ["workspace"]


def test_an_unknown_ending_is_refused(full, tmp_path):
    """The name says how it is packed."""
    with pytest.raises(WorkspaceError, match=r"\.tar\.zst or \.tar\.gz"):
        backup(full, tmp_path / "w.zip")


def test_a_restored_copy_knows_no_place_of_the_original(full, tmp_path):
    """It would take rows out of what the original published."""
    note_place(full, tmp_path / "out", "0123456789ab")
    backup(full, tmp_path / "w.tar.zst")
    assert (len(noted_places(full)), noted_places(restore(elsewhere(full), tmp_path / "w.tar.zst"))) == (1, {})
