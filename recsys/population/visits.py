"""Visits: the instants a customer bought at, one a local calendar day, of anything or of each category."""

from typing import Any

import numba
import numpy as np

from recsys.data.clock import ZoneTable
from recsys.data.history import HistoryArrays
from recsys.population.purchase_days import is_purchase, local_day


@numba.njit(cache=True, nogil=True, error_model="numpy")
def visits(h: HistoryArrays, low: int, high: int, as_of: int, zone: ZoneTable) -> Any:
    """Instant [s] of the first purchase of each day of the customer who owns the orders `low:high`, up to `as_of`."""
    times = np.empty(high - low, np.int64)
    n, last = 0, 0
    for order in range(low, high):
        if h.order_time[order] > as_of:
            break
        if not is_purchase(h, order):
            continue
        day = local_day(zone, h.order_time[order])
        if n == 0 or day != last:
            times[n], last = h.order_time[order], day
            n += 1
    return times[:n]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def category_visits(h: HistoryArrays, low: int, high: int, as_of: int, zone: ZoneTable, product_category: Any) -> Any:
    """The same by category: (category int64, instant int64 [s]), by category and time.

    `product_category` int32 (n_products,) names the category of a product, -1 for none; returns do not count.
    """
    codes = np.empty(np.int64(h.line_start[high]) - np.int64(h.line_start[low]), np.int64)
    n = 0
    for order in range(low, high):
        if h.order_time[order] > as_of:
            break
        for line in range(h.line_start[order], h.line_start[order + 1]):
            product = h.line_product[line]
            if product >= 0 and h.line_quantity[line] > 0.0 and product_category[product] >= 0:
                codes[n] = (np.int64(product_category[product]) << 32) + (order - low)
                n += 1
    codes = np.sort(codes[:n])
    category, times = np.empty(n, np.int64), np.empty(n, np.int64)
    found, day = 0, 0
    for k in range(n):
        of, order = codes[k] >> 32, low + (codes[k] & 0xFFFFFFFF)
        today = local_day(zone, h.order_time[order])
        if found == 0 or of != category[found - 1] or today != day:
            category[found], times[found], day = of, h.order_time[order], today
            found += 1
    return category[:found], times[:found]
