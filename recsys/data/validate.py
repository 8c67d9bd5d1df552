"""Rows of a source → clean rows and rejects: a table's checks run over a chunk, a row's first fault names it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from recsys.data import parsing
from recsys.data.mapping import ColumnSource, TableFormat
from recsys.data.readers.chunk import Chunk

PARSED = "="
"""Put before contract names while they stand beside the source's columns."""

LINE = "=line"
FAULT = "=fault"
LONGEST_VALUE = 200

REJECT_SCHEMA = {"file": pl.String, "line": pl.Int64, "column": pl.String, "value": pl.String, "reason": pl.String}


@dataclass(frozen=True, slots=True)
class Check:
    """What makes a row unusable.

    column  contract column
    source  source columns whose value is shown
    bad     true where the row fails; sees source columns and parsed ones (`=quantity`)
    reason  in plain words
    """

    column: str
    source: tuple[str, ...]
    bad: pl.Expr
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """How one table's chunks become clean rows.

    parsed      contract name → expression over the source's columns
    checks      in the sequence in which a row's fault is named
    oddities    name → expression, true for rows that are kept but counted
    """

    parsed: dict[str, pl.Expr]
    checks: tuple[Check, ...]
    oddities: dict[str, pl.Expr] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """One chunk after its checks.

    clean     accepted rows: source columns, and contract columns under `=name`
    rejects   file, line, column, value, reason; one row a rejected row
    oddities  how many accepted rows show each oddity
    """

    clean: pl.DataFrame
    rejects: pl.DataFrame
    oddities: Counter[str]


def check_chunk(chunk: Chunk, plan: Plan) -> Checked:
    """Parse a chunk, set its unusable rows apart and count its oddities; rows read = accepted + rejected."""
    frame = chunk.frame.with_columns(
        pl.Series(LINE, chunk.lines), *(value.alias(PARSED + name) for name, value in plan.parsed.items())
    )
    faults = [pl.when(check.bad).then(pl.lit(number, pl.UInt8)) for number, check in enumerate(plan.checks, 1)]
    frame = frame.with_columns(pl.coalesce(*faults, pl.lit(0, pl.UInt8)).alias(FAULT))
    rejects = ragged_rejects(chunk)
    if frame[FAULT].max():
        bad = frame.filter(pl.col(FAULT) > 0)
        named = [rejected(bad.filter(pl.col(FAULT) == n), check, chunk.file) for n, check in enumerate(plan.checks, 1)]
        rejects = pl.concat([rejects, *named]).sort("line")
        frame = frame.filter(pl.col(FAULT) == 0)
    return Checked(frame, rejects, _counted(frame, plan.oddities))


def _counted(frame: pl.DataFrame, oddities: dict[str, pl.Expr]) -> Counter[str]:
    if not oddities or frame.is_empty():
        return Counter()
    counts = frame.select(value.sum().cast(pl.Int64).alias(name) for name, value in oddities.items())
    return Counter({name: int(counts[name][0] or 0) for name in counts.columns})


def ragged_rejects(chunk: Chunk) -> pl.DataFrame:
    """Rejects of the rows that could not be split."""
    rows = [(chunk.file, row.line, "", row.text[:LONGEST_VALUE], row.reason) for row in chunk.ragged]
    return pl.DataFrame(rows, schema=REJECT_SCHEMA, orient="row")


def rejected(bad: pl.DataFrame, check: Check, file: str) -> pl.DataFrame:
    """The rejects of rows that fail `check`."""
    shown = [pl.col(name).cast(pl.String) for name in check.source] or [pl.lit("")]
    return bad.select(
        pl.lit(file).alias("file"),
        pl.col(LINE).alias("line"),
        pl.lit(check.column).alias("column"),
        pl.concat_str(shown, separator=" | ", ignore_nulls=True).str.slice(0, LONGEST_VALUE).alias("value"),
        pl.lit(check.reason).alias("reason"),
    )


def text_of(source: ColumnSource, schema: pl.Schema, wanted: TableFormat) -> pl.Expr:
    """Text of one column, of several joined, or the constant."""
    if source.constant is not None:
        return pl.lit(source.constant)
    parts = [parsing.text(name, schema[name], wanted.missing) for name in source.columns]
    value = parts[0] if len(parts) == 1 else pl.concat_str(parts, separator=source.separator)
    return value if source.if_missing is None else value.fill_null(source.if_missing)


def no_value(names: Sequence[str], schema: pl.Schema, wanted: TableFormat) -> pl.Expr:
    """True where all these source columns are empty."""
    return pl.all_horizontal(parsing.text(name, schema[name], wanted.missing).is_null() for name in names)


def number_of(source: ColumnSource, schema: pl.Schema, wanted: TableFormat) -> pl.Expr:
    """Number of the first column, or the constant."""
    if source.constant is not None:
        return pl.lit(float(source.constant), pl.Float64)
    return parsing.number(source.columns[0], schema[source.columns[0]], wanted)


def required(column: str, source: ColumnSource) -> Check:
    """The parsed value must be there."""
    return Check(column, source.columns, pl.col(PARSED + column).is_null(), "missing")
