"""When the next purchase of one customer is due."""

from typing import Any

import numba
import numpy as np

from recsys.data.clock import DAY, ZoneTable
from recsys.data.history import HistoryArrays
from recsys.population.btyd import summary
from recsys.population.facts import Base
from recsys.population.pareto import pareto_living
from recsys.population.purchase_days import is_purchase
from recsys.population.rhythm import next_purchase, own_mean_gap


@numba.njit(cache=True, nogil=True, error_model="numpy")
def next_purchase_days(h: HistoryArrays, low: int, high: int, as_of: int, zone: ZoneTable, base: Base) -> Any:
    """Days from `as_of` [s] to the next purchase: 10%, 50%, 90% quantile; NaN without a purchase so far."""
    own = summary(h, low, high, as_of, zone)
    if own.n == 0:
        return np.nan, np.nan, np.nan
    last = high - 1
    while not is_purchase(h, last):
        last -= 1
    elapsed = (as_of - h.order_time[last]) / DAY
    gap = own_mean_gap(own.t_x, float(own.x), base.means[1], base.means[2])
    return next_purchase(base.rhythm, gap, elapsed)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def growth(
    h: HistoryArrays, low: int, high: int, as_of: int, zone: ZoneTable, base: Base, short: float, long: float
) -> Any:
    """Expected purchases of `long` over those of `short` days by Pareto/NBD: carries a value to a longer horizon."""
    own = summary(h, low, high, as_of, zone)
    r, alpha, s, beta = base.btyd[7], base.btyd[8], base.btyd[9], base.btyd[10]
    near = pareto_living(r, alpha, s, beta, float(own.x), own.T, short)
    if near <= 0:
        return long / short
    return pareto_living(r, alpha, s, beta, float(own.x), own.T, long) / near
