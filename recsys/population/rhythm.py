"""Rhythm: how often customers buy, when the next purchase is due, and how long a silence means that one has left."""

import math
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY, ZoneTable
from recsys.data.history import HistoryArrays
from recsys.population.gaps import Gaps, gaps_of

Floats = npt.NDArray[np.float64]

QUANTILES = (0.1, 0.5, 0.9)
"""Of the remaining time, in the columns 1, 2, 3 of the table."""

NODES = np.concatenate([np.arange(0, 2, 0.1), np.arange(2, 4, 0.25), np.arange(4, 10, 1), [10, 12, 16, 24, 32]])
"""Overdue ratios (elapsed / own mean gap) the table holds."""

LEAST_AT_RISK = 10
"""Beyond the ratio that fewer gaps than this have reached, the survival curve goes on as an exponential."""

FARTHEST = 3_650.0
"""No next purchase is announced for later than this [days]."""

WEIGHT_RANGE = (0.5, 50.0)
"""The base's mean counts for at least and at most so many gaps of a customer's own."""


@dataclass(frozen=True, slots=True, eq=False)
class Rhythm:
    """What the base's gaps say.

    mean_gap  collective mean gap, what a customer without a gap of their own gets [days]
    weight    how many gaps of one's own weigh as much as the collective mean
    table     float64 (n_nodes, 4): overdue ratio, and the QUANTILES of the remaining time in own mean gaps
    """

    mean_gap: float
    weight: float
    table: Floats


def fit_rhythm(arrays: HistoryArrays, order_start: npt.NDArray[np.int64], as_of: int, zone: ZoneTable) -> Rhythm:
    """Rhythm of the base at `as_of` [s].

    Each gap is divided by the mean gap its customer was known for when it began (`own_mean_gap` of the gaps before it).
    The Kaplan-Meier curve of these ratios, open gaps right-censored, gives the remaining time at every overdue ratio.
    The k-th gap of a customer weighs 1/k, so that daily buyers don't drown the rest; a weight known when the gap begins
    leaves the estimator consistent (Andersen & Gill 1982, Annals of Statistics 10(4)).
    """
    gaps = gaps_of(arrays, order_start, as_of, zone)
    mean_gap, weight = _credibility(gaps, len(order_start) - 1, _span_days(arrays, as_of))
    ratios = gaps.days / _own_before(gaps, mean_gap, weight)
    place_weight = 1.0 / np.maximum(gaps.place, 1)
    return Rhythm(mean_gap, weight, _remaining(ratios, ~gaps.open, place_weight))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def own_mean_gap(total: float, n_gaps: float, mean_gap: float, weight: float) -> float:
    """A customer's mean gap shrunk to the base's: n_gaps completed gaps of `total` days, and `weight` of `mean_gap`."""
    return (total + mean_gap * weight) / (n_gaps + weight)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def next_purchase(table: Floats, own_gap: float, elapsed: float) -> tuple[float, float, float]:
    """Days from now to the next purchase: 10%, 50% and 90% quantile, for one who bought `elapsed` days ago.

    `table` is `Rhythm.table`, `own_gap` the customer's own mean gap [days]. Linear between the table's overdue ratios,
    constant beyond the last; at most FARTHEST.
    """
    ratio = max(elapsed, 0.0) / own_gap
    last = len(table) - 1
    row = int(np.searchsorted(table[:, 0], ratio, side="right")) - 1
    share = 0.0
    if row >= last:
        row = last - 1
        share = 1.0
    else:
        share = (ratio - table[row, 0]) / (table[row + 1, 0] - table[row, 0])
    low = own_gap * (table[row, 1] + share * (table[row + 1, 1] - table[row, 1]))
    mid = own_gap * (table[row, 2] + share * (table[row + 1, 2] - table[row, 2]))
    high = own_gap * (table[row, 3] + share * (table[row + 1, 3] - table[row, 3]))
    return min(low, FARTHEST), min(mid, FARTHEST), min(high, FARTHEST)


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


def _own_before(gaps: Gaps, mean_gap: float, weight: float) -> Floats:
    """Own mean gap of each row's customer from the gaps before it [days]."""
    running = np.cumsum(gaps.days)
    start = np.flatnonzero(gaps.place == 0)
    before = running - gaps.days
    base = np.repeat(before[start], np.diff(np.append(start, len(gaps.days))))
    own: Floats = ((before - base) + mean_gap * weight) / (gaps.place + weight)
    return own


def _remaining(ratios: Floats, event: npt.NDArray[np.bool_], weight: Floats) -> Floats:
    """The table of `Rhythm`: conditional quantiles of ratio - u given ratio >= u, for u in NODES."""
    times, survival = _kaplan_meier(ratios, event, weight)
    hazard = _tail_hazard(ratios, event, weight, times[-1] / 2 if len(times) else 0.0)
    end, at_end = (times[-1], survival[-1]) if len(times) else (0.0, 1.0)
    table = np.empty((len(NODES), 1 + len(QUANTILES)))
    for row, u in enumerate(NODES):
        place = np.searchsorted(times, u, side="left")
        now = survival[place - 1] if place else 1.0
        table[row, 0] = u
        for column, quantile in enumerate(QUANTILES, 1):
            wanted = (1.0 - quantile) * now
            later = place + np.searchsorted(-survival[place:], -wanted - 1e-12, side="left")
            if later < len(times):
                table[row, column] = times[later] - u
            elif u > end or at_end <= 0.0:
                table[row, column] = -math.log(1.0 - quantile) / hazard
            else:
                table[row, column] = end - u + math.log(at_end / wanted) / hazard
    return table


def _kaplan_meier(ratios: Floats, event: npt.NDArray[np.bool_], weight: Floats) -> tuple[Floats, Floats]:
    """Event times and survival just after each, as far as LEAST_AT_RISK rows reach; Kaplan & Meier (1958)."""
    order = np.argsort(ratios, kind="stable")
    ratios, weight, died = ratios[order], weight[order], (weight * event)[order]
    times, first = np.unique(ratios, return_index=True)
    at_risk = np.cumsum(weight[::-1])[::-1][first]
    deaths = np.add.reduceat(died, first) if len(times) else died
    reached = len(ratios) - first >= min(LEAST_AT_RISK, len(ratios))
    kept = (deaths > 0) & reached
    survival: Floats = np.cumprod(np.maximum(1.0 - deaths[kept] / at_risk[kept], 0.0)).astype(np.float64)
    return times[kept], survival


def _tail_hazard(ratios: Floats, event: npt.NDArray[np.bool_], weight: Floats, start: float) -> float:
    """Events per unit of ratio beyond `start`; over all ratios where there are none; 1 without any event."""
    for begin in (start, 0.0):
        exposure = float((weight * np.maximum(ratios - begin, 0.0)).sum())
        events = float((weight * event)[ratios > begin].sum())
        if events > 0 and exposure > 0:
            return events / exposure
    return 1.0
