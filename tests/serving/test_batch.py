"""Whole-base scoring: published whole, described by a manifest, safe to open."""

import csv
import hashlib
import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.tail import EventLine
from recsys.errors import WorkspaceError, WorkspaceLocked
from recsys.store import Event
from serving.batch import base
from serving.batch.base import Wanted, score_base
from serving.batch.files import create, safe
from serving.runs import read_run


def test_the_manifest_names_every_file_by_digest(make_workspace, tmp_path):
    """Each file's SHA-256 is that of its bytes; rows and customers are counted."""
    out = tmp_path / "out"
    manifest = score_base(make_workspace(), out, Wanted(n=3)).manifest
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.glob("*.parquet")}
    assert {name: facts["sha256"] for name, facts in manifest["files"].items()} == found
    assert manifest["counts"] == {"customers": 3, "offers": 9, "without_purchases": 0}
    assert json.loads((out / "manifest.json").read_text()) == manifest


def test_who_has_not_bought_has_no_row_and_is_counted(make_workspace, tmp_path):
    """Of five in the customers table two bought before, one since; one is erased, and one is left without a row."""
    workspace = make_workspace()
    table = pl.DataFrame({"customer_id": ["ann", "bob", "eve", "gone", "zoe"]})
    table.write_parquet(workspace.current_snapshot().directory / "customers.parquet")
    event = Event("e1", "eve", "purchase", workspace.current_snapshot().as_of, (EventLine("tea", 1.0, 210),))
    workspace.events().append([event])
    workspace.erasures().erase("gone", workspace.current_snapshot().as_of)
    manifest = score_base(workspace, tmp_path / "out").manifest
    scored = pq.read_table(tmp_path / "out" / "scores.parquet")["customer_id"].to_pylist()
    assert (manifest["counts"]["without_purchases"], scored) == (1, ["ann", "anton", "bob", "eve"])


def test_the_manifest_says_what_the_run_rests_on(make_workspace, tmp_path, purchase):
    """Snapshot, model versions, instant and newest event are in it."""
    workspace = make_workspace()
    manifest = score_base(workspace, tmp_path / "out").manifest
    told = (manifest["snapshot_id"], manifest["as_of"], manifest["tail_sequence"])
    assert told == (workspace.snapshot_id(), "2024-03-12T10:30:00+01:00", 0)
    assert manifest["models"]["churn"]["version"].startswith("1-")


def test_the_same_state_gives_the_same_run_and_bytes(make_workspace, tmp_path):
    """A run repeated is the same run: same id, same digests."""
    workspace = make_workspace()
    runs = [score_base(workspace, tmp_path / name).manifest for name in ("one", "two")]
    assert [run["run_id"] for run in runs] == [runs[0]["run_id"]] * 2
    assert runs[0]["files"] == runs[1]["files"]


def test_another_wish_is_another_run(make_workspace, tmp_path):
    """More offers make another run."""
    workspace = make_workspace()
    ids = {score_base(workspace, tmp_path / str(n), Wanted(n=n)).manifest["run_id"] for n in (1, 2)}
    assert len(ids) == 2


def test_files_speak_the_language_asked_for(make_workspace, tmp_path):
    """Reasons are in it, and the same but for their text: codes and evidence stay."""
    told = {}
    for language in ("en", "uk"):
        score_base(make_workspace(), tmp_path / language, Wanted(n=1, language=language))
        rows = pq.read_table(tmp_path / language / "scores.parquet")["churn_reasons"].to_pylist()
        told[language] = [reason for row in rows for reason in row]
    bare = [[reason | {"text": ""} for reason in reasons] for reasons in told.values()]
    assert bare[0] == bare[1]
    assert "ризик відходу" in told["uk"][0]["text"]


