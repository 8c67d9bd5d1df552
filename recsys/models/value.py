"""The value model: what a customer is expected to spend and how often to order within the horizon."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np

from recsys.models.bundle import Bundle, BundleContent, Part
from recsys.models.intervals import IntervalBins
from recsys.models.links import apply_link
from recsys.models.reading import expect_name, named, part_of
from recsys.models.rows import Floats, Rows
from recsys.models.spec import FeatureSpec

LEVELS = (0.5, 0.8, 0.95)
"""Probabilities that intervals are made for."""


def band_name(part: str, level: float) -> str:
    """Name of an interval table in a bundle: `orders 95%`."""
    return f"{part} {level:.0%}"


class Expected(NamedTuple):
    """Predictions (n,): spend, low and high [minor units], orders [count]; all ≥ 0."""

    spend: Floats
    orders: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class ValueModel:
    """Scores customers; rows are customer features.

    spend, orders  scorers with link and scale; a prediction below 0 counts as 0
    intervals      where the spend will fall with probability `intervals.level`
    version        the registry's version and the digest, as the loader names them
    bands          tables by `band_name(part, level)` for spend and orders at LEVELS; empty in older bundles
    """

    feature_spec: FeatureSpec
    spend: Part
    orders: Part
    intervals: IntervalBins
    facts: Mapping[str, Any]
    version: str
    bands: Mapping[str, IntervalBins] = field(default_factory=dict)

    @classmethod
    def from_bundle(cls, bundle: Bundle, version: str) -> Self:
        """Raises: BundleError if the bundle is no value bundle or lacks something."""
        expect_name(bundle, "value")
        content = bundle.content
        intervals = named(content.intervals, "spend", "interval table")
        parts = part_of(bundle, "spend"), part_of(bundle, "orders")
        return cls(content.spec, *parts, intervals, content.facts, version, content.intervals)

    @property
    def growth_exponent(self) -> float:
        """How much faster than the classic's expectation purchases really grew with the horizon, see `carried`."""
        return float(self.facts.get("growth_exponent", 0.0))

    @property
    def horizon_days(self) -> int:
        """The predictions are about this many days after `as_of` [days]."""
        return self.feature_spec.horizon_days

    def expected(self, X: Rows) -> Expected:
        """Spend with its interval, and orders, within the horizon for rows (n, f)."""
        spend = predicted(self.spend, X)
        low, high = self.intervals.apply(spend)
        return Expected(spend, predicted(self.orders, X), np.maximum(low, 0.0), np.maximum(high, 0.0))

    def band(self, X: Rows, part: str, level: float) -> tuple[Floats, Floats]:
        """(low, high) of `part` (`spend` [minor units] or `orders`) for rows (n, f): holds with probability `level`.

        Raises:
            BundleError: the bundle has no such table.
        """
        table = named(self.bands, band_name(part, level), "interval table")
        low, high = table.apply(predicted(self.spend if part == "spend" else self.orders, X))
        return np.maximum(low, 0.0), np.maximum(high, 0.0)

    def contributions(self, X: Rows) -> Floats:
        """What each feature added to the raw spend score, (n, f + 1), the last column the bias."""
        return self.spend.scorer.contributions(X)


def predicted(part: Part, X: Rows) -> Floats:
    """Scale · link(raw) · offset (n,) of rows (n, f), at least 0; training fits `IntervalBins` on the same numbers."""
    values: Floats = np.maximum(apply_link(part.scorer.raw(X), part.link, part.scale), 0.0)
    if part.offset:
        values = values * np.asarray(X[:, part.scorer.feature_names.index(part.offset)], np.float64)
    return values


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
    intervals: IntervalBins,
    bands: Mapping[str, IntervalBins] | None = None,
    facts: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> BundleContent:
    """What a value bundle consists of; spend in minor units; `bands` by `band_name`."""
    return BundleContent(
        name="value",
        spec=spec,
        parts={"spend": spend, "orders": orders},
        intervals={"spend": intervals, **(bands or {})},
        facts=facts or {},
        metrics=metrics or {},
    )
