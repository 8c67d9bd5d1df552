"""What is known of customers besides their purchases, as values that can be counted: age 35-44, two children."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from recsys.data.columns import ACQUISITION_COST, CUSTOMER, OPT_OUT
from recsys.errors import RequestRefused

LEAST = 20
"""Customers a value needs: fewer say nothing sure of their like, and a fact of a few would tell of each of them."""
MOST_VALUES = 32
"""Values of one attribute, the most frequent; a column of names or addresses has none that LEAST customers share."""
MOST_ATTRIBUTES = 16
"""Attributes that are read, the first of the table."""
BINS = 6
"""Ranges a number is cut into, equally many customers in each; one with no more values than that is not cut."""

Value = str | float | bool
"""A value as a table or a caller tells it."""
Kind = Literal["text", "number", "truth"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """A column of the customers table: its values, in rows `first … first + len(values) - 1` of the facts.

    `edges` are where the ranges of a number begin, but for the first; without edges a number is a value like a text.
    """

    name: str
    kind: Kind
    first: int
    values: tuple[str, ...]
    edges: tuple[float, ...] = ()

    def row(self, value: Value | None) -> int:
        """Row of `value`, -1 for one that is unknown or too rare."""
        if value is None:
            return -1
        if self.edges:
            number = float(value)
            return -1 if np.isnan(number) else self.first + int(np.searchsorted(self.edges, number, side="right"))
        text = text_of(value)
        return self.first + self.values.index(text) if text in self.values else -1


def text_of(value: Value) -> str:
    """How a value is told."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, int | float) else value


def rows_told(attributes: Sequence[Attribute], told: Mapping[str, Value]) -> npt.NDArray[np.int16]:
    """Rows of the values a caller tells, (n_attributes,), -1 where it tells nothing or something nobody has.

    Raises:
        RequestRefused: a name that is no attribute, or no number where one is needed; no value is repeated.
    """
    known = {attribute.name: attribute for attribute in attributes}
    unknown = sorted(set(told) - set(known))
    if unknown:
        raise RequestRefused(
            "Unknown attribute",
            found=", ".join(unknown),
            expected=", ".join(known) or "none: the imported customers have no attributes",
            cure="Leave it out, or import it with the customers table",
        )
    for name, value in told.items():
        if (known[name].kind == "number") != (isinstance(value, int | float) and not isinstance(value, bool)):
            expected = "a number" if known[name].kind == "number" else "a text, or true or false"
            raise RequestRefused("An attribute of another type", found=name, expected=expected)
    return np.array([each.row(told.get(each.name)) for each in attributes], np.int16)


def read_customers(directory: Path | None) -> dict[str, list[Any]]:
    """Columns of the customers table kept with a snapshot: the ids and at most MOST_ATTRIBUTES attributes; or {}.

    What the service does with a customer (opt-outs, cost of winning) is no attribute; instants are not counted.
    """
    path = directory / "customers.parquet" if directory else None
    if path is None or not path.is_file():
        return {}
    import polars as pl

    table = pl.read_parquet(path)
    names = [
        name
        for name, kind in table.schema.items()
        if name not in (CUSTOMER, ACQUISITION_COST) and not name.startswith(OPT_OUT) and not kind.is_temporal()
    ]
    ids = table[CUSTOMER].cast(pl.String).to_list()
    return {CUSTOMER: ids} | {name: table[name].to_list() for name in names[:MOST_ATTRIBUTES]}


def attributes_of(columns: Mapping[str, Sequence[Any]], counted: npt.NDArray[np.bool_]) -> tuple[Attribute, ...]:
    """Attributes in `columns` with the values that at least LEAST of the `counted` (n_rows,) customers have."""
    found: list[Attribute] = []
    first = 0
    for name, column in columns.items():
        if name == CUSTOMER:
            continue
        values = [value for value, counts in zip(column, counted, strict=True) if counts and value is not None]
        attribute = _attribute(name, first, values)
        if len(attribute.values) > 1:
            found.append(attribute)
            first += len(attribute.values)
    return tuple(found)


def _attribute(name: str, first: int, values: list[Any]) -> Attribute:
    if all(isinstance(value, bool) for value in values):
        return Attribute(name, "truth", first, _frequent(values))
    if all(isinstance(value, int | float) for value in values):
        return _number(name, first, values)
    return Attribute(name, "text", first, _frequent(map(str, values)))


def _frequent(values: Iterable[Value]) -> tuple[str, ...]:
    """The most frequent values that LEAST have, by name."""
    counts = Counter(map(text_of, values))
    ranked = sorted((each for each in counts if counts[each] >= LEAST), key=lambda each: (-counts[each], each))
    return tuple(sorted(ranked[:MOST_VALUES]))


def _number(name: str, first: int, values: list[float]) -> Attribute:
    finite = np.array([value for value in values if np.isfinite(value)], np.float64)
    if len(np.unique(finite)) <= BINS or len(finite) < BINS * LEAST:
        return Attribute(name, "number", first, _frequent(finite.tolist()))
    edges = np.unique(np.quantile(finite, np.arange(1, BINS) / BINS, method="higher"))
    edges = edges[edges > finite.min()]
    places = np.bincount(np.searchsorted(edges, finite, side="right"), minlength=len(edges) + 1)
    if not len(edges) or (places < LEAST).any():
        return Attribute(name, "number", first, _frequent(finite.tolist()))
    labels = [f"< {edges[0]:g}", *(f"{low:g} – {high:g}" for low, high in pairwise(edges))]
    return Attribute(name, "number", first, (*labels, f"≥ {edges[-1]:g}"), tuple(edges.tolist()))
