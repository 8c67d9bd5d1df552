"""Imports into a workspace: read, fold, fit the population, publish; or leave everything as it was."""

import secrets
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from recsys.data import columns as c
from recsys.data.ids import ABSENT
from recsys.data.importing import Folding, ImportResult, Mode, Progress, run_import
from recsys.data.mapping import Mapping
from recsys.data.merging import open_base
from recsys.data.report import ImportReport
from recsys.data.snapshot import Snapshot
from recsys.data.tail import OrderEvent
from recsys.errors import RequestRefused, StoreError

if TYPE_CHECKING:
    from recsys.store import Tombstones
    from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True, eq=False)
class Imported:
    """A published import: the snapshot now in use, its report, and the directory of rejects.csv and report.json."""

    snapshot: Snapshot
    report: ImportReport
    directory: Path


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """How a source is laid over what the workspace holds.

    mode    `replace`, `append` or `correct`
    period  first day and the day after the last (ISO dates in the business time zone, or instants): only it is replaced
    events  fold in the orders the service was told of
    now     the import's clock [s]; default: this machine's
    """

    mode: Mode = "replace"
    period: tuple[str, str] | None = None
    events: bool = True
    now: int | None = None


def import_into(
    workspace: "Workspace", mapping: Mapping, plan: ImportPlan | None = None, progress: Progress | None = None
) -> Imported:
    """Import a source into `workspace` and make it the current snapshot; a failure leaves the former one in use.

    Raises:
        ImportRefused: see `recsys.data.importing.run_import`; the import's directory says which rows and why.
        MappingError: a mapped column is missing.
        WorkspaceLocked: another process writes to the workspace.
    """
    from recsys.store.sql_source import read_sql

    plan = plan or ImportPlan()
    with workspace.writing():
        directory = new_directory(workspace.directory / "imports")
        folding = _folding(workspace, mapping, plan)
        result = run_import(mapping, folding, directory=directory, now=plan.now, sql=read_sql, progress=progress)
        saved = _without_anybody_erased(workspace, result, progress)
        workspace.publish_snapshot(saved.snapshot_id)
        workspace.prune_snapshots()
        result.report.status = "published"
        result.report.write()
        if _has_store(workspace):
            _sweep(workspace)
    return Imported(saved, result.report, directory)


def _sweep(workspace: "Workspace") -> None:
    """Take erased customers out of what is kept; the import is published already, so that nothing here fails it."""
    import structlog

    from recsys.workspace.import_reports import sweep_reports
    from recsys.workspace.sweeping import sweep_snapshots

    try:
        sweep_snapshots(workspace)
        sweep_reports(workspace)
    except StoreError as error:
        structlog.get_logger("barista.importing").error("not swept", error=str(error), cure="Run `barista sweep`")


def _without_anybody_erased(workspace: "Workspace", result: ImportResult, progress: Progress | None) -> Snapshot:
    """The snapshot on disk without those erased before it is published, also while it was being fitted.

    An erasure reaches up to the end of what the service knows. Where the new data end later, as under a clock that
    stands still, the tombstone does not hide the customer in them: the snapshot is made again.
    """
    from recsys.data.blanking import blank

    tombstones = _tombstones(workspace)
    result = _without_erased(result, tombstones)
    saved = _saved(workspace, result, progress)
    while (newer := _tombstones(workspace)) != tombstones:
        tombstones = newer
        shown = _shown(result, tombstones)
        if shown:
            if saved.snapshot_id != workspace.snapshot_id():
                blank(workspace.snapshots / saved.snapshot_id, shown)
            result = _without_erased(result, tombstones)
            saved = _saved(workspace, result, progress)
    return saved


def _tombstones(workspace: "Workspace") -> "Tombstones":
    """Who is erased; nobody in a workspace that has no database yet."""
    from recsys.store import Tombstones

    return workspace.erasures().tombstones() if _has_store(workspace) else Tombstones()


def _shown(result: ImportResult, tombstones: "Tombstones") -> list[str]:
    """Erased customers that an import still holds, and that their tombstones would not hide in it."""
    snapshot, shown = result.snapshot, []
    for customer, at in tombstones.among(_named(result)).items():
        index = snapshot.customers.index(customer)
        low, high = snapshot.history.span(index) if index != ABSENT else (0, 0)
        holds = index == ABSENT or bool((snapshot.history.order_time[low:high] <= at).any())
        if holds and at < snapshot.as_of:
            shown.append(customer)
    return shown


def _named(result: ImportResult) -> set[str]:
    """Everybody an import names: with orders, and in the customers table."""
    import polars as pl

    table = result.base.customers
    told = set() if table is None else set(table[c.CUSTOMER].cast(pl.String).to_list())
    return set(result.snapshot.customers) | told


def _saved(workspace: "Workspace", result: ImportResult, progress: Progress | None) -> Snapshot:
    """The snapshot on disk with the population facts that answers need."""
    from recsys.population.fit import fit_population

    say = progress or (lambda _stage, _done: None)
    say("writing", 0.0)
    saved = result.save(workspace.snapshots)
    say("writing", 1.0)
    population = workspace.snapshots / saved.snapshot_id / "population"
    if not population.is_dir():
        say("population", 0.0)
        fitting = population.with_name(f".population-{secrets.token_hex(4)}")
        fit_population(saved, threads=workspace.settings.threads).save(fitting)
        fitting.rename(population)
    say("population", 1.0)
    return saved


def _without_erased(result: ImportResult, tombstones: "Tombstones") -> ImportResult:
    """The import without what customers had erased: it does not come back with a file that still has it."""
    from recsys.data.erasing import without_erased

    if not len(tombstones):
        return result
    base, orders = without_erased(result.base, tombstones.among(_named(result)))
    merged = result.report.merged
    result.report.merged = {**merged, "orders_erased": merged.get("orders_erased", 0) + orders}
    return replace(result, base=base)


def new_directory(imports: Path) -> Path:
    """A new directory `<time>-<id>` for rejects and report."""
    name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"
    directory = imports / name
    directory.mkdir(parents=True)
    return directory


def _folding(workspace: "Workspace", mapping: Mapping, plan: ImportPlan) -> Folding:
    current = workspace.snapshot_id()
    partial = plan.mode != "replace" or plan.period is not None
    base = open_base(workspace.snapshots / current) if partial and current is not None else None
    period = None
    if plan.period is not None:
        zone = ZoneInfo(mapping.business.timezone)
        period = (_instant(plan.period[0], zone), _instant(plan.period[1], zone))
    events = _told(workspace) if plan.events else ()
    return Folding(plan.mode, base, period, events)


def _instant(text: str, zone: ZoneInfo) -> int:
    """Seconds of an ISO date or instant, local time of `zone` where it names none."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise RequestRefused("A period is given by ISO dates", found=text, expected="for example 2024-03-01") from error
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=zone)
    return int(instant.astimezone(UTC).timestamp())


def _told(workspace: "Workspace") -> tuple[OrderEvent, ...]:
    """Orders in the event store; none is made for a workspace that has no store yet."""
    if not _has_store(workspace):
        return ()
    by_customer = workspace.events().orders_by_customer()
    return tuple(order for orders in by_customer.values() for order in orders)


def _has_store(workspace: "Workspace") -> bool:
    """Whether the workspace has a database already; an import makes none."""
    return workspace.settings.database_url is not None or (workspace.directory / "barista.db").exists()
