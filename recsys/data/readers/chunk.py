"""What every reader yields: some rows of a source as they stand there, with the place of each."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys.errors import MappingError


@dataclass(frozen=True, slots=True)
class Ragged:
    """A row whose number of values is not that of the header: its line, its text, and what is wrong."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some rows of one file, sheet or query.

    frame     the source columns that are needed, as they came
    lines     int64 (len(frame),) line each row begins at in its file, the first line being 1; rows of Parquet files and
              queries are counted from 1
    file      name of the file
    ragged    rows that are not in `frame` because they could not be split into columns
    done      share of the file read so far, 0 … 1
    read_as   what was found out about the file: encoding, separator, decimal mark
    """

    frame: pl.DataFrame
    lines: npt.NDArray[np.int64]
    file: str
    ragged: tuple[Ragged, ...] = ()
    done: float = 1.0
    read_as: dict[str, str] = field(default_factory=dict)


def refuse_missing(needed: Sequence[str], found: Sequence[str], file: str) -> None:
    """Refuse a source that lacks a mapped column.

    Raises:
        MappingError: names the columns found and the nearest to the one that is missing.
    """
    for name in needed:
        if name not in found:
            near = difflib.get_close_matches(name, found, n=1)
            raise MappingError(
                f"{file} has no column {name!r}",
                found=list(found),
                expected=repr(name),
                cure=f"Did you mean {near[0]!r}?" if near else "Correct the mapping, or `header`, `names`, `separator`",
            )


def named(found: Sequence[str]) -> list[str]:
    """Column names without surrounding blanks; empty ones become column_<n>, repeated ones get _2 and so on."""
    names: list[str] = []
    for position, raw in enumerate(found, 1):
        base = raw.strip().lstrip("\ufeff").strip() or f"column_{position}"
        name, copy = base, 1
        while name in names:
            copy += 1
            name = f"{base}_{copy}"
        names.append(name)
    return names


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns of types a mapping need not know of as texts and numbers: categories, bytes, decimals, times of day."""
    casts: list[pl.Expr] = []
    for name, dtype in frame.schema.items():
        if isinstance(dtype, pl.Decimal):
            casts.append(pl.col(name).cast(pl.Int64 if dtype.scale == 0 else pl.Float64, strict=False))
        elif isinstance(dtype, (pl.Categorical, pl.Enum, pl.Binary, pl.Time)):
            casts.append(pl.col(name).cast(pl.String, strict=False))
    return frame.with_columns(casts)
