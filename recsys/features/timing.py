"""When the next purchase of one customer is due, of anything and of each category."""

from typing import Any

import numba
import numpy as np

from recsys.data.clock import DAY, ZoneTable
from recsys.data.history import HistoryArrays
from recsys.population.btyd import Summary, summary
from recsys.population.facts import Base, Timing
from recsys.population.pareto import pareto_living
from recsys.population.timing import EVERY, LEVELS, days_left, days_left_at, pace_of
from recsys.population.visits import category_visits, visits


@numba.njit(cache=True, nogil=True, error_model="numpy")
def next_purchase(h: HistoryArrays, low: int, high: int, as_of: int, zone: ZoneTable, timing: Timing) -> Any:
    """Purchase days so far, instant of the last [s], and quantiles LEVELS of the days from `as_of` [s] to the next one.

    All quantiles are NaN without a purchase so far.
    """
    out = np.full(len(LEVELS), np.nan)
    times = visits(h, low, high, as_of, zone)
    if len(times) == 0:
        return 0, np.int64(0), out
    next_after(times, as_of, timing, EVERY, out)
    return len(times), times[len(times) - 1], out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def next_after(times: Any, as_of: int, timing: Timing, places: Any, out: Any) -> None:
    """Quantiles at the `places` of LEVELS of the days to the next purchase into `out`; `times` [s] of the visits."""
    prior, wait = timing.prior, (as_of - times[len(times) - 1]) / DAY
    pace = pace_of(times, 0, len(times))
    days_left_at(pace, wait, prior[0], prior[1], prior[2], timing.table, places, out)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def next_by_category(
    h: HistoryArrays, low: int, high: int, as_of: int, zone: ZoneTable, timing: Timing, least: int
) -> Any:
    """The same for each category bought on at least `least` days, by category.

    (category int64, purchase days int64, last int64 [s]) (n,), quantiles (n, n_levels).
    """
    of, times = category_visits(h, low, high, as_of, zone, timing.product_category)
    category, bought, last = np.empty(len(of), np.int64), np.empty(len(of), np.int64), np.empty(len(of), np.int64)
    quantiles = np.empty((len(of), len(LEVELS)), np.float64)
    n, start = 0, 0
    while start < len(of):
        end = start + 1
        while end < len(of) and of[end] == of[start]:
            end += 1
        if end - start >= least:
            prior, latest = timing.category_prior[of[start]], times[end - 1]
            category[n], bought[n], last[n] = of[start], end - start, latest
            pace = pace_of(times, start, end)
            wait = (as_of - latest) / DAY
            days_left(pace, wait, prior[0], prior[1], prior[2], timing.category_table, quantiles[n])
            n += 1
        start = end
    return category[:n], bought[:n], last[:n], quantiles[:n]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def growth(
    h: HistoryArrays, low: int, high: int, as_of: int, zone: ZoneTable, base: Base, short: float, long: float
) -> Any:
    """Expected purchases of `long` over those of `short` days by Pareto/NBD: carries a value to a longer horizon."""
    return growth_of(summary(h, low, high, as_of, zone), base, short, long)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def growth_of(own: Summary, base: Base, short: float, long: float) -> Any:
    """`growth` of the customer of `own`."""
    r, alpha, s, beta = base.btyd[7], base.btyd[8], base.btyd[9], base.btyd[10]
    near = pareto_living(r, alpha, s, beta, float(own.x), own.T, short)
    if near <= 0:
        return long / short
    return pareto_living(r, alpha, s, beta, float(own.x), own.T, long) / near
