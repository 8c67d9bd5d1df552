"""The plan of the transactions table: how source columns become clean purchase lines, and what is wrong or odd."""

from dataclasses import dataclass, replace

import polars as pl

from recsys.data import columns as c
from recsys.data import parsing
from recsys.data.coding import IdCodes
from recsys.data.mapping import LINE_ID, ColumnSource, Mapping, TableFormat
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

LARGEST_QUANTITY = 1e9
LARGEST_MONEY = 10**15
LARGEST_DISCOUNT = 2**31 - 1

NOT_A_NUMBER = "not a number (decimal comma and thousands marks are declared by `decimal`, `thousands`)"
NOT_AN_INSTANT = "not an instant (other forms than ISO 8601 are declared by `time_format`)"
REPEATED = "repeated line_id"

CLEAN_COLUMNS = (
    c.CUSTOMER,
    c.PRODUCT,
    c.ORDER,
    c.STORE,
    c.CHANNEL,
    c.TIME,
    c.QUANTITY,
    c.AMOUNT,
    c.DISCOUNT,
)


@dataclass(slots=True)
class TransactionChecks:
    """Checks the chunks of one transactions source, one after the other.

    `now` [s]: a purchase after it can't be true. `line_ids` remembers the ids seen.
    """

    mapping: Mapping
    now: int
    line_ids: IdCodes

    def check(self, chunk: Chunk) -> Checked:
        """Clean rows under `CLEAN_COLUMNS` (prefixed), rejects and oddities of a chunk."""
        wanted = self.mapping.transactions.format
        wanted = replace(wanted, decimal=wanted.decimal or chunk.read_as.get("decimal", "."))
        checked = check_chunk(chunk, transactions_plan(self.mapping, chunk.frame.schema, wanted, self.now))
        return self._without_repeated(checked, chunk, wanted)

    def _without_repeated(self, checked: Checked, chunk: Chunk, wanted: TableFormat) -> Checked:
        """Rejects good rows whose line id an earlier good row had."""
        source = self.mapping.transactions.columns.get(LINE_ID)
        if source is None:
            return checked
        ids = checked.clean.select(text_of(source, chunk.frame.schema, wanted).alias("id")).to_series()
        seen = len(self.line_ids)
        codes = self.line_ids.codes(ids)
        known = codes.is_not_null() & ((codes < seen) | ~codes.is_first_distinct())
        check = Check(LINE_ID, source.columns, pl.lit(value=True), REPEATED)
        rejects = pl.concat([checked.rejects, rejected(checked.clean.filter(known), check, chunk.file)])
        return Checked(checked.clean.filter(~known), rejects.sort("line"), checked.oddities)


def transactions_plan(mapping: Mapping, schema: pl.Schema, wanted: TableFormat, now: int) -> Plan:
    """Expressions and checks for chunks of this schema."""
    sources = mapping.transactions.columns
    digits = mapping.business.minor_digits
    parsed = _texts(sources, schema, wanted)
    parsed[c.TIME] = _instant(sources[c.TIME], schema, wanted, mapping)
    parsed[c.QUANTITY] = _quantity(sources, schema, wanted).cast(pl.Float32)
    parsed[c.AMOUNT] = _amount(sources, schema, wanted, digits)
    parsed[c.DISCOUNT] = _discount(sources, schema, wanted, digits)
    checks = [required(c.CUSTOMER, sources[c.CUSTOMER])]
    checks += _time_checks(sources[c.TIME], schema, wanted, now)
    checks.append(required(c.PRODUCT, sources[c.PRODUCT]))
    checks += _number_checks(sources, schema, wanted)
    return Plan(parsed, tuple(checks), _oddities(sources, schema, wanted, digits))


def _texts(sources: dict[str, ColumnSource], schema: pl.Schema, wanted: TableFormat) -> dict[str, pl.Expr]:
    names = (c.CUSTOMER, c.PRODUCT, c.ORDER, c.STORE, c.CHANNEL)
    return {
        name: text_of(sources[name], schema, wanted) if name in sources else pl.lit(None, pl.String) for name in names
    }


def _instant(source: ColumnSource, schema: pl.Schema, wanted: TableFormat, mapping: Mapping) -> pl.Expr:
    zone = wanted.zone or mapping.business.timezone
    if len(source.columns) == 1:
        return parsing.seconds(source.columns[0], schema[source.columns[0]], wanted, zone)
    joined = text_of(source, schema, wanted)
    return parsing.seconds_of_text(joined, wanted, zone)


