"""Files follow an erasure: published scores and snapshots kept for replay, at night or when asked, and the receipt."""

import csv
import hashlib
import json
import os
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.data.blanking import named_in
from recsys.data.mapping_file import mapping_of
from recsys.data.snapshot import Snapshot
from recsys.data.tail import EventLine
from recsys.data.told import told_row
from recsys.store import Event
from recsys.testing import builders
from recsys.workspace import replay_decision
from recsys.workspace.import_reports import sweep_reports
from recsys.workspace.sweeping import sweep_snapshots
from serving.batch.base import Wanted, score_base
from training.importing import import_into

TRANSACTIONS = "who,at,what\ncanary,2024-03-01,tea\ncanary,2024-03-02,scone\nbob,2024-03-02,tea\nbob,2024-03-03,scone\n"
PEOPLE = "who,city,cost\ncanary,Rome,4\nbob,Oslo,5\nzoe canary,Rome,6\n"


def source(directory: Path):
    """Purchases of two customers, and a table that knows three."""
    (directory / "t.csv").write_text(TRANSACTIONS)
    (directory / "c.csv").write_text(PEOPLE)
    columns = {"customer_id": "who", "occurred_at": "at", "product_id": "what"}
    people = {"customer_id": "who", "acquisition_cost": "cost"}
    tables = {
        "transactions": {"file": "t.csv", "columns": columns},
        "customers": {"file": "c.csv", "columns": people, "attributes": {"city": "city"}},
    }
    return mapping_of(tables, directory)


