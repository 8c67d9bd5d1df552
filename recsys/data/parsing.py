"""Source values → contract values, as polars expressions: texts, numbers, money, instants, yes or no.

Each takes a source column and its type and gives null where there is no value or it can't be read.
"""

import re
from collections.abc import Sequence

import polars as pl

from recsys.data.mapping import TableFormat

ISO_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
ISO_ZONED = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z", "%Y-%m-%dT%H:%M%#z")
"""Instants that carry their own offset (+03:00, +0300, Z)."""

OFFSET_AT_END = r"([zZ]|[+-]\d{2}:?\d{2})$"
EPOCH = ("epoch", "epoch_s", "epoch_ms")
EARLIEST_EPOCH = 1e8
"""A bare number below it (March 1973 in seconds) is taken for a date written as digits, not for an epoch."""

EPOCH_UNITS = ((1e11, 1), (1e14, 1_000), (1e17, 1_000_000), (float("inf"), 1_000_000_000))
"""An epoch below the bound counts in 1/unit seconds: 1e11 s is the year 5138, 1e11 ms is 1973."""

SPACES = r"[\s\u{00a0}\u{202f}\u{2009}'’$€£¥₽]"
"""Removed from numbers: blanks and apostrophes between thousands, currency signs."""

YES = ("true", "t", "yes", "y", "1", "1.0", "on", "да")
NO = ("false", "f", "no", "n", "0", "0.0", "off", "нет")