def _time_checks(source: ColumnSource, schema: pl.Schema, wanted: TableFormat, now: int) -> list[Check]:
    time = pl.col(PARSED + c.TIME)
    return [
        Check(c.TIME, source.columns, no_value(source.columns, schema, wanted), "missing"),
        Check(c.TIME, source.columns, time.is_null(), NOT_AN_INSTANT),
        Check(c.TIME, source.columns, time < 0, "before 1970"),
        Check(c.TIME, source.columns, time > now, "in the future"),
    ]


def _quantity(sources: dict[str, ColumnSource], schema: pl.Schema, wanted: TableFormat) -> pl.Expr:
    return number_of(sources[c.QUANTITY], schema, wanted) if c.QUANTITY in sources else pl.lit(1.0, pl.Float64)


def _amount(sources: dict[str, ColumnSource], schema: pl.Schema, wanted: TableFormat, digits: int) -> pl.Expr:
    if c.AMOUNT not in sources:
        return pl.lit(0, pl.Int64)
    value = number_of(sources[c.AMOUNT], schema, wanted)
    if sources[c.AMOUNT].unit_price:
        value = value * _quantity(sources, schema, wanted)
    return parsing.minor_units(value, digits)


def _signed_discount(sources: dict[str, ColumnSource], schema: pl.Schema, wanted: TableFormat) -> pl.Expr:
    """Sum of the discount columns in major units, empty ones counting nothing; a discount is positive."""
    source = sources[c.DISCOUNT]
    parts = [parsing.number(name, schema[name], wanted).fill_null(0.0) for name in source.columns]
    total = pl.sum_horizontal(parts) if parts else pl.lit(float(source.constant or 0), pl.Float64)
    return -total if source.negative else total


def _discount(sources: dict[str, ColumnSource], schema: pl.Schema, wanted: TableFormat, digits: int) -> pl.Expr:
    if c.DISCOUNT not in sources:
        return pl.lit(0, pl.Int32)
    minor = parsing.minor_units(_signed_discount(sources, schema, wanted), digits)
    return minor.clip(0, LARGEST_DISCOUNT + 1).cast(pl.Int32, strict=False)


def _number_checks(sources: dict[str, ColumnSource], schema: pl.Schema, wanted: TableFormat) -> list[Check]:
    checks = []
    for name, largest in ((c.QUANTITY, LARGEST_QUANTITY), (c.AMOUNT, LARGEST_MONEY)):
        if name not in sources or sources[name].constant is not None:
            continue
        used, value = sources[name].columns, pl.col(PARSED + name)
        checks += [
            Check(name, used, no_value(used, schema, wanted), "missing"),
            Check(name, used, value.is_null(), NOT_A_NUMBER),
            Check(name, used, value.abs() > largest, "too large to be true"),
        ]
    if c.DISCOUNT in sources:
        for column in sources[c.DISCOUNT].columns:
            unread = parsing.number(column, schema[column], wanted).is_null() & ~no_value((column,), schema, wanted)
            checks.append(Check(c.DISCOUNT, (column,), unread, NOT_A_NUMBER))
        checks.append(
            Check(
                c.DISCOUNT, sources[c.DISCOUNT].columns, pl.col(PARSED + c.DISCOUNT).is_null(), "too large to be true"
            )
        )
    return checks


def _oddities(
    sources: dict[str, ColumnSource], schema: pl.Schema, wanted: TableFormat, digits: int
) -> dict[str, pl.Expr]:
    quantity, amount = pl.col(PARSED + c.QUANTITY), pl.col(PARSED + c.AMOUNT)
    odd: dict[str, pl.Expr] = {}
    if c.QUANTITY in sources:
        odd |= {"returns": quantity < 0, "zero_quantities": quantity == 0}
    if c.AMOUNT in sources:
        odd |= {"zero_prices": (amount == 0) & (quantity > 0), "negative_amounts": (amount < 0) & (quantity > 0)}
    if c.DISCOUNT in sources:
        odd["negative_discounts"] = _signed_discount(sources, schema, wanted) < -0.5 * 10.0**-digits
    time = sources[c.TIME].columns
    if len(time) == 1:
        odd["own_offsets"] = parsing.has_offset(time[0], schema[time[0]])
        odd["milliseconds"] = parsing.is_milliseconds(time[0], schema[time[0]], wanted)
    return odd


def clean_lines(checked: Checked) -> pl.DataFrame:
    """The contract columns of accepted rows, under their own names."""
    frame = checked.clean.select(pl.col(PARSED + name).alias(name) for name in CLEAN_COLUMNS)
    return frame.with_columns(pl.col(c.TIME).cast(pl.Int64))
