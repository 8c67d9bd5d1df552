"""A workspace: snapshots are published atomically and kept, one process writes, status tells the truth."""

import json
import multiprocessing
import os

import pytest

from recsys.data.files import replace_text
from recsys.errors import ClockError, SnapshotError, WorkspaceError, WorkspaceLocked
from recsys.settings import load_settings
from recsys.store import Event
from recsys.workspace import Workspace, status_of

DAY = 86_400


def publish_another(workspace: Workspace, snapshot) -> str:
    other = snapshot.with_facts(source="another import").save(workspace.snapshots).snapshot_id
    workspace.publish_snapshot(other)
    return other


def test_a_directory_without_snapshots_is_no_workspace(settings):
    """Who mistypes the path hears of it instead of working on an empty workspace."""
    with pytest.raises(WorkspaceError, match="No workspace here"):
        Workspace.open(settings)


def test_before_the_first_import_there_is_no_snapshot(settings):
    """The message names the command that helps."""
    with pytest.raises(SnapshotError, match="barista import"):
        Workspace.create(settings).current_snapshot()


def test_the_published_snapshot_is_the_current_one(tiny_workspace, tiny_snapshot):
    """What was assembled is what is opened."""
    assert list(tiny_workspace.current_snapshot().customers) == list(tiny_snapshot.customers)


def test_a_snapshot_that_was_never_saved_can_not_be_published(tiny_workspace):
    """The pointer never leads nowhere."""
    with pytest.raises(SnapshotError):
        tiny_workspace.publish_snapshot("0123456789ab")


def test_a_failed_publication_leaves_the_former_snapshot(tiny_workspace):
    """A failed import leaves the workspace as it was."""
    before = tiny_workspace.snapshot_id()
    with pytest.raises(SnapshotError):
        tiny_workspace.publish_snapshot("0123456789ab")
    assert tiny_workspace.snapshot_id() == before


def test_snapshots_are_pruned_35_days_after_they_were_replaced(tiny_workspace, tiny_snapshot):
    """What answers of the last five weeks were computed from stays, however old the data are."""
    first = tiny_workspace.snapshot_id()
    publish_another(tiny_workspace, tiny_snapshot)
    replaced = int((tiny_workspace.snapshots / "log.jsonl").stat().st_mtime)
    kept = tiny_workspace.prune_snapshots(now=replaced + 34 * DAY)
    assert (kept, tiny_workspace.prune_snapshots(now=replaced + 36 * DAY)) == ([], [first])


def test_the_current_snapshot_is_never_pruned(tiny_workspace):
    """A base that is imported once a year still answers."""
    tiny_workspace.prune_snapshots(now=10**11)
    assert tiny_workspace.current_snapshot().history.n_orders == 6


def test_a_second_writer_hears_who_writes(tiny_workspace):
    """The lock names the process that holds it."""
    second = Workspace.open(tiny_workspace.settings)
    locked = pytest.raises(WorkspaceLocked, match=rf"process {os.getpid()} .* since 20")
    with tiny_workspace.writing(), locked, second.writing():
        pass


def test_the_lock_is_free_after_the_block(tiny_workspace):
    """Even a failed import lets the next one in."""
    with pytest.raises(ZeroDivisionError), tiny_workspace.writing():
        1 / 0  # noqa: B018
    with tiny_workspace.writing():
        assert True


def test_the_lock_of_a_killed_process_is_free(tiny_workspace):
    """A crash never locks a workspace for good."""
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_hold_and_die, args=(tiny_workspace,))
    process.start()
    process.join()
    with tiny_workspace.writing():
        assert process.exitcode == 9


def _hold_and_die(workspace: Workspace) -> None:
    with workspace.writing():
        os._exit(9)


def test_the_clock_of_a_workspace_decides_as_of(tiny_workspace):
    """`snapshot` answers for the data's end, a request's own instant wins over `now`."""
    past = Workspace.open(tiny_workspace.settings.model_copy(update={"clock": "snapshot"}))
    assert (past.as_of(), tiny_workspace.as_of(at=101 * DAY)) == (100 * DAY, 101 * DAY)


def test_an_instant_before_the_end_of_the_data_is_refused(tiny_workspace):
    """Population facts would look into the future of such an answer."""
    with pytest.raises(ClockError):
        tiny_workspace.as_of(at=99 * DAY)


@pytest.mark.parametrize(
    ("behind", "as_of"), [(0, 100 * DAY), (5 * 3600, 100 * DAY), (-5 * 3600, 100 * DAY + 5 * 3600)]
)
def test_a_machine_clock_set_back_by_hours_answers_for_the_end_of_the_data(tiny_workspace, monkeypatch, behind, as_of):
    """The clock `now` is no instant a user chose: less than a day too early it is taken for the data's end."""
    monkeypatch.setattr("recsys.data.clock.time.time", lambda: 100.0 * DAY - behind)
    assert tiny_workspace.as_of() == as_of


def test_a_machine_clock_a_day_behind_is_refused(tiny_workspace, monkeypatch):
    """Whoever serves yesterday's clock is told so."""
    monkeypatch.setattr("recsys.data.clock.time.time", lambda: 99.0 * DAY)
    with pytest.raises(ClockError):
        tiny_workspace.as_of()


def test_a_new_workspace_keeps_the_defaults_given(settings):
    """The demo's clock stands at the end of its data in every later command."""
    Workspace.create(settings, clock="snapshot")
    assert load_settings(workspace=settings.workspace).clock == "snapshot"


def test_the_settings_of_an_existing_workspace_are_left_alone(settings):
    """A user's barista.toml is never written over."""
    Workspace.create(settings, clock="snapshot")
    Workspace.create(settings, clock="now")
    assert load_settings(workspace=settings.workspace).clock == "snapshot"


def test_without_a_cached_bundle_there_is_no_champion(tiny_workspace):
    """A base without products has no offers model, and that is no error."""
    assert tiny_workspace.champion("offers") is None


def test_status_counts_what_was_imported_and_what_came_since(tiny_workspace):
    """Numbers are those of the tables the workspace was made from."""
    tiny_workspace.events().append(
        [
            Event("e1", "anna", "purchase", 90 * DAY),
            Event("e2", "ben", "refund", 110 * DAY),
            Event("e3", "ben", "view", 1),
        ]
    )
    status = status_of(tiny_workspace)
    assert (status.counts, status.as_of, status.events, status.orders_since_snapshot) == (
        {"customers": 3, "orders": 6, "lines": 7, "products": 4, "items": 4},
        100 * DAY,
        3,
        1,
    )


def test_status_names_champions_with_their_metrics(tiny_workspace):
    """What serves and how good it was in its back-test, read from the bundle cache."""
    bundle = tiny_workspace.bundles / "churn" / "3"
    bundle.mkdir(parents=True)
    (bundle / "manifest.json").write_text(json.dumps({"kind": "lightgbm", "metrics": {"auc": 0.8}}))
    replace_text(bundle.parent / "champion", "3\n")
    (model,) = status_of(tiny_workspace).models
    assert (model.name, model.version, model.kind, model.metrics) == ("churn", "3", "lightgbm", {"auc": 0.8})


def test_status_of_an_empty_workspace_has_no_snapshot(settings):
    """Status works before anything was imported."""
    assert status_of(Workspace.create(settings)).snapshot_id is None
