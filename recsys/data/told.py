"""What the products and customers tables tell those who answer: costs as arrays, rows of customers as texts.

An import writes these beside its tables, so that a worker finds a cost or a customer's attributes without loading what
reads tables. Snapshots of former versions have the tables alone.
"""

import json
import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from recsys.data.arrays import load_array
from recsys.data.columns import ACQUISITION_COST, CUSTOMER, PRODUCT, UNIT_COST
from recsys.data.ids import ABSENT, IdMap, Texts

if TYPE_CHECKING:
    import polars as pl

COSTS = {UNIT_COST: PRODUCT, ACQUISITION_COST: CUSTOMER}
"""Columns of money and the ids they belong to; each is kept in the file `<column>.npy` [currency]."""

TABLES = {PRODUCT: "products.parquet", CUSTOMER: "customers.parquet"}
"""Where the whole tables are, by the ids of their rows."""

IDS, ROWS = "told.ids", "told.rows"
"""Names of the customers of the table and of their rows, JSON objects without the id, in the same sequence."""


def told_files(
    products: "pl.DataFrame | None", customers: "pl.DataFrame | None", ids: Mapping[str, IdMap]
) -> dict[str, bytes]:
    """The files of both tables, by name; `ids` are the snapshot's, by PRODUCT and CUSTOMER."""
    files: dict[str, bytes] = {}
    for column, key in COSTS.items():
        table = products if key == PRODUCT else customers
        if table is not None and column in table.columns:
            files[f"{column}.npy"] = _npy(_numbers(table, key, column, ids[key]))
    if customers is not None:
        import polars as pl

        named = customers.with_columns(pl.col(CUSTOMER).cast(pl.String)).unique(CUSTOMER, keep="first").sort(CUSTOMER)
        rows = (json.dumps(_plain(row)) for row in named.drop(CUSTOMER).iter_rows(named=True))
        for name, kept in ((IDS, IdMap.of(named[CUSTOMER])), (ROWS, Texts.of(rows))):
            files |= {f"{name}.offsets.npy": _npy(kept.offsets), f"{name}.blob.npy": _npy(kept.blob)}
    return files


def told_cost(directory: Path | None, column: str, ids: IdMap) -> npt.NDArray[np.float64]:
    """A cost of `COSTS` for the snapshot's `ids`, float64 (len(ids),), NaN where nothing is said [currency].

    Raises:
        SnapshotError: the file is damaged.
    """
    key, nothing = COSTS[column], np.full(len(ids), np.nan)
    if directory is None:
        return nothing
    if (kept := directory / f"{column}.npy").is_file():
        return load_array(kept)
    table = directory / TABLES[key]
    if not table.is_file() or not _may_have(table, column):
        return nothing
    import polars as pl  # for a snapshot that has the table alone

    if column not in pl.read_parquet_schema(table):
        return nothing
    return _numbers(pl.read_parquet(table, columns=[key, column]), key, column, ids)


def told_ids(directory: Path | None) -> IdMap:
    """Everyone in the customers table; nobody without one.

    Raises:
        SnapshotError: a file is damaged.
    """
    if directory is not None and (directory / f"{IDS}.offsets.npy").is_file():
        return IdMap.load(directory, IDS)
    path = directory / TABLES[CUSTOMER] if directory else None
    if path is None or not path.is_file():
        return IdMap.of(())
    import polars as pl  # for a snapshot that has the table alone

    return IdMap.of(pl.read_parquet(path, columns=[CUSTOMER])[CUSTOMER].cast(pl.String))


def told_row(directory: Path | None, customer_id: str) -> dict[str, Any]:
    """A customer's row of the customers table without the id; {} for one it does not have, or without a table.

    Raises:
        SnapshotError: a file is damaged.
    """
    if directory is not None and (directory / f"{IDS}.offsets.npy").is_file():
        found = IdMap.load(directory, IDS).index(customer_id)
        row: dict[str, Any] = json.loads(Texts.load(directory, ROWS)[found]) if found != ABSENT else {}
        return row
    path = directory / TABLES[CUSTOMER] if directory else None
    if path is None or not path.is_file():
        return {}
    import polars as pl  # for a snapshot that has the table alone

    rows = pl.scan_parquet(path).filter(pl.col(CUSTOMER).cast(pl.String) == customer_id).head(1).collect()
    return _plain(rows.drop(CUSTOMER).to_dicts()[0]) if len(rows) else {}


def _numbers(table: "pl.DataFrame", key: str, column: str, ids: IdMap) -> npt.NDArray[np.float64]:
    """A column of numbers by the ids in the column `key`."""
    import polars as pl

    found = np.full(len(ids), np.nan)
    place = ids.indices(table[key].cast(pl.String).to_list())
    known = place >= 0
    found[place[known]] = table[column].cast(pl.Float64).to_numpy()[known]
    return found


def _may_have(path: Path, column: str) -> bool:
    """Whether a Parquet file may have a column: its footer, a length and four more bytes at the end, says the name.

    Source: the Parquet format's file layout, "File format", metadata.
    """
    with path.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-min(8 + length, path.stat().st_size), os.SEEK_END)
        return column.encode() in file.read()


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON can hold it: instants and the like as texts."""
    return {name: value if isinstance(value, str | int | float | None) else str(value) for name, value in row.items()}


def _npy(array: npt.NDArray[Any]) -> bytes:
    file = BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
