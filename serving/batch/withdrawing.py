"""Rows of erased customers taken out of runs that were published before: each run is replaced whole, in one step."""

import csv
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import structlog

from recsys.data.files import replace_text
from recsys.errors import WorkspaceError
from recsys.store import Ledger
from recsys.workspace import Workspace
from recsys.workspace.places import drop_place, lost_places, noted_places
from recsys.workspace.sweeping import told_fault
from serving.batch.files import DANGEROUS
from serving.batch.publish import MANIFEST, clear_remnants, put_in_place, staging

CUSTOMER = "customer_id"

UNKNOWN = (
    "it is damaged, so nobody knows where runs were published before: score into those places again or remove what is "
    "there, then remove this file"
)

LOG = structlog.get_logger("barista.withdrawing")


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What was done about one publication: customers taken out, or why nothing could be."""

    place: Path
    customers: int = 0
    fault: str = ""


def withdraw(workspace: Workspace) -> list[Withdrawn]:
    """Take customers erased since out of every publication; what was done, of those with something to do.

    To be called by who writes to the workspace. Where something else is published meanwhile nothing is touched, and
    the place is forgotten.

    Raises:
        StoreUnavailable: nobody knows who is erased.
    """
    ledger, done = workspace.erasures().ledger(), []
    for place, runs in noted_places(workspace).items():
        try:
            found = _withdraw(workspace, place, runs, ledger)
        except Exception as error:  # whatever is wrong with one, the others are rewritten
            told_fault("publication", place, error)
            done.append(Withdrawn(place, fault=f"{type(error).__name__}: {error}"))
            continue
        if found:
            done.append(Withdrawn(place, found))
    lost = lost_places(workspace)
    return done if lost is None else [*done, Withdrawn(lost, fault=UNKNOWN)]


def _withdraw(workspace: Workspace, place: Path, runs: list[str], ledger: Ledger) -> int:
    """How many customers were taken out of the publication in `place`; 0 where it is none of `runs`."""
    clear_remnants(place)
    manifest = _manifest(place)
    if manifest is None:  # never there, removed, or on a disk that is away
        return 0
    if manifest.get("run_id") not in runs:
        LOG.warning("another publication is here now: left as it is", place=str(place), found=manifest.get("run_id"))
        drop_place(workspace, place)
        return 0
    return _taken_out(place, manifest, ledger)


def _manifest(place: Path) -> dict[str, Any] | None:
    """What stands in the manifest, None without one.

    Raises:
        ValueError: it is none.
    """
    path = place / MANIFEST
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found if found is None or isinstance(found, dict) else {}


def _taken_out(place: Path, manifest: dict[str, Any], ledger: Ledger) -> int:
    """How many of those erased since the run had rows in it; a run that says nothing of erasures knew none."""
    told = manifest.get("erasures")
    knew: dict[str, Any] = told if isinstance(told, dict) else {}
    if knew.get("digest") == ledger.digest:
        return 0
    files = [place / Path(name).name for name in manifest["files"]]
    named = {each for file in files for each in _customers(file)}
    erased = set(ledger.since(int(knew.get("known", 0)), int(knew.get("at", 0))).among(named))
    manifest["erasures"] = ledger.mark()
    if erased:
        _publish_without(place, manifest, files, erased)
    else:
        replace_text(place / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False))
    return len(erased)


def _publish_without(place: Path, manifest: dict[str, Any], files: Iterable[Path], erased: set[str]) -> None:
    with staging(place) as work:
        kept = {file.name: _without(file, work / file.name, erased) for file in files}
        manifest["withdrawn"] = manifest.get("withdrawn", 0) + len(erased)
        counts = manifest["counts"]
        counts["customers"] -= len(erased)
        counts["offers"] = sum(rows for name, rows in kept.items() if name.startswith("offers"))
        if (_manifest(place) or {}).get("run_id") != manifest["run_id"]:
            raise WorkspaceError("Another run was published here meanwhile", found=str(place))
        put_in_place(work, place, manifest | {"files": {name: {"rows": rows} for name, rows in kept.items()}})


def _customers(file: Path) -> set[str]:
    """Everybody a table names."""
    if file.suffix == ".parquet":
        parts = pq.ParquetFile(file).iter_batches(columns=[CUSTOMER])
        return {each for part in parts for each in part.column(CUSTOMER).unique().to_pylist()}
    csv.field_size_limit(sys.maxsize)
    with file.open(encoding="utf-8", newline="") as text:
        rows = csv.reader(text)
        at = next(rows).index(CUSTOMER)
        return {_plain(row[at]) for row in rows}


def _without(file: Path, target: Path, erased: set[str]) -> int:
    """Write the table to `target` without some customers; rows that are left."""
    write: Callable[[Path, Path, set[str]], int] = _parquet if file.suffix == ".parquet" else _csv
    return write(file, target, erased)


def _parquet(file: Path, target: Path, erased: set[str]) -> int:
    source, rows, gone = pq.ParquetFile(file), 0, pa.array(sorted(erased))
    with pq.ParquetWriter(target, source.schema_arrow, compression="zstd") as writer:
        for group in range(source.num_row_groups):
            table = source.read_row_group(group)
            kept = table.filter(pc.invert(pc.is_in(table[CUSTOMER], value_set=gone)))
            writer.write_table(kept)
            rows += len(kept)
    return rows


def _csv(file: Path, target: Path, erased: set[str]) -> int:
    with file.open(encoding="utf-8", newline="") as text, target.open("w", encoding="utf-8", newline="") as out:
        rows, writer, count = csv.reader(text), csv.writer(out), 0
        names = next(rows)
        writer.writerow(names)
        at = names.index(CUSTOMER)
        for row in rows:
            if _plain(row[at]) not in erased:
                writer.writerow(row)
                count += 1
    return count


def _plain(cell: str) -> str:
    """An id as it was before a cell of it was made safe for spreadsheets."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(DANGEROUS) else cell
