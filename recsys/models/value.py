"""The value model: what a customer is expected to spend and how often to order within the horizon."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numba
import numpy as np
import numpy.typing as npt

from recsys.models.bundle import Bundle, BundleContent, Part
from recsys.models.forest import Forest
from recsys.models.intervals import IntervalBins
from recsys.models.links import CODES, apply_link, linked
from recsys.models.predictive import PROBABILITIES, Fitted, Predictive, quantiles_of
from recsys.models.reading import expect_name, named, part_of
from recsys.models.rows import Floats, Rows
from recsys.models.small_trees import SmallTrees, no_trees, raw_of, small_trees
from recsys.models.spec import FeatureSpec

PREDICTIVE = "predictive"
"""Name of the fact that holds `Predictive.to_json()`."""

PREDICTIVE_FEATURES = ("pareto_alive", "purchase_days")
"""Features that the distribution reads beside the forecasts."""

ENDS = (0.1, 0.9)
"""Probabilities of the ends of the interval of `Expected`."""

FORETOLD = 2 + 2 * len(PROBABILITIES)
"""Numbers of `foretold_row`."""

_LOW_AT, _HIGH_AT = (2 + len(PROBABILITIES) + PROBABILITIES.index(end) for end in ENDS)


class Expected(NamedTuple):
    """Predictions (n,): spend and the ends of its 80% interval [minor units], orders [count]; all ≥ 0."""

    spend: Floats
    orders: Floats
    low: Floats
    high: Floats


class Outlook(NamedTuple):
    """Quantiles of orders [count] and spend [minor units], each (n, probabilities asked for)."""

    orders: Floats
    spend: Floats


class Forecast(NamedTuple):
    """`Expected` and `Outlook` of one customer at PROBABILITIES; `counts` of orders and `amounts` may be unknown."""

    spend: float
    orders: float
    low: float
    high: float
    counts: list[float] | None
    amounts: list[float] | None


class RowTables(NamedTuple):
    """A value model of small trees as one kernel takes it: forests, distribution, and what raw scores mean.

    ways     float64 (2, 4)  of spend and of orders: code of the link, scale, column of the offset, its power (0: none)
    columns  int64 (2,)      of PREDICTIVE_FEATURES
    asked    float64         PROBABILITIES
    """

    spend: SmallTrees
    orders: SmallTrees
    fitted: Fitted
    ways: Floats
    columns: npt.NDArray[np.int64]
    asked: Floats


@dataclass(frozen=True, slots=True)
class ValueModel:
    """Scores customers; rows are customer features.

    spend, orders  scorers with link and scale; a prediction below 0 counts as 0
    intervals      where the spend will fall with probability `intervals.level`; only where `predictive` is missing
    version        the registry's version and the digest, as the loader names them
    predictive     what may happen beside what is expected; None in older bundles
    tiers          expected spend at which the next value tier begins, ascending [minor units]; () in older bundles
    growth_exponent  how much faster than the classic's expectation purchases grew with the horizon, see `carried`
    tables         as the kernel of one row takes it; None where it is not made for the model
    """

    feature_spec: FeatureSpec
    spend: Part
    orders: Part
    intervals: IntervalBins | None
    facts: Mapping[str, Any]
    version: str
    predictive: Predictive | None = None
    tiers: tuple[float, ...] = field(init=False)
    growth_exponent: float = field(init=False)
    tables: RowTables | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read once what every answer needs."""
        object.__setattr__(self, "tiers", tuple(float(each) for each in self.facts.get("tiers", ())))
        object.__setattr__(self, "growth_exponent", float(self.facts.get("growth_exponent", 0.0)))
        object.__setattr__(self, "tables", row_tables(self))

    @classmethod
    def from_bundle(cls, bundle: Bundle, version: str) -> Self:
        """Raises: BundleError if the bundle is no value bundle or lacks something."""
        expect_name(bundle, "value")
        content = bundle.content
        parts = part_of(bundle, "spend"), part_of(bundle, "orders")
        if PREDICTIVE in content.facts:
            predictive = Predictive.from_json(content.facts[PREDICTIVE])
            return cls(content.spec, *parts, None, content.facts, version, predictive)
        intervals = named(content.intervals, "spend", "interval table")
        return cls(content.spec, *parts, intervals, content.facts, version)

    @property
    def horizon_days(self) -> int:
        """The predictions are about this many days after `as_of` [days]."""
        return self.feature_spec.horizon_days

    def expected(self, X: Rows, longer: Floats | float = 1.0) -> Expected:
        """Spend with its 80% interval, and orders, within the horizon for rows (n, f), carried on by `longer` (n,)."""
        return self.foretold(X, longer, ENDS)[0]

    def foretold(
        self, X: Rows, longer: Floats | float = 1.0, probabilities: Sequence[float] = PROBABILITIES
    ) -> tuple[Expected, Outlook | None]:
        """`expected` and `outlook` at once, the same bits: the trees are asked once; `probabilities` hold ENDS."""
        spend, orders = predicted(self.spend, X), predicted(self.orders, X)
        if self.predictive is None:
            assert self.intervals is not None  # a bundle has one of the two
            low, high = (np.maximum(each, 0.0) * longer for each in self.intervals.apply(spend))
            return Expected(spend * longer, orders * longer, low, high), None
        outlook = self._quantiles(self.predictive, X, orders, spend, longer, probabilities)
        low, high = (outlook.spend[:, probabilities.index(end)] for end in ENDS)
        return Expected(spend * longer, orders * longer, low, high), outlook

    def foretold_one(self, row: npt.NDArray[np.float32]) -> Forecast:
        """`foretold` of one customer's row (f,): the same bits by one kernel, or by those of many rows."""
        if self.tables is not None:
            found = np.empty(FORETOLD)
            foretold_row(row, self.tables, found)
            spend, orders, *quantiles = told = found.tolist()
            n = len(PROBABILITIES)
            return Forecast(spend, orders, told[_LOW_AT], told[_HIGH_AT], quantiles[:n], quantiles[n:])
        expected, outlook = self.foretold(row.reshape(1, -1))
        spend, orders, low, high = (float(each[0]) for each in expected)
        if outlook is None:
            return Forecast(spend, orders, low, high, None, None)
        return Forecast(spend, orders, low, high, outlook.orders[0].tolist(), outlook.spend[0].tolist())

    def outlook(
        self, X: Rows, longer: Floats | float = 1.0, probabilities: Sequence[float] = PROBABILITIES
    ) -> Outlook | None:
        """Quantiles for rows (n, f), carried on by `longer` (n,); None where the bundle has no distribution."""
        if self.predictive is None:
            return None
        orders, spend = predicted(self.orders, X), predicted(self.spend, X)
        return self._quantiles(self.predictive, X, orders, spend, longer, probabilities)

    def _quantiles(
        self,
        predictive: Predictive,
        X: Rows,
        orders: Floats,
        spend: Floats,
        longer: Floats | float,
        probabilities: Sequence[float],
    ) -> Outlook:
        alive, days = (
            np.asarray(X[:, self.feature_spec.names.index(name)], np.float64) for name in PREDICTIVE_FEATURES
        )
        return Outlook(*predictive.quantiles(orders, spend, alive, days, longer, probabilities))

    def contributions(self, X: Rows) -> Floats:
        """What each feature added to the raw spend score, (n, f + 1), the last column the bias."""
        return self.spend.scorer.contributions(X)


