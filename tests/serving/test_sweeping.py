"""Sweeping goes on over what is damaged, left behind or somebody else's, and knows which erasures it knew."""

import json

import pytest
from typer.testing import CliRunner

import training.importing
from recsys.cli.app import build_app
from recsys.data.blanking import named_in
from recsys.data.forgetting import forgetting
from recsys.data.snapshot import Snapshot
from recsys.data.tail import EventLine
from recsys.settings import Settings
from recsys.store import Event
from recsys.workspace import Workspace
from recsys.workspace.import_reports import sweep_reports
from recsys.workspace.places import noted_places
from recsys.workspace.sweeping import sweep_snapshots
from serving.batch import base
from serving.batch.base import Wanted, score_base
from serving.batch.publish import staging
from serving.batch.withdrawing import withdraw
from tests.serving.test_erasure_files import naming, rows, source
from tests.store.test_erasure_races import restored
from training.importing import import_into


def erase(workspace: Workspace, *customers: str) -> None:
    """Erase what the snapshot holds of customers."""
    for each in customers:
        workspace.erasures().erase(each, workspace.current_snapshot().as_of)


def customers_in(place) -> list[str]:
    """Whom the tables of a publication name."""
    return sorted({row["customer_id"] for table in rows(place, "parquet").values() for row in table})


def test_an_erasure_while_a_run_is_computed_is_in_none_of_its_rows(make_workspace, tmp_path):
    """It was published with the customer and is published again without."""
    workspace, asked = make_workspace(), []
    score_base(workspace, tmp_path / "out", progress=lambda *_: asked.append(asked or erase(workspace, "ann")))
    assert customers_in(tmp_path / "out") == ["anton", "bob"]


def test_who_came_back_after_an_erasure_keeps_the_row(make_workspace, tmp_path):
    """Only those erased since the run are taken out of it; the run knew of the erasure before."""
    workspace, out = make_workspace(), tmp_path / "out"
    end = workspace.current_snapshot().as_of
    workspace.erasures().erase("ann", end, now=5)
    workspace.events().append([Event("e1", "ann", "purchase", end + 1, (EventLine("tea", 1.0, 210),))])
    score_base(workspace, out)
    before = customers_in(out)
    erase(workspace, "bob")
    withdraw(workspace)
    assert (before, customers_in(out)) == (["ann", "anton", "bob"], ["ann", "anton"])


def test_a_restored_database_that_counts_again_withdraws_all_the_same(make_workspace, tmp_path):
    """The run knew one erasure, of a time that is gone; another one has its number now."""
    workspace = make_workspace()
    erase(workspace, "nobody")
    score_base(workspace, tmp_path / "out")
    restored(workspace.database())
    workspace._erasures = None
    erase(workspace, "ann")
    withdraw(workspace)
    assert customers_in(tmp_path / "out") == ["anton", "bob"]


@pytest.mark.parametrize("next_run", [False, True], ids=["damaged", "and scored since"])
def test_places_that_cannot_be_read_are_told_until_somebody_looked(make_workspace, tmp_path, next_run):
    """Publications nobody knows of may name the erased; a run since is known, and the damaged file stays."""
    workspace = make_workspace()
    score_base(workspace, tmp_path / "first")
    (workspace.directory / "scores" / "places.json").write_text('{"/first": [')
    if next_run:
        score_base(workspace, tmp_path / "second")
    assert [each.place.name for each in withdraw(workspace) if "is damaged" in each.fault] == [
        "places.damaged.json" if next_run else "places.json"
    ]


@pytest.mark.parametrize("manifest", ['{"name":"My web app","start_url":"/"}', '{"run_id":"0123456789ab"}', "[]"])
def test_what_somebody_else_published_there_is_left_alone(make_workspace, tmp_path, manifest):
    """Another workspace's run or no run at all: not a byte is touched, and the place is forgotten."""
    workspace, out = make_workspace(), tmp_path / "out"
    score_base(workspace, out)
    (out / "manifest.json").write_text(manifest)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    erase(workspace, "ann")
    done = withdraw(workspace)
    after = {path.name: path.read_bytes() for path in out.iterdir()}
    assert (done, after == before, noted_places(workspace)) == ([], True, {})


def test_a_damaged_manifest_is_told_and_touched_by_nobody(make_workspace, tmp_path):
    """The run that finds it is published, and says so."""
    workspace, out = make_workspace(), tmp_path / "out"
    score_base(workspace, out)
    (out / "manifest.json").write_text('{"run_id')
    erase(workspace, "ann")
    withdrawn = score_base(workspace, tmp_path / "next").withdrawn
    assert [(each.place, each.customers, bool(each.fault)) for each in withdrawn] == [(out, 0, True)]
    assert (out / "manifest.json").read_text() == '{"run_id'


def test_a_run_of_somebody_else_under_way_is_left_alone(make_workspace, tmp_path):
    """What is being written beside a publication is locked; what is not is a remnant."""
    workspace, out = make_workspace(), tmp_path / "out"
    score_base(workspace, out)
    (tmp_path / ".out.writing-1").mkdir()
    with staging(out) as work:
        withdraw(workspace)
        assert (work.is_dir(), (tmp_path / ".out.writing-1").exists()) == (True, False)


