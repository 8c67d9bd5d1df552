"""Rhythm: how often customers buy, and how long a silence means that one has left."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY, ZoneTable
from recsys.data.history import HistoryArrays
from recsys.population.gaps import Gaps, gaps_of

Floats = npt.NDArray[np.float64]

WEIGHT_RANGE = (0.5, 50.0)
"""The base's mean counts for at least and at most so many gaps of a customer's own."""


@dataclass(frozen=True, slots=True, eq=False)
class Rhythm:
    """What the base's gaps say.

    mean_gap  collective mean gap, what a customer without a gap of their own gets [days]
    weight    how many gaps of one's own weigh as much as the collective mean
    """

    mean_gap: float
    weight: float


def fit_rhythm(arrays: HistoryArrays, order_start: npt.NDArray[np.int64], as_of: int, zone: ZoneTable) -> Rhythm:
    """Rhythm of the base at `as_of` [s]."""
    gaps = gaps_of(arrays, order_start, as_of, zone)
    return Rhythm(*_credibility(gaps, len(order_start) - 1, _span_days(arrays, as_of)))


def infer_horizon(arrays: HistoryArrays, order_start: npt.NDArray[np.int64], as_of: int, zone: ZoneTable) -> int:
    """Churn horizon from the base's own gaps at `as_of` [s]: a silence that is unusual for nine repeat buyers in ten.

    The 90th percentile, over customers with a completed gap, of their mean gap; rounded up to whole weeks; at least
    7 days, at most a third of the history (in whole weeks if it holds one) [days].
    """
    gaps = gaps_of(arrays, order_start, as_of, zone)
    count, total, _ = _per_customer(gaps, len(order_start) - 1)
    span = _span_days(arrays, as_of)
    if not (count > 0).any():
        return _whole_weeks(span / 3)
    usual = float(np.quantile(total[count > 0] / count[count > 0], 0.9))
    return min(max(7 * math.ceil(usual / 7), 7), _whole_weeks(span / 3))


def default_value_horizon(span_days: float) -> int:
    """Lifetime-value horizon [days]: whole weeks, at most a sixth of the history and 91 days.

    A sixth leaves trees some history to learn from before the windows that calibrate, choose and test.
    """
    return min(_whole_weeks(span_days / 6), 91)


def default_offers_horizon(span_days: float) -> int:
    """Offers horizon [days]: 28, less where the history is shorter than five times that."""
    return min(_whole_weeks(span_days / 5), 28)


def _whole_weeks(days: float) -> int:
    """`days` rounded down to whole weeks; below a week to whole days, at least one."""
    return 7 * int(days // 7) if days >= 7 else max(int(days), 1)


def _span_days(arrays: HistoryArrays, as_of: int) -> float:
    """First order to `as_of` [days]."""
    return float(as_of - arrays.order_time.min()) / DAY if len(arrays.order_time) else 0.0


def _per_customer(gaps: Gaps, customers: int) -> tuple[Floats, Floats, Floats]:
    """Number, sum [days] and sum of squares of each customer's completed gaps, shapes (customers,)."""
    closed = ~gaps.open
    who, days = gaps.customer[closed], gaps.days[closed]
    count, total, squares = (np.bincount(who, each, customers).astype(np.float64) for each in (days**0, days, days**2))
    return count, total, squares


def _credibility(gaps: Gaps, customers: int, span: float) -> tuple[float, float]:
    """Collective mean gap and its weight k = (variance within customers) / (variance between their means).

    Bühlmann & Straub (1970), Glaubwürdigkeit für Schadensätze. Where the gaps don't say, one gap of weight;
    without any gap, the history's length.
    """
    sums = _per_customer(gaps, customers)
    count, total, squares = (each[sums[0] > 0] for each in sums)
    if len(count) == 0:
        return max(span, 1.0), 1.0
    means, everyone = total / count, float(count.sum())
    freedom = everyone - len(count)
    denominator = everyone - float((count**2).sum()) / everyone
    if freedom <= 0 or denominator <= 0:
        return float(means.mean()), 1.0
    within = max(float((squares - count * means**2).sum()), 0.0) / freedom
    spread = float((count * (means - total.sum() / everyone) ** 2).sum())
    between = (spread - (len(count) - 1) * within) / denominator
    weight = min(max(within / between, WEIGHT_RANGE[0]), WEIGHT_RANGE[1]) if between > 0 else WEIGHT_RANGE[1]
    trust = count / (count + weight)
    return float((trust * means).sum() / trust.sum()), float(weight)