def row_tables(model: ValueModel | None) -> RowTables | None:
    """What the kernel of one row takes; of no model tables without trees, None for one it is not made for."""
    if model is None:
        nothing = Fitted(np.zeros(4), np.zeros(3), np.zeros(3), np.zeros(0), np.zeros((0, 0)))
        return RowTables(no_trees(), no_trees(), nothing, np.zeros((2, 4)), np.zeros(2, np.int64), np.zeros(0))
    names, parts = model.feature_spec.names, (model.spend, model.orders)
    spend, orders = (small_trees(part.scorer) if isinstance(part.scorer, Forest) else None for part in parts)
    if model.predictive is None or spend is None or orders is None:
        return None
    ways = [
        (CODES[part.link], part.scale, names.index(part.offset) if part.offset else 0, part.power if part.offset else 0)
        for part in parts
    ]
    columns = np.array([names.index(name) for name in PREDICTIVE_FEATURES])
    asked = np.array(PROBABILITIES)
    return RowTables(spend, orders, model.predictive.arrays(), np.array(ways), columns, asked)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def foretold_row(row: Any, tables: RowTables, out: Any) -> None:
    """Spend, orders, then the quantiles asked for of orders and of spend, of one row (f,) into `out` (FORETOLD,)."""
    n, ways, columns = tables.asked.size, tables.ways, tables.columns
    out[0] = _predicted_row(row, tables.spend, ways[0])
    out[1] = _predicted_row(row, tables.orders, ways[1])
    alive, days = np.float64(row[columns[0]]), np.float64(row[columns[1]])
    quantiles_of(out[1], out[0], alive, days, 1.0, tables.asked, tables.fitted, out[2 : 2 + n], out[2 + n : 2 + 2 * n])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def foretold_ends(found: Any) -> Any:
    """Ends of the 80% interval of spend among what `foretold_row` found."""
    return found[_LOW_AT], found[_HIGH_AT]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _predicted_row(row: Any, trees: SmallTrees, way: Any) -> Any:
    """`predicted` of one row."""
    value = linked(raw_of(row, trees), int(way[0]), way[1])
    value = max(value, 0.0)
    if way[3] == 0.0:
        return value
    offset = np.float64(row[int(way[2])])
    return value * (offset if way[3] == 1.0 else math.pow(offset, way[3]))