def text(name: str, dtype: pl.DataType, missing: Sequence[str] = ()) -> pl.Expr:
    """Text without surrounding blanks, null where empty; whole numbers without a decimal point."""
    value = pl.col(name)
    if dtype.is_float():
        whole = (value == value.floor()) & (value.abs() < 2**53)
        value = pl.when(whole).then(value.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(value.cast(pl.String))
    elif dtype == pl.String:
        value = value.str.strip_chars()
    else:
        value = value.cast(pl.String)
    if dtype.is_integer():
        return value if not missing else _present(value, missing)
    return _present(value, ("", *missing))


def _present(value: pl.Expr, missing: Sequence[str]) -> pl.Expr:
    return pl.when(~value.is_in(list(missing))).then(value)


def number(name: str, dtype: pl.DataType, wanted: TableFormat) -> pl.Expr:
    """Float64, null where it is no finite number."""
    if dtype == pl.Boolean or dtype.is_temporal():
        return pl.lit(None, pl.Float64)
    if dtype != pl.String:
        value = pl.col(name).cast(pl.Float64, strict=False)
    else:
        value = _plain_number(pl.col(name), wanted).cast(pl.Float64, strict=False)
    return pl.when(value.is_finite()).then(value + 0.0)


def _plain_number(value: pl.Expr, wanted: TableFormat) -> pl.Expr:
    """Digits with a decimal point, as a program writes them."""
    value = value.str.replace_all(SPACES, "")
    thousands = wanted.thousands.strip()
    if thousands:
        value = value.str.replace_all(thousands, "", literal=True)
    if wanted.decimal == ",":
        pointed = value.str.contains(".", literal=True)
        value = pl.when(~pointed).then(value.str.replace(",", ".", literal=True))
    return value


def minor_units(value: pl.Expr, digits: int) -> pl.Expr:
    """Money in major units → whole minor units [int64], null where it does not fit."""
    return (value * 10.0**digits).round().cast(pl.Int64, strict=False)


def truth(name: str, dtype: pl.DataType) -> pl.Expr:
    """Boolean; null where it is neither yes nor no."""
    return pl.col(name) if dtype == pl.Boolean else truth_of(pl.col(name).cast(pl.String))


def truth_of(value: pl.Expr) -> pl.Expr:
    """Boolean of a text."""
    value = value.str.strip_chars().str.to_lowercase()
    return pl.when(value.is_in(YES)).then(pl.lit(value=True)).when(value.is_in(NO)).then(pl.lit(value=False))


def seconds(name: str, dtype: pl.DataType, wanted: TableFormat, zone: str) -> pl.Expr:
    """Instant as whole seconds since 1970 UTC [int64]; one without an offset of its own is local time of `zone`."""
    if dtype.is_numeric() and not _calendar(wanted):
        return epoch(pl.col(name).cast(pl.Float64, strict=False), _unit(wanted))
    if dtype == pl.Date:
        return _utc(_local(pl.col(name).cast(pl.Datetime("us")), zone))
    if isinstance(dtype, pl.Datetime):
        whole = pl.col(name).dt.cast_time_unit("us")
        return _utc(whole) if dtype.time_zone else _utc(_local(whole, zone))
    return seconds_of_text(pl.col(name).cast(pl.String).str.strip_chars(), wanted, zone)


def _calendar(wanted: TableFormat) -> bool:
    """Whole numbers such as 20171231 are dates when a pattern says so."""
    return bool(wanted.time_format) and not _unit(wanted)


def _unit(wanted: TableFormat) -> str:
    return next((each for each in wanted.time_format if each in EPOCH), "")


def epoch(value: pl.Expr, unit: str = "") -> pl.Expr:
    """Seconds of an epoch number; without a declared unit by its magnitude, and only from `EARLIEST_EPOCH` on."""
    if not unit:
        value = pl.when(value >= EARLIEST_EPOCH).then(value)
    if unit in {"epoch_s", "epoch_ms"}:
        return (value / (1_000 if unit == "epoch_ms" else 1)).floor().cast(pl.Int64, strict=False)
    choices = [pl.when(value.abs() < bound).then((value / divisor).floor()) for bound, divisor in EPOCH_UNITS]
    return pl.coalesce(*choices).cast(pl.Int64, strict=False)


def is_milliseconds(name: str, dtype: pl.DataType, wanted: TableFormat) -> pl.Expr:
    """The value was taken for finer than seconds although no unit is declared."""
    if _calendar(wanted) or _unit(wanted) in {"epoch_s", "epoch_ms"} or dtype.is_temporal():
        return pl.lit(value=False)
    return pl.col(name).cast(pl.Float64, strict=False).abs() >= EPOCH_UNITS[0][0]


def has_offset(name: str, dtype: pl.DataType) -> pl.Expr:
    """The instant carries an offset of its own."""
    if dtype == pl.String:
        value = pl.col(name).str.strip_chars()
        return value.str.contains(OFFSET_AT_END) & value.str.contains(":", literal=True)
    return pl.lit(isinstance(dtype, pl.Datetime) and dtype.time_zone is not None)


def seconds_of_text(value: pl.Expr, wanted: TableFormat, zone: str) -> pl.Expr:
    """Instant written as text, by the declared patterns, else ISO 8601 or an epoch of nine digits and more."""
    if _unit(wanted):
        return epoch(value.cast(pl.Float64, strict=False), _unit(wanted))
    declared = wanted.time_format
    zoned = [each for each in declared if re.search("%[:#]*z", each)] if declared else list(ISO_ZONED)
    naive = [each for each in declared if each not in zoned] if declared else list(ISO_FORMATS)
    candidates = [_utc(value.str.to_datetime(each, time_unit="us", time_zone="UTC", strict=False)) for each in zoned]
    if not declared:
        candidates.append(epoch(value.cast(pl.Float64, strict=False)))
    for each in naive:
        if re.search("%[HIMTRXcs]", each):
            local = value.str.to_datetime(each, time_unit="us", strict=False)
        else:
            local = value.str.to_date(each, strict=False).cast(pl.Datetime("us"))
        candidates.insert(0, _utc(_local(local, zone)))
    return pl.coalesce(candidates)


def _local(value: pl.Expr, zone: str) -> pl.Expr:
    """Local time of `zone` → instant: the earlier of two at the end of summer time, an hour on where it is skipped."""
    if zone == "UTC":
        return value.dt.replace_time_zone("UTC")
    here = value.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    later = (value + pl.duration(hours=1)).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return pl.coalesce(here, later).dt.convert_time_zone("UTC")


def _utc(value: pl.Expr) -> pl.Expr:
    return value.dt.epoch("s")
