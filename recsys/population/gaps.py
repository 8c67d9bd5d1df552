"""Gaps: the days between a customer's purchase days, and the open one that runs to as_of."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.clock import ZoneTable
from recsys.data.history import HistoryArrays
from recsys.population.purchase_days import is_purchase, local_day


class Gaps(NamedTuple):
    """One row per purchase day, by customer and time: how long it took to the next one. Shapes (n_purchase_days,).

    customer  int32    index of the customer
    place     int32    completed gaps the customer had before this one
    days      float64  to the next purchase day, or to the day of as_of where none has come yet [days]
    open      bool     none has come yet: the true gap is longer (right-censored)
    """

    customer: npt.NDArray[np.int32]
    place: npt.NDArray[np.int32]
    days: npt.NDArray[np.float64]
    open: npt.NDArray[np.bool_]


def gaps_of(arrays: HistoryArrays, order_start: npt.NDArray[np.int64], as_of: int, zone: ZoneTable) -> Gaps:
    """Gaps of all customers at `as_of` [s]; customer i owns the orders `order_start[i]:order_start[i + 1]`."""
    n = len(arrays.order_time)
    gaps = Gaps(np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.float64), np.empty(n, np.bool_))
    found = _fill(arrays, order_start, as_of, zone, gaps)
    return Gaps(gaps.customer[:found], gaps.place[:found], gaps.days[:found], gaps.open[:found])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill(arrays: HistoryArrays, order_start: Any, as_of: int, zone: ZoneTable, gaps: Gaps) -> int:
    end = local_day(zone, as_of)
    row = 0
    for customer in range(len(order_start) - 1):
        place, last = 0, 0
        for order in range(order_start[customer], order_start[customer + 1]):
            if arrays.order_time[order] > as_of:
                break
            if not is_purchase(arrays, order):
                continue
            day = local_day(zone, arrays.order_time[order])
            if place > 0 and day == last:
                continue
            if place > 0:
                gaps.days[row - 1], gaps.open[row - 1] = day - last, False
            gaps.customer[row], gaps.place[row], gaps.days[row], gaps.open[row] = customer, place, end - day, True
            row, place, last = row + 1, place + 1, day
    return row
