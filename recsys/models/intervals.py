"""Intervals around a predicted amount: quantiles of what really happened to customers with a similar prediction.

Mondrian conformal bins (Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005, section 4.5): bins of
the prediction of equal mass; in each, order statistics of the actual amount with the finite-sample rule of conformal
prediction. Between the middles of the bins low and high are interpolated, so that the interval has no jumps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from recsys.errors import BundleError, NotEnoughData
from recsys.models.calibration import interpolate, rises
from recsys.models.rows import Floats

MIN_ROWS = 100
"""Fewest rows of a bin: the tails of an 80% interval then rest on ten rows each."""

MAX_BINS = 25
"""Most bins; finer ones follow noise."""

NEAR_ZERO = 0.02
"""Predictions below this share of the mean prediction count as this share: a ratio to nearly 0 means nothing."""

SMALLEST = 1e-6
"""Where all predictions are smaller they are taken for 0."""


@dataclass(frozen=True, slots=True, eq=False)
class IntervalBins:
    """`low` and `high` at the knots `x` of the prediction, all rising; the interval holds with probability `level`.

    Between knots both are interpolated; below the first they stay, above the last they grow in proportion.
    """

    x: Floats
    low: Floats
    high: Floats
    level: float

    @classmethod
    def fit(cls, predicted: npt.ArrayLike, actual: npt.ArrayLike, level: float = 0.8) -> Self:
        """Fit on held-out rows: predictions (n,) ≥ 0 and actual amounts (n,).

        Within a bin the actual is scaled by the middle prediction ÷ own prediction (both at least near zero), so that
        a bin may be wide. Its knot is at the middle; the lowest bin has one near zero too.

        Raises:
            NotEnoughData: fewer than `MIN_ROWS` rows.
        """
        predicted, actual = np.asarray(predicted, dtype=np.float64), np.asarray(actual, dtype=np.float64)
        if len(predicted) < MIN_ROWS:
            raise NotEnoughData("Too few rows for intervals", found=len(predicted), expected=f"at least {MIN_ROWS}")
        order = np.lexsort((actual, predicted))
        mean = float(np.mean(predicted))
        floor = NEAR_ZERO * mean if mean > SMALLEST else 0.0
        knots = [
            _knot(predicted[rows], actual[rows], level, floor)
            for rows in np.array_split(order, min(len(order) // MIN_ROWS, MAX_BINS))
        ]
        if 0 < floor < knots[0][0]:
            share = floor / knots[0][0]
            knots.insert(0, (floor, share * knots[0][1], share * knots[0][2]))
        x, low, high = _merge(np.array(knots))
        return cls(x, low, high, level)

    def apply(self, predicted: npt.ArrayLike) -> tuple[Floats, Floats]:
        """(low, high), each (n,), for predictions (n,)."""
        values = np.ascontiguousarray(predicted, dtype=np.float64)
        beyond = np.maximum(values / self.x[-1], 1.0) if self.x[-1] > SMALLEST else np.ones(len(values))
        low, high = interpolate(values, self.x, self.low), interpolate(values, self.x, self.high)
        return low * beyond, np.maximum(low, high) * beyond

    def to_json(self) -> dict[str, Any]:
        """As stored in a bundle."""
        return {"level": self.level, "x": self.x.tolist(), "low": self.low.tolist(), "high": self.high.tolist()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read `to_json()`.

        Raises:
            BundleError: damaged.
        """
        try:
            x, low, high = (np.array(stored[key], dtype=np.float64) for key in ("x", "low", "high"))
            level = float(stored["level"])
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError("An interval table is damaged", found=f"{type(error).__name__}: {error}") from error
        if not (rises(x, low) and rises(x, high) and np.all(low <= high) and 0 < level < 1):
            raise BundleError("An interval table is damaged", expected="rising knots with low ≤ high")
        return cls(x, low, high, level)


def _knot(predicted: Floats, actual: Floats, level: float, floor: float) -> tuple[float, float, float]:
    """Middle prediction of a bin with the low and high quantile of the actual there."""
    middle = max(float(np.median(predicted)), floor)
    scaled = actual * (middle / np.maximum(predicted, floor)) if floor > 0 else actual
    low, high = central_quantiles(np.sort(scaled), level)
    return middle, low, high


def central_quantiles(ordered: Floats, level: float) -> tuple[float, float]:
    """Two order statistics of an ascending sample (m,) between which a further draw falls with probability ≥ `level`.

    A further draw lies below the k-th smallest of m with probability k/(m + 1). Half the rest is left below; where
    the smallest value repeats (customers who buy nothing), less lies below it and the upper end is taken lower for it.
    """
    size = len(ordered)
    lower = max(int(np.floor((1 - level) / 2 * (size + 1) + 1e-9)), 1)
    low = float(ordered[lower - 1])
    first, last = np.searchsorted(ordered, low, side="left"), np.searchsorted(ordered, low, side="right")
    below = lower if last - first == 1 else int(first)
    upper = int(np.ceil(below + level * (size + 1) - 1e-9))
    return low, float(ordered[min(upper, size) - 1])


def _merge(knots: Floats) -> tuple[Floats, Floats, Floats]:
    """Knots with distinct x, low and high made to rise (isotonic by averaging neighbours that fall)."""
    from sklearn.isotonic import isotonic_regression

    x, first = np.unique(knots[:, 0], return_index=True)
    groups = np.split(knots, first[1:])
    low = np.array([group[:, 1].mean() for group in groups])
    high = np.array([group[:, 2].mean() for group in groups])
    return x, isotonic_regression(low), np.maximum(isotonic_regression(high), isotonic_regression(low))