def predicted(part: Part, X: Rows) -> Floats:
    """Scale · link(raw) · offset^power (n,) of rows (n, f), at least 0; training fits on the same numbers."""
    values: Floats = np.maximum(apply_link(part.scorer.raw(X), part.link, part.scale), 0.0)
    if part.offset:
        column = np.ascontiguousarray(X[:, part.scorer.feature_names.index(part.offset)], np.float64)
        values = values * (column if part.power == 1.0 else _powers(column, part.power))
    return values


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _powers(values: Any, power: float) -> Any:
    """One scalar power per element: numpy's vectorised one may differ in the last bit with the array's length."""
    out = np.empty(len(values))
    for i in range(len(values)):
        out[i] = math.pow(values[i], power)
    return out


def carrying(exponent: float, short: float, long: float) -> tuple[float, float]:
    """What growth is multiplied by, and the most it may become, see `carried`."""
    limit = long / short
    return limit**exponent, max(limit, 1.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def carried_one(growth: float, times: float, most: float) -> float:
    """`carried` of one customer; `times` and `most` from `carrying`."""
    grown = growth * times
    return most if most < grown else grown


def carried(growth: Floats | float, exponent: float, short: float, long: float) -> Floats:
    """Growth from `short` to `long` days (n,): the classic's, times (long / short)^exponent, at most proportional."""
    limit = long / short
    values: Floats = np.minimum(np.asarray(growth, np.float64) * limit**exponent, max(limit, 1.0))
    return values


def value_content(
    spec: FeatureSpec,
    *,
    spend: Part,
    orders: Part,
    intervals: IntervalBins | None = None,
    predictive: Predictive | None = None,
    facts: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> BundleContent:
    """What a value bundle consists of; spend in minor units; `predictive`, or where it is missing `intervals`."""
    told = {} if predictive is None else {PREDICTIVE: predictive.to_json()}
    return BundleContent(
        name="value",
        spec=spec,
        parts={"spend": spend, "orders": orders},
        intervals={} if intervals is None else {"spend": intervals},
        facts={**(facts or {}), **told},
        metrics=metrics or {},
    )