@pytest.mark.parametrize("published", [False, True])
def test_a_run_killed_while_it_is_published_leaves_nothing_unnoted(make_workspace, tmp_path, monkeypatch, published):
    """Killed before it stood in its place or after: what stands there is taken to be ours."""
    workspace, out = make_workspace(), tmp_path / "out"
    score_base(workspace, out)
    real = base.put_in_place

    def killed(*arguments):
        if published:
            real(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(base, "put_in_place", killed)
    with pytest.raises(KeyboardInterrupt):
        score_base(workspace, out, Wanted(n=2))
    erase(workspace, "ann")
    withdraw(workspace)
    assert customers_in(out) == ["anton", "bob"]


def test_snapshots_and_reports_go_by_which_erasures_there_are(tiny_workspace, tmp_path):
    """As many as before, after a restore, are others: what was swept of them is swept again."""
    old = import_into(tiny_workspace, source(tmp_path)).snapshot
    tiny_workspace.erasures().erase("zoe canary", upto=2_000_000_000)
    import_into(tiny_workspace, source(tmp_path))
    restored(tiny_workspace.database())
    tiny_workspace._erasures = None
    tiny_workspace.erasures().erase("canary", upto=2_000_000_000)
    assert (sweep_snapshots(tiny_workspace).count, naming(old.directory)) == (1, [])


@pytest.mark.parametrize("name", ["customers.blob.npy", "customers.parquet", "order_time.npy"])
def test_what_is_damaged_fails_no_import_and_is_told(tiny_workspace, tmp_path, name):
    """A kept snapshot and the report of an import: the others are swept, `barista sweep` ends with an error."""
    old = import_into(tiny_workspace, source(tmp_path)).snapshot
    path = old.directory / name
    path.write_bytes(path.read_bytes()[:-20])
    report = tiny_workspace.directory / "imports" / "20200101T000000Z-abc" / "report.json"
    report.parent.mkdir()
    report.write_text('{"tables": {')
    tiny_workspace.erasures().erase("canary", upto=2_000_000_000)
    published = import_into(tiny_workspace, source(tmp_path)).snapshot.snapshot_id
    result = CliRunner().invoke(build_app(), ["-w", str(tiny_workspace.directory), "sweep"])
    told = [str(each) in result.output.replace("\n", "") for each in (old.directory, report.parent)]
    assert (tiny_workspace.snapshot_id(), result.exit_code, told) == (published, 1, [True, True])


def test_a_rejected_value_may_be_long(tiny_workspace):
    """As long as it stood in the file that was imported."""
    rejects = tiny_workspace.directory / "imports" / "20200101T000000Z-abc" / "rejects.csv"
    rejects.parent.mkdir()
    rejects.write_text("table,file,line,column,value,reason\n" + f"t,f,1,c,{'x' * 200_000},r\nt,f,2,c,canary,r\n")
    tiny_workspace.erasures().erase("canary", upto=2_000_000_000)
    swept = sweep_reports(tiny_workspace)
    assert (swept.count, swept.faults, "canary" in rejects.read_text()) == (1, (), False)


def test_what_killed_processes_left_inside_goes(tiny_workspace, tmp_path):
    """Half fitted facts and half written files of any snapshot, also the current one, and of reports."""
    old = import_into(tiny_workspace, source(tmp_path))
    left = [old.snapshot.directory / ".population-dead0001", old.snapshot.directory / ".customers.parquet.1"]
    left += [old.directory / ".rejects.csv.1"]
    left[0].mkdir()
    for each in (left[0] / "Lookalikes.ids.blob.npy", *left[1:]):
        each.write_text("canary")
    sweep_snapshots(tiny_workspace)
    sweep_reports(tiny_workspace)
    assert [each.exists() for each in left] == [False] * 3


@pytest.mark.parametrize("clock", ["now", "snapshot"])
def test_an_erasure_while_an_import_fits_is_not_undone(tmp_path, monkeypatch, clock):
    """The service erases up to the end of what it knows; the new data end later."""
    workspace = Workspace.create(Settings(workspace=tmp_path / "workspace", clock=clock))
    import_into(workspace, source(tmp_path))
    mapping, fit, calls = source(tmp_path), training.importing._saved, []
    with (tmp_path / "t.csv").open("a") as file:
        file.write("bob,2024-03-09,tea\n")

    def slow(*arguments):
        saved = fit(*arguments)
        calls.append(saved.snapshot_id)
        if len(calls) == 1:
            workspace.erasures().erase("canary", max(workspace.as_of(), workspace.current_snapshot().as_of))
        return saved

    monkeypatch.setattr(training.importing, "_saved", slow)
    import_into(workspace, mapping)
    found = forgetting(workspace.current_snapshot(), workspace.erasures().tombstones().erased_at)
    assert found.customers.index("canary") == -1
    if clock == "snapshot":
        directories = [path for path in workspace.snapshots.iterdir() if path.is_dir()]
        assert ["canary" in named_in(path) for path in directories] == [False] * 3


def test_a_blanked_snapshot_is_told_from_the_content_it_held(tiny_workspace, tmp_path):
    """It opens for replay here, under another contract version."""
    old = import_into(tiny_workspace, source(tmp_path)).snapshot
    tiny_workspace.erasures().erase("canary", upto=2_000_000_000)
    import_into(tiny_workspace, source(tmp_path))
    contract = json.loads((old.directory / "manifest.json").read_text())["contract"]
    assert (contract, Snapshot.open(old.directory, verify=True).customers.index("bob") >= 0) == (2, True)
