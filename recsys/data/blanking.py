"""Customers blanked in a snapshot that is kept for replay: their bytes are overwritten where they are, nothing moves.

Everybody else's numbers stay at their places with their bits, also in a process that has the files mapped, so that a
replay of a decision about them finds what it found. What was fitted on the whole base stays as well: decisions were
made from it. What is taken from the base when a snapshot is opened (the margin in `Books`, where the zone table begins)
does not: a blanked snapshot is opened for replay alone, which no margin enters. A crash half-way leaves some
overwritten and an id, so that a repetition ends it.
"""

import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recsys.data.columns import ACQUISITION_COST, CUSTOMER
from recsys.data.files import replace_text, sync_directory
from recsys.data.history import UNKNOWN_CODE
from recsys.data.ids import ABSENT, IdMap
from recsys.data.snapshot import BLANKED, file_digest, read_manifest, verify_files
from recsys.data.told import IDS, ROWS, TABLES, told_ids

BLANK = "\0"
"""What a blanked id begins with; no id does."""

UNDER_WAY = "blanking"
"""File of a snapshot some of whose files may differ from its manifest."""

_LOOKALIKES = "population/Lookalikes"
_MAPS = (f"{_LOOKALIKES}.ids", "customers", IDS)
"""Maps of ids in the sequence they are blanked in."""

_ORDERS = {"order_key": 0, "order_store": UNKNOWN_CODE, "order_channel": UNKNOWN_CODE}
_LINES = {"line_product": -1, "line_quantity": 0, "line_amount": 0, "line_discount": 0}
_WRITTEN = frozenset(
    {f"{name}.npy" for name in (*_ORDERS, *_LINES, "order_time", ACQUISITION_COST)}
    | {f"{name}.blob.npy" for name in (*_MAPS, ROWS)}
    | {TABLES[CUSTOMER]}
)
"""Files that may be written here."""


def named_in(directory: Path) -> set[str]:
    """Everybody a snapshot's directory names: with orders, in the customers table, or in the facts made of it alone."""
    ids = {*IdMap.load(directory, "customers"), *told_ids(directory)}
    if (directory / f"{_MAPS[0]}.offsets.npy").is_file():
        ids |= set(IdMap.load(directory, _MAPS[0]))
    return {each for each in ids if not each.startswith(BLANK)}


def blank(directory: Path, customers: Collection[str]) -> None:
    """Overwrite `customers` in the snapshot at `directory`; its manifest goes by the new bytes and keeps the id.

    Another contract version tells programs from before that their search for ids would miss others in it. Files not
    written here keep their digest, and those written are compared with theirs before: damage stays visible.

    Raises:
        SnapshotError: there is no whole snapshot.
    """
    begun = directory / UNDER_WAY
    if not (customers or begun.exists()):
        return
    manifest = read_manifest(directory)
    ours = [name for name in manifest["files"] if name in _WRITTEN]
    if not begun.exists():  # else their digests are of before
        verify_files(directory, {"files": {name: manifest["files"][name] for name in ours}})
    begun.touch()
    sync_directory(directory)
    manifest["contract"] = BLANKED
    _say(directory, manifest)
    _blank_orders(directory, customers, int(manifest["facts"]["as_of"]))
    _blank_table(directory, customers)
    for name in _MAPS:
        _blank_ids(directory, name, customers)
    manifest["blanked"] = manifest.get("blanked", 0) + len(customers)
    manifest["files"] |= {name: file_digest(directory / name) for name in ours}
    _say(directory, manifest)
    begun.unlink()


def _say(directory: Path, manifest: Mapping[str, Any]) -> None:
    replace_text(directory / "manifest.json", json.dumps(manifest, indent=1))


def _blank_orders(directory: Path, customers: Iterable[str], as_of: int) -> None:
    """Orders keep their number and lines theirs; what they say goes."""
    places = _places(directory, "customers", customers)
    start, lines = (
        np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("order_start", "line_start")
    )
    orders = [slice(int(start[at]), int(start[at + 1])) for at in places]
    within = [slice(int(lines[each.start]), int(lines[each.stop])) for each in orders]
    _fill(directory, {**_ORDERS, "order_time": as_of}, orders)
    _fill(directory, _LINES, within)
    _fill(directory, {ACQUISITION_COST: np.nan}, _spans(places))


def _blank_table(directory: Path, customers: Collection[str]) -> None:
    """The row of the customers table, and what was made of it."""
    _fill(directory, {f"{_LOOKALIKES}.codes": -1}, _spans(_places(directory, f"{_LOOKALIKES}.ids", customers)))
    rows = _bytes_of(directory, ROWS, _places(directory, IDS, customers))
    for each in rows:
        _write(directory / f"{ROWS}.blob.npy", each, b"{}".ljust(each.stop - each.start))
    path = directory / TABLES[CUSTOMER]
    if path.is_file():
        _without_rows(path, customers)


def _without_rows(path: Path, customers: Collection[str]) -> None:
    """The table as a new file in the place of the former one."""
    import polars as pl

    table = pl.read_parquet(path)
    kept = table.filter(~pl.col(CUSTOMER).cast(pl.String).is_in(list(customers)))
    if len(kept) < len(table):
        work = path.with_name(f".{path.name}.{os.getpid()}")
        kept.write_parquet(work)
        with work.open("rb") as file:
            os.fsync(file.fileno())
        work.replace(path)
        sync_directory(path.parent)


def _blank_ids(directory: Path, name: str, customers: Iterable[str]) -> None:
    for each in _bytes_of(directory, name, _places(directory, name, customers)):
        _write(directory / f"{name}.blob.npy", each, b"\0" * (each.stop - each.start))


def _places(directory: Path, name: str, customers: Iterable[str]) -> list[int]:
    """Indices of those customers that a map of ids knows; none without the map."""
    if not (directory / f"{name}.offsets.npy").is_file():
        return []
    ids = IdMap.load(directory, name)
    return [at for at in map(ids.index, customers) if at != ABSENT]


def _bytes_of(directory: Path, name: str, places: list[int]) -> list[slice]:
    """Where the texts at `places` stand in their blob."""
    if not places:
        return []
    offsets = np.load(directory / f"{name}.offsets.npy", mmap_mode="r", allow_pickle=False)
    return [slice(int(offsets[at]), int(offsets[at + 1])) for at in places]


def _spans(places: Iterable[int]) -> list[slice]:
    return [slice(at, at + 1) for at in places]


def _fill(directory: Path, values: Mapping[str, Any], spans: list[slice]) -> None:
    """Put a value into parts of arrays, by name; arrays a snapshot has not are left out."""
    for name, value in values.items():
        path = directory / f"{name}.npy"
        if spans and path.is_file():
            array = np.load(path, mmap_mode="r+", allow_pickle=False)
            for each in spans:
                array[each] = value
            array.flush()


def _write(path: Path, span: slice, content: bytes) -> None:
    array = np.load(path, mmap_mode="r+", allow_pickle=False)
    array[span] = np.frombuffer(content, np.uint8)
    array.flush()
