"""Reports of imports name customers by orders told differently and by values of rejected rows; erased ones go."""

import csv
import json
import os
import sys
from pathlib import Path
from typing import Any

from recsys.data.files import read_text, replace_text
from recsys.store import Tombstones
from recsys.workspace.sweeping import SWEPT, Swept, remove_remnants, told_fault
from recsys.workspace.workspace import Workspace

REPORT, REJECTS = "report.json", "rejects.csv"


def sweep_reports(workspace: Workspace) -> Swept:
    """Drop entries about erased customers from the reports of all imports; how many entries it was.

    To be called by who writes to the workspace. A report that is damaged is told in the log and left.

    Raises:
        StoreUnavailable: nobody knows who is erased.
    """
    ledger, dropped, faults = workspace.erasures().ledger(), 0, []
    for directory in sorted(path for path in (workspace.directory / "imports").iterdir() if path.is_dir()):
        try:
            remove_remnants(directory, ".")
            if read_text(directory / SWEPT) != ledger.digest:
                for sweep, name in ((_report, REPORT), (_rejects, REJECTS)):
                    dropped += sweep(directory / name, ledger.tombstones)
                replace_text(directory / SWEPT, ledger.digest)
        except Exception as error:  # whatever is wrong with one, the others are swept
            faults.append(told_fault("report of an import", directory, error))
    return Swept(dropped, tuple(faults))


def _report(path: Path, tombstones: Tombstones) -> int:
    text = read_text(path)
    content: dict[str, Any] = json.loads(text) if text else {}
    parts = [(content, "differences", "customer_id")]
    parts += [(table, "examples", "value") for table in content.get("tables", {}).values()]
    dropped = 0
    for part, name, key in parts:
        before = part.get(name, [])
        part[name] = [each for each in before if not _names(each[key], tombstones)]
        dropped += len(before) - len(part[name])
    if dropped:
        replace_text(path, json.dumps(content, ensure_ascii=False, indent=1))
    return dropped


def _rejects(path: Path, tombstones: Tombstones) -> int:
    """Rows of rejects.csv, written again without those whose value names an erased customer."""
    if not path.is_file():
        return 0
    work = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        dropped = _without(path, work, tombstones)
        if dropped:
            work.replace(path)
    finally:
        work.unlink(missing_ok=True)
    return dropped


def _without(path: Path, work: Path, tombstones: Tombstones) -> int:
    """Write the rows to keep to `work`; how many the others were."""
    dropped, at = 0, -1
    csv.field_size_limit(sys.maxsize)  # a rejected value is as long as it was
    with path.open(encoding="utf-8", newline="") as file, work.open("w", encoding="utf-8", newline="") as out:
        rows, writer = csv.reader(file), csv.writer(out, lineterminator="\n")
        for number, row in enumerate(rows):
            at = row.index("value") if number == 0 else at
            if number and _names(row[at], tombstones):
                dropped += 1
            else:
                writer.writerow(row)
        out.flush()
        os.fsync(out.fileno())
    return dropped


def _names(value: str | None, tombstones: Tombstones) -> bool:
    """Whether a value, or one of the columns put together in it, is an erased customer's id."""
    parts = {value, *value.split(" | ")} if value else set()
    return bool(tombstones.among(parts | {part.removeprefix("'") for part in parts}))
