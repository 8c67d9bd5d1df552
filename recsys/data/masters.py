"""Products and customers: typed tables read from their own source, or derived from the transactions' columns."""

from collections import Counter
from dataclasses import dataclass, field, replace

import polars as pl

from recsys.data import columns as c
from recsys.data import parsing
from recsys.data.coding import IdCodes
from recsys.data.columns import ACQUISITION_COST, OPT_OUT
from recsys.data.mapping import ColumnSource, TableFormat, TableSource
from recsys.data.readers.chunk import Chunk
from recsys.data.validate import (
    PARSED,
    Check,
    Checked,
    Plan,
    check_chunk,
    no_value,
    number_of,
    rejected,
    required,
    text_of,
)

KINDS = {
    c.PRICE: "number",
    c.UNIT_COST: "number",
    c.AVAILABLE_FROM: "instant",
    c.AVAILABLE_UNTIL: "instant",
    c.OFFERABLE: "bool",
    ACQUISITION_COST: "number",
}
"""Types of the contract's columns; all others of the contract are texts."""

REASONS = {
    "number": "not a number (decimal comma and thousands marks are declared by `decimal`, `thousands`)",
    "bool": "neither yes nor no",
    "instant": "not an instant (other forms than ISO 8601 are declared by `time_format`)",
}


def kind_of(name: str, source: ColumnSource, table: TableSource, schema: pl.Schema) -> str:
    """`text`, `number`, `bool` or `instant`: that of the contract, the declared one, or that of the source."""
    if name in table.columns:
        return KINDS.get(name, "text")
    if name.startswith(OPT_OUT) and name.removeprefix(OPT_OUT) in table.opt_outs:
        return "bool"
    if source.type != "auto" or not source.columns:
        return source.type if source.type != "auto" else "text"
    dtype = schema[source.columns[0]]
    return "bool" if dtype == pl.Boolean else "number" if dtype.is_numeric() else "text"


def value_of(kind: str, source: ColumnSource, schema: pl.Schema, wanted: TableFormat, zone: str) -> pl.Expr:
    """Typed value: texts as String, numbers as Float64, bools as Boolean, instants as Int64 [s]."""
    if kind == "number":
        return number_of(source, schema, wanted)
    if kind == "text" or source.constant is not None:
        value = text_of(source, schema, wanted)
        return parsing.truth_of(value) if kind == "bool" else value
    column = source.columns[0]
    if kind == "bool":
        return parsing.truth(column, schema[column])
    return parsing.seconds(column, schema[column], wanted, wanted.zone or zone)


@dataclass(slots=True)
class MasterChecks:
    """Checks the chunks of a products or customers source; an id counts once, the first row wins."""

    table: TableSource
    id_column: str
    zone: str
    ids: IdCodes = field(default_factory=IdCodes)

    def check(self, chunk: Chunk) -> Checked:
        """Clean rows under `=name`, and rejects: no id, an id that came before, a value that can't be read."""
        schema = chunk.frame.schema
        wanted = self.table.format
        wanted = replace(wanted, decimal=wanted.decimal or chunk.read_as.get("decimal", "."))
        sources = self.table.all_columns()
        kinds = {name: kind_of(name, source, self.table, schema) for name, source in sources.items()}
        parsed = {name: value_of(kinds[name], source, schema, wanted, self.zone) for name, source in sources.items()}
        checks = [required(self.id_column, sources[self.id_column])]
        for name, source in sources.items():
            if kinds[name] != "text" and source.columns:
                unread = pl.col(PARSED + name).is_null() & ~no_value(source.columns, schema, wanted)
                checks.append(Check(name, source.columns, unread, REASONS[kinds[name]]))
        return self._first_of_each(check_chunk(chunk, Plan(parsed, tuple(checks))), chunk.file)

    def _first_of_each(self, checked: Checked, file: str) -> Checked:
        seen = len(self.ids)
        codes = self.ids.codes(checked.clean[PARSED + self.id_column])
        known = (codes < seen) | ~codes.is_first_distinct()
        check = Check(
            self.id_column, self.table.columns[self.id_column].columns, pl.lit(value=True), f"repeated {self.id_column}"
        )
        rejects = pl.concat([checked.rejects, rejected(checked.clean.filter(known), check, file)]).sort("line")
        return Checked(checked.clean.filter(~known), rejects, Counter())

    def rows(self, checked: Checked) -> pl.DataFrame:
        """The columns of accepted rows, under their own names."""
        return checked.clean.select(pl.col(PARSED + name).alias(name) for name in self.table.all_columns())


@dataclass(slots=True)
class Derivation:
    """Collects what transactions say of their products or customers: for each id the most frequent value of a column.

    A column with `per` is a total: its value of an id is sum(column) / sum(per) over lines where `per` is positive.
    Ties go to the smaller value.
    """

    table: TableSource
    id_column: str
    zone: str
    counted: dict[str, list[pl.DataFrame]] = field(default_factory=dict)

    def add(self, clean: pl.DataFrame, wanted: TableFormat) -> None:
        """Count the values of accepted transaction rows (source columns)."""
        schema = clean.schema
        sources = self.table.all_columns()
        identity = text_of(sources[self.id_column], schema, wanted).alias("id")
        for name, source in sources.items():
            if source.per:
                counts = _totals(clean, identity, source, schema, wanted)
            else:
                kind = kind_of(name, source, self.table, schema)
                value = value_of(kind, source, schema, wanted, self.zone).alias("value")
                counts = clean.select(identity, value).group_by("id", "value").len("n").cast({"n": pl.Int64})
            parts = self.counted.setdefault(name, [])
            parts.append(counts.drop_nulls("id"))
            if len(parts) >= 16:
                self.counted[name] = [_summed(parts)]

    def rows(self) -> pl.DataFrame:
        """One row an id."""
        ids = _summed(self.counted[self.id_column]).select(pl.col("id").alias(self.id_column))
        table = ids.unique().sort(self.id_column)
        for name, source in self.table.all_columns().items():
            if name != self.id_column:
                counts = _summed(self.counted[name])
                best = _ratio(counts) if source.per else _most_frequent(counts)
                table = table.join(best.rename({"id": self.id_column, "value": name}), on=self.id_column, how="left")
        return table.sort(self.id_column)


def _totals(
    clean: pl.DataFrame, identity: pl.Expr, source: ColumnSource, schema: pl.Schema, wanted: TableFormat
) -> pl.DataFrame:
    """Sums as whole ten-thousandths, so that they do not depend on the order of rows."""
    per = source.per or ""
    parts = clean.select(
        identity,
        (number_of(source, schema, wanted) * 1e4).round().cast(pl.Int64, strict=False).alias("total"),
        (parsing.number(per, schema[per], wanted) * 1e4).round().cast(pl.Int64, strict=False).alias("n"),
    )
    return parts.filter(pl.col("n") > 0).drop_nulls().group_by("id").agg(pl.col("total").sum(), pl.col("n").sum())


def _summed(parts: list[pl.DataFrame]) -> pl.DataFrame:
    whole = pl.concat(parts, how="vertical_relaxed")
    sums = [name for name in ("total", "n") if name in whole.columns]
    return whole.group_by([name for name in whole.columns if name not in sums]).agg(pl.col(sums).sum())


def _most_frequent(counts: pl.DataFrame) -> pl.DataFrame:
    ranked = counts.drop_nulls("value").sort("n", "value", descending=[True, False])
    return ranked.unique("id", keep="first", maintain_order=True).select("id", "value")


def _ratio(counts: pl.DataFrame) -> pl.DataFrame:
    return counts.select("id", (pl.col("total") / pl.col("n")).alias("value"))