def naming(directory: Path, name: str = "canary") -> list[str]:
    """Files that hold a name, Parquet read as a table."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    texts = {path: path.read_bytes() for path in files}
    texts |= {path: pl.read_parquet(path).write_csv().encode() for path in files if path.suffix == ".parquet"}
    return [path.name for path in files if name.encode() in texts[path]]


def test_the_next_import_blanks_the_erased_in_snapshots_kept_for_replay(tiny_workspace, tmp_path):
    """Customers with orders and those of the table alone: no file of any snapshot names them; others stay."""
    old = import_into(tiny_workspace, source(tmp_path)).snapshot
    before = naming(tiny_workspace.snapshots)
    for each in ("canary", "zoe canary"):
        tiny_workspace.erasures().erase(each, upto=2_000_000_000)
    import_into(tiny_workspace, source(tmp_path))
    Snapshot.open(old.directory, verify=True)
    assert (len(before) >= 3, tiny_workspace.snapshot_id() != old.snapshot_id) == (True, True)
    assert (naming(tiny_workspace.snapshots), told_row(old.directory, "bob")["city"]) == ([], "Oslo")


def test_decisions_of_others_are_replayed_after_the_sweep(service, newer_import):
    """Bit for bit, from the snapshot that held the erased; a second sweep finds nothing to do."""
    made = [service.offers(customer_id=who, reasons=True)["decision_id"] for who in ("bob", "anton", "nobody")]
    service.http.delete("/v1/customers/ann")
    newer_import(service.workspace)
    swept = [sweep_snapshots(service.workspace).count for _ in range(2)]
    same = [replay_decision(service.workspace, each).same for each in made]
    assert (swept, same) == ([1, 0], [True] * 3)


def test_a_service_that_still_answers_from_a_swept_snapshot_goes_on(make_workspace, serve, newer_import):
    """It has not opened the next one yet: others are found and answered as before, the erased are strangers."""
    service = serve(make_workspace(refresh_seconds=3_600))
    before = service.scores("bob")
    service.http.delete("/v1/customers/ann")
    newer_import(service.workspace)
    sweep_snapshots(service.workspace)
    found = service.http.get("/v1/customers", params={"search": ""}).json()["customers"]
    assert service.scores("bob") == before
    assert [each["customer_id"] for each in found] == ["anton", "bob"]


def rows(place: Path, kind: str) -> dict[str, list]:
    """Rows of each published table."""
    if kind == "csv":
        return {path.stem: list(csv.DictReader(path.open(newline=""))) for path in place.glob("*.csv")}
    return {path.stem: pq.read_table(path).to_pylist() for path in place.glob("*.parquet")}


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_the_next_run_takes_the_erased_out_of_former_ones(make_workspace, tmp_path, kind):
    """Rows of everybody else stay as they are; the manifest tells the new digests and counts."""
    workspace, former = make_workspace(), tmp_path / "former"
    score_base(workspace, former, Wanted(n=3, format=kind, chunk=2))
    before = rows(former, kind)
    workspace.erasures().erase("ann", workspace.current_snapshot().as_of)
    withdrawn = score_base(workspace, tmp_path / "next").withdrawn
    manifest = json.loads((former / "manifest.json").read_text())
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in former.glob(f"*.{kind}")}
    left = {name: [row for row in table if row["customer_id"] != "ann"] for name, table in before.items()}
    assert (rows(former, kind), left != before, [each.customers for each in withdrawn]) == (left, True, [1])
    assert {name: facts["sha256"] for name, facts in manifest["files"].items()} == digests
    assert (manifest["counts"]["customers"], manifest["counts"]["offers"], manifest["withdrawn"]) == (2, 6, 1)


def test_a_run_that_knew_the_erasure_is_left_alone(make_workspace, tmp_path):
    """Nothing is rewritten twice, and nobody who came back is taken out of a later run."""
    workspace = make_workspace()
    workspace.erasures().erase("ann", workspace.current_snapshot().as_of)
    score_base(workspace, tmp_path / "one")
    before = {path: path.stat().st_ino for path in (tmp_path / "one").iterdir()}
    again = score_base(workspace, tmp_path / "two").withdrawn
    assert (again, {path: path.stat().st_ino for path in (tmp_path / "one").iterdir()}) == ((), before)


def test_sweep_does_now_what_the_night_does(service, newer_import, tmp_path):
    """One command after an erasure: no published file and no kept snapshot names the customer."""
    score_base(service.workspace, tmp_path / "out")
    service.http.delete("/v1/customers/ann")
    old = service.workspace.snapshots / str(service.workspace.snapshot_id())
    newer_import(service.workspace)
    result = CliRunner().invoke(build_app(), ["-w", str(service.workspace.directory), "sweep"])
    assert (result.exit_code, f"{tmp_path / 'out'}: 1 taken out" in result.output) == (0, True)
    left = {row["customer_id"] for table in rows(tmp_path / "out", "parquet").values() for row in table}
    assert (left, named_in(old)) == ({"anton", "bob"}, {"anton", "bob"})


def test_a_publication_that_cannot_be_rewritten_is_told(make_workspace, tmp_path):
    """Whoever asked for a sweep learns which files still name somebody."""
    workspace = make_workspace()
    score_base(workspace, tmp_path / "out")
    workspace.erasures().erase("ann", workspace.current_snapshot().as_of)
    (tmp_path / "out" / "offers.parquet").write_bytes(b"damaged")
    result = CliRunner().invoke(build_app(), ["-w", str(workspace.directory), "sweep"])
    assert (result.exit_code, f"{tmp_path / 'out'}: ArrowInvalid" in result.output) == (1, True)


def test_the_receipt_says_what_remains_and_until_when(service, newer_import, tmp_path):
    """Snapshots that hold the customer, and publications, which may; an unknown customer is in no snapshot."""
    score_base(service.workspace, tmp_path / "out")
    newer_import(service.workspace)
    known, unknown = (service.http.delete(f"/v1/customers/{who}").json()["remains"] for who in ("ann", "nobody"))
    assert [(each["where"], each["count"]) for each in known] == [
        ("current snapshot", 1),
        ("snapshots kept for replay", 1),
        ("published scores", 1),
    ]
    assert [each["where"] for each in unknown] == ["published scores"]


def test_scores_are_published_in_the_workspace_where_no_place_is_named(make_workspace):
    """A night needs no option."""
    workspace = make_workspace()
    result = CliRunner().invoke(build_app(), ["-w", str(workspace.directory), "--clock", "snapshot", "score"])
    assert (result.exit_code, (workspace.directory / "scores" / "latest" / "manifest.json").is_file()) == (0, True)


def test_reports_of_imports_forget_the_erased(tiny_workspace, tmp_path):
    """A rejected row that showed the id, and an order that file and event told differently; others stay."""
    at = builders.at("2024-03-01")
    for who in ("canary", "bob"):
        lines = (EventLine("tea", 3.0, 900),)
        tiny_workspace.events().append([Event(who, who, "purchase", at, lines, order_id=f"o-{who}")])
    rows = "".join(f"{who},2024-03-01,tea,o-{who}\n{who},{who},tea,x\n" for who in ("canary", "bob")) * 10
    (tmp_path / "t.csv").write_text("who,at,what,bill\n" + rows)
    columns = {"customer_id": "who", "occurred_at": "at", "product_id": "what", "order_id": "bill"}
    tables = {"transactions": {"file": "t.csv", "columns": columns}, "limits": {"max_rejected_share": 1.0}}
    mapping = mapping_of(tables, tmp_path)
    directory = import_into(tiny_workspace, mapping).directory
    before = [naming(directory, who) for who in ("canary", "bob")]
    tiny_workspace.erasures().erase("canary", upto=2_000_000_000)
    dropped = sweep_reports(tiny_workspace).count
    after = [naming(directory, who) for who in ("canary", "bob")]
    assert (before, after, dropped > 20) == ([["rejects.csv", "report.json"]] * 2, [[], before[1]], True)


def test_what_killed_imports_and_runs_left_behind_goes(make_workspace, tmp_path):
    """Half written snapshots and publications name customers too; what is being written now stays."""
    workspace = make_workspace()
    score_base(workspace, tmp_path / "out")
    left = [workspace.snapshots / ".writing-1", tmp_path / ".out.writing-1", tmp_path / ".out.former-1"]
    own = [workspace.snapshots / f".writing-{os.getpid()}", tmp_path / "other"]
    for each in (*left, *own):
        each.mkdir()
        (each / "customers.blob.npy").write_text("ann")
    result = CliRunner().invoke(build_app(), ["-w", str(workspace.directory), "sweep"])
    assert (result.exit_code, [each.exists() for each in (*left, *own)]) == (0, [False] * 3 + [True] * 2)
