"""Labels: what happened in (as_of, as_of + horizon], never anything else."""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY
from recsys.data.history import visible_orders
from recsys.data.snapshot import Snapshot
from recsys.population.purchase_days import is_purchase, order_amount


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What each customer of a cut did within the horizon, (n_customers,).

    orders         int64    orders with a line of quantity > 0
    spend          int64    sum of all lines, refunds subtracted [minor units]
    next_days      float64  days to the next purchase, NaN if there was none within the horizon
    item_start     int64 (n_customers + 1,) customer i bought `items[item_start[i]:item_start[i + 1]]`
    items          int32    distinct items bought, ascending, as indices of the whole snapshot
    """

    orders: npt.NDArray[np.int64]
    spend: npt.NDArray[np.int64]
    next_days: npt.NDArray[np.float64]
    item_start: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]


def outcomes(snapshot: Snapshot, customers: npt.NDArray[np.integer], as_of: int, horizon_days: float) -> Outcomes:
    """Outcomes of the customers with the indices `customers` of `snapshot` in (as_of, as_of + horizon] [s, days]."""
    until = as_of + int(horizon_days * DAY)
    history, catalogue = snapshot.history, snapshot.catalogue
    orders, spend, next_days, start, items = _outcomes(
        history.arrays(),
        history.order_start,
        customers.astype(np.int64),
        as_of,
        until,
        catalogue.product_item,
        catalogue.n_items,
    )
    return Outcomes(orders, spend, next_days, start, items)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _outcomes(h: Any, order_start: Any, customers: Any, as_of: int, until: int, product_item: Any, n_items: int) -> Any:
    n = len(customers)
    orders, spend, next_days = np.zeros(n, np.int64), np.zeros(n, np.int64), np.full(n, np.nan)
    start = np.zeros(n + 1, np.int64)
    bound: Any = 0
    for k in range(n):
        low, high = order_start[customers[k]], order_start[customers[k] + 1]
        bound += np.int64(h.line_start[high]) - np.int64(h.line_start[visible_orders(h.order_time, low, high, as_of)])
    items, seen = np.empty(bound, np.int32), np.full(n_items, -1, np.int64)
    filled = 0
    for k in range(n):
        low, high = order_start[customers[k]], order_start[customers[k] + 1]
        for order in range(visible_orders(h.order_time, low, high, as_of), high):
            if h.order_time[order] > until:
                break
            spend[k] += order_amount(h, order)
            if not is_purchase(h, order):
                continue
            if orders[k] == 0:
                next_days[k] = (h.order_time[order] - as_of) / DAY
            orders[k] += 1
            for line in range(h.line_start[order], h.line_start[order + 1]):
                product = h.line_product[line]
                item = product_item[product] if product >= 0 else -1
                if item >= 0 and h.line_quantity[line] > 0 and seen[item] != k:
                    seen[item] = k
                    items[filled] = item
                    filled += 1
        items[start[k] : filled].sort()
        start[k + 1] = filled
    return orders, spend, next_days, start, items[:filled].copy()