def test_an_earlier_publication_is_replaced_whole(make_workspace, tmp_path):
    """A new run takes the place of the former; no file of it stays."""
    workspace = make_workspace()
    score_base(workspace, tmp_path / "out")
    score_base(workspace, tmp_path / "out", Wanted(format="csv"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "manifest.json",
        "offers.csv",
        "scores.csv",
        "timing.csv",
    ]


def test_a_run_that_fails_leaves_the_former_one(make_workspace, tmp_path, monkeypatch):
    """Nothing half-written is ever published or left behind."""
    workspace = make_workspace()
    score_base(workspace, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    monkeypatch.setattr(base, "rows_of", lambda table, answers: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        score_base(workspace, tmp_path / "out", Wanted(n=1))
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("name", "content"),
    [("thesis.txt", "years of work"), ("manifest.json", '{"name": "My web app", "start_url": "/"}')],
)
def test_a_directory_with_other_things_is_left_alone(make_workspace, tmp_path, name, content):
    """What no run published is never replaced, also where it has a manifest of its own."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text(content)
    with pytest.raises(WorkspaceError, match="something else"):
        score_base(make_workspace(), tmp_path / "out")


def test_one_writer_at_a_time(make_workspace, tmp_path):
    """While another process writes to the workspace no run begins."""
    workspace = make_workspace()
    with workspace.writing(), pytest.raises(WorkspaceLocked):
        score_base(workspace, tmp_path / "out")


def test_the_workspace_remembers_its_last_run(make_workspace, tmp_path):
    """The service learns the run's id from the workspace."""
    workspace = make_workspace()
    manifest = score_base(workspace, tmp_path / "out").manifest
    assert read_run(workspace.directory / "scores").run_id == manifest["run_id"]


def test_a_missing_model_leaves_its_columns_empty(make_workspace, tmp_path):
    """Without offers and churn, value is still scored; the tables keep their columns."""
    workspace = make_workspace()
    for name in ("offers", "churn"):
        (workspace.bundles / name / "champion").unlink()
    score_base(workspace, tmp_path / "out")
    scores = pq.read_table(tmp_path / "out" / "scores.parquet")
    assert scores["churn_probability"].null_count == 3
    assert scores["expected_spend"].null_count == 0
    assert len(pq.read_table(tmp_path / "out" / "offers.parquet")) == 0


def test_without_any_model_nothing_is_published(make_workspace, tmp_path):
    """A base without models is refused with the cure, and no directory appears."""
    workspace = make_workspace()
    for name in ("offers", "churn", "value"):
        (workspace.bundles / name / "champion").unlink()
    with pytest.raises(WorkspaceError, match="barista train"):
        score_base(workspace, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_progress_reaches_everyone(make_workspace, tmp_path):
    """Progress is told chunk by chunk, up to the last customer."""
    told = []
    score_base(make_workspace(), tmp_path / "out", Wanted(chunk=2), lambda done, of: told.append((done, of)))
    assert told == [(2, 3), (3, 3)]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_text_never_becomes_a_formula(text):
    """The six beginnings a spreadsheet runs are disarmed."""
    assert safe(text) == "'" + text


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=1, max_size=5))
def test_csv_keeps_every_text(tmp_path_factory, texts):
    """Commas, quotes, line ends and any letter come back as they went in, but for the apostrophe of formulas."""
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    file = create(path, pa.schema([("a", pa.string()), ("b", pa.string())]), "csv")
    file.write([{"a": text, "b": "end"} for text in texts])
    file.close()
    with path.open(newline="", encoding="utf-8") as reader:
        rows = list(csv.reader(reader))
    assert rows == [["a", "b"], *([safe(text), "end"] for text in texts)]


def test_csv_lines_end_as_the_rfc_says(tmp_path):
    """RFC 4180: CRLF after every record, quotes doubled."""
    file = create(tmp_path / "t.csv", pa.schema([("a", pa.string()), ("x", pa.float64())]), "csv")
    file.write([{"a": 'say "hi"', "x": -0.1}])
    file.close()
    assert (tmp_path / "t.csv").read_bytes() == b'a,x\r\n"say ""hi""",-0.1\r\n'


def test_score_command_publishes(make_workspace, tmp_path):
    """`barista score` writes the tables and says how many."""
    from typer.testing import CliRunner

    from recsys.cli.app import build_app

    directory = str(make_workspace().directory)
    arguments = ["--workspace", directory, "--clock", "snapshot", "score", "--out", str(tmp_path / "o"), "--n", "2"]
    result = CliRunner().invoke(build_app(), arguments)
    assert (result.exit_code, "3 customers, 6 offers" in result.output) == (0, True)


def test_score_command_takes_what_new_means(make_workspace, tmp_path):
    """New families alone: tea for ann, coffee and bakery for others as they lack them."""
    from typer.testing import CliRunner

    from recsys.cli.app import build_app

    directory, out = str(make_workspace().directory), tmp_path / "o"
    wishes = ["--mode", "new", "--level", "family", "--look-back", "365"]
    arguments = ["--workspace", directory, "--clock", "snapshot", "score", "--out", str(out), *wishes]
    assert CliRunner().invoke(build_app(), arguments).exit_code == 0
    offered: dict[str, set[str]] = {}
    for row in pq.read_table(out / "offers.parquet").to_pylist():
        offered.setdefault(row["customer_id"], set()).add(row["item_id"])
    assert offered == {"ann": {"tea"}, "anton": {"scone", "muffin"}, "bob": {"latte", "flat-white"}}


def test_score_command_refuses_an_unknown_level(make_workspace, tmp_path):
    """The error lists the known ones and nothing is published."""
    from typer.testing import CliRunner

    from recsys.cli.app import build_app

    arguments = ["--workspace", str(make_workspace().directory), "score", "--out", str(tmp_path / "o")]
    result = CliRunner().invoke(build_app(), [*arguments, "--level", "brand"])
    assert "item, family, group" in str(result.exception) + result.output
    assert not (tmp_path / "o").exists()
