"""Imports into a workspace: published whole, or nothing changed."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.data.mapping_file import mapping_of
from recsys.data.tail import EventLine
from recsys.errors import BaristaError, ImportRefused
from recsys.population.facts import Population
from recsys.settings import Settings
from recsys.store import Event
from recsys.workspace import Workspace
from training.importing import ImportPlan, import_into

HEADER = "who,when,what,n,paid,bill\n"
SALES = "".join(
    f"c{customer},2024-0{1 + order}-{1 + customer:02d},p{(customer + order) % 3},1,2.50,b{customer}{order}\n"
    for customer in range(6)
    for order in range(5)
)
COLUMNS = {
    "customer_id": "who",
    "occurred_at": "when",
    "product_id": "what",
    "quantity": "n",
    "amount": "paid",
    "order_id": "bill",
}


def mapping(directory: Path, rows: str = SALES) -> Any:
    """A mapping of a file with these rows."""
    (directory / "sales.csv").write_text(HEADER + rows)
    return mapping_of({"transactions": {"file": "sales.csv", "columns": COLUMNS}}, directory)


@pytest.fixture
def workspace(settings: Settings) -> Workspace:
    """An empty workspace."""
    return Workspace.create(settings)


def test_an_import_is_published_with_its_population(workspace: Workspace, tmp_path: Path) -> None:
    """The current snapshot is the new one, with the facts that answers need."""
    imported = import_into(workspace, mapping(tmp_path))
    current = workspace.current_snapshot()
    population = Population.load(workspace.snapshots / current.snapshot_id / "population")
    assert (current.snapshot_id, population.snapshot_id) == (imported.snapshot.snapshot_id,) * 2


def test_a_failed_import_leaves_the_former_data(workspace: Workspace, tmp_path: Path) -> None:
    """A refused source changes neither the current snapshot nor the files of it, and leaves a report."""
    before = import_into(workspace, mapping(tmp_path)).snapshot.snapshot_id
    with pytest.raises(ImportRefused):
        import_into(workspace, mapping(tmp_path, "c1,never,p,1,1,b\n"))
    reports = sorted(path.parent.name for path in (workspace.directory / "imports").glob("*/rejects.csv"))
    assert (
        workspace.snapshot_id(),
        [path.name for path in workspace.snapshots.iterdir() if path.is_dir()],
        len(reports),
    ) == (
        before,
        [before],
        2,
    )


def test_events_fold_in_and_count_once(workspace: Workspace, tmp_path: Path) -> None:
    """An event known to the file is the file's order; another one becomes an order of the snapshot."""
    lines = (EventLine("p1", 1.0, 250),)
    workspace.events().append(
        [
            Event("e1", "c0", "purchase", 1_704_067_200, lines, order_id="b00"),
            Event("e2", "new", "purchase", 1_720_000_000, lines, order_id="x1"),
            Event("e3", "c0", "view", 1_720_000_000, lines),
        ]
    )
    imported = import_into(workspace, mapping(tmp_path))
    assert (imported.report.merged["events_folded"], imported.snapshot.history.n_orders) == (1, 31)


def test_append_uses_what_the_workspace_holds(workspace: Workspace, tmp_path: Path) -> None:
    """A second file in mode append is added to the first."""
    import_into(workspace, mapping(tmp_path))
    imported = import_into(workspace, mapping(tmp_path, "zoe,2024-07-01,p1,1,2.50,z1\n"), ImportPlan("append"))
    assert imported.snapshot.history.n_orders == 31


def test_a_period_is_meant_in_the_business_time_zone(workspace: Workspace, tmp_path: Path) -> None:
    """All orders of February are replaced by the file's."""
    import_into(workspace, mapping(tmp_path))
    plan = ImportPlan(period=("2024-02-01", "2024-03-01"))
    imported = import_into(workspace, mapping(tmp_path, "zoe,2024-02-10,p1,1,2.50,z1\n"), plan)
    assert imported.report.merged == {"orders_removed": 6, "orders_added": 1}


def test_the_report_tells_every_row(workspace: Workspace, tmp_path: Path) -> None:
    """report.json and rejects.csv lie in a directory of their own."""
    imported = import_into(workspace, mapping(tmp_path, SALES + "c1,2024-01-01,p1,many,1,b\n"))
    report = json.loads((imported.directory / "report.json").read_text())
    table = report["tables"]["transactions"]
    assert (report["status"], table["read"], table["accepted"], table["rejected"]) == ("published", 31, 30, 1)


def barista(settings: Settings, *arguments: str) -> Any:
    """Run `barista` on a workspace."""
    return CliRunner().invoke(build_app(), ["--workspace", str(settings.workspace), *arguments])


def test_the_commands_import_and_check(settings: Settings, tmp_path: Path) -> None:
    """`barista import` then `barista check` say what was read and what it can carry."""
    mapping(tmp_path)
    columns = "".join(f'{name} = "{source}"\n' for name, source in COLUMNS.items())
    (tmp_path / "m.toml").write_text(f'[transactions]\nfile = "sales.csv"\n[transactions.columns]\n{columns}')
    first = barista(settings, "import", str(tmp_path / "m.toml"), "--json", str(tmp_path / "report.json"))
    second = barista(settings, "check", "--horizon", "30", "--json", str(tmp_path / "check.json"))
    found = json.loads((tmp_path / "check.json").read_text())
    report = json.loads((tmp_path / "report.json").read_text())
    assert (first.exit_code, second.exit_code, report["tables"]["transactions"]["accepted"], found["orders"]) == (
        0,
        0,
        30,
        30,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Say what to import"),
        (("--sample", "nothing"), "No such sample"),
        (("--sample", "complete-journey", "--mode", "merge"), "No such mode"),
        (("--sample", "complete-journey", "--from", "2024-01-01"), "--from and --until"),
        (("missing.toml",), "can't be read"),
    ],
)
def test_a_wrong_call_says_what_is_expected(settings: Settings, arguments: tuple[str, ...], message: str) -> None:
    """Nothing is imported and the error says why."""
    result = barista(settings, "import", *arguments)
    assert isinstance(result.exception, BaristaError)
    assert message in str(result.exception)
