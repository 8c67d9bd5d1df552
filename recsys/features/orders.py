"""A customer's orders read once: every line is looked at a single time, whatever is asked of it later."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY, ZoneTable
from recsys.data.history import HistoryArrays
from recsys.population.btyd import Summary, summary_of
from recsys.population.purchase_days import is_purchase, local_day

RECENT = 5
"""The newest purchases that are told of apart."""

FIRST, LAST, COUNT = 0, 1, 2
"""Columns of `item_scratch`: first and last order with the item, as one more than their place among the customer's, and
how many; all 0 of an item that was not met."""


class Orders(NamedTuple):
    """One customer's orders up to an instant, oldest first; (n,), but `bought_before` and `spent_before` (n + 1,).

    time           int64  [s]
    bought         int64  1 of a purchase, 0 of a refund alone
    amount         int64  sum of the lines [minor units]
    lines          int64  number of lines
    local          int64  seconds on the wall clock of the business time zone
    day            int64  calendar day there
    bought_before, spent_before  int64  purchases, and amounts of all orders, before each order, and in all
    """

    time: npt.NDArray[np.int64]
    bought: npt.NDArray[np.int64]
    amount: npt.NDArray[np.int64]
    lines: npt.NDArray[np.int64]
    local: npt.NDArray[np.int64]
    day: npt.NDArray[np.int64]
    bought_before: npt.NDArray[np.int64]
    spent_before: npt.NDArray[np.int64]


class Counted(NamedTuple):
    """What a walk over all lines counts.

    touched       int64 (items,)  items bought, in the order they were met
    lines, returns                lines, and those of negative quantity
    saved                         discounts [minor units]
    recent_pairs, recent_new      items of the last RECENT purchases, order by order, and those bought first then
    recent_from                   place of the first of these purchases
    """

    touched: npt.NDArray[np.int64]
    lines: Any
    returns: Any
    saved: Any
    recent_pairs: Any
    recent_new: Any
    recent_from: int


@numba.njit(cache=True, nogil=True)
def item_scratch(n_items: int) -> Any:
    """Scratch (n_items + 1, 3) int32 of one thread, all 0; kernels leave it so. The last row is that of no item."""
    return np.zeros((n_items + 1, 3), np.int32)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def read_orders(h: HistoryArrays, low: int, high: int, product_item: Any, zone: ZoneTable, items: Any) -> Any:
    """`Orders` and `Counted` of the orders `low:high`; `items` from `item_scratch`, to be cleaned by `cleaned`."""
    n = high - low
    columns = np.zeros((7, n + 1), np.int64)
    orders = Orders(
        h.order_time[low:high],
        columns[0, :n],
        columns[1, :n],
        columns[2, :n],
        columns[3, :n],
        columns[4, :n],
        columns[5],
        columns[6],
    )
    counted = _walk(h, low, high, product_item, items, orders)
    _tell_time(orders, zone)
    return orders, counted


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _walk(h: Any, low: int, high: int, product_item: Any, items: Any, orders: Orders) -> Counted:
    """Walk over the lines without branches: what a line adds may be 0, and what is no item has a row of its own."""
    begin, nothing = np.int64(h.line_start[low]), items.shape[0] - 1
    touched = np.empty(min(nothing, np.int64(h.line_start[high]) - begin) + 1, np.int64)
    recent_from = _recent_from(h, low, high) - low
    n, returns, saved, pairs, new = np.int64(0), np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for order in range(high - low):
        start, end = np.int64(h.line_start[low + order]), np.int64(h.line_start[low + order + 1])
        amount, any_bought, recent = np.int64(0), np.int64(0), np.int64(order >= recent_from)
        for line in range(start, end):
            quantity, product = h.line_quantity[line], np.int64(h.line_product[line])
            amount += h.line_amount[line]
            saved += h.line_discount[line]
            returns += np.int64(quantity < 0)
            bought = np.int64(quantity > 0)
            any_bought |= bought
            item = np.int64(product_item[max(product, 0)]) if product_item.size else np.int64(-1)
            is_item = bought & np.int64(product >= 0) & np.int64(item >= 0)
            item = item if is_item else nothing
            first = np.int64(items[item, FIRST])
            fresh = is_item & np.int64(np.int64(items[item, LAST]) != order + 1)
            met = fresh & np.int64(first == 0)
            touched[n] = item
            n += met
            items[item, FIRST] = order + 1 if met else first
            items[item, LAST] = order + 1
            items[item, COUNT] = np.int64(items[item, COUNT]) + fresh
            pairs += fresh & recent
            new += met & recent
        orders.bought[order], orders.amount[order], orders.lines[order] = any_bought, amount, end - start
        orders.bought_before[order + 1] = orders.bought_before[order] + any_bought
        orders.spent_before[order + 1] = orders.spent_before[order] + amount
    n_lines = np.int64(h.line_start[high]) - begin
    return Counted(touched[:n], n_lines, returns, saved, pairs, new, recent_from)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _tell_time(orders: Orders, zone: ZoneTable) -> None:
    """Set `local` and `day`: orders ascend in time, so the zone's offsets are met one after the other."""
    if orders.time.size == 0:
        return
    entry = max(int(np.searchsorted(zone.starts, orders.time[0], side="right")) - 1, 0)
    for order in range(orders.time.size):
        at = orders.time[order]
        while entry + 1 < zone.starts.size and zone.starts[entry + 1] <= at:
            entry += 1
        orders.local[order] = at + zone.offsets[entry]
        orders.day[order] = orders.local[order] // DAY


@numba.njit(cache=True, nogil=True, error_model="numpy")
def cleaned(counted: Counted, items: Any) -> None:
    """Leave the scratch as it was found."""
    items[items.shape[0] - 1] = 0
    for k in range(counted.touched.size):
        items[counted.touched[k]] = 0


@numba.njit(cache=True, nogil=True)
def _recent_from(h: HistoryArrays, low: int, high: int) -> int:
    """First of the last `RECENT` purchases in `low:high`."""
    found = 0
    for order in range(high - 1, low - 1, -1):
        if is_purchase(h, order):
            found += 1
            if found == RECENT:
                return order
    return low


@numba.njit(cache=True, nogil=True, error_model="numpy")
def begin_of(orders: Orders, as_of: int, days: float) -> int:
    """Place of the first order that is less than so many days old at `as_of` [s]."""
    low, high = 0, orders.time.size
    while low < high:
        middle = (low + high) // 2
        if (as_of - orders.time[middle]) / DAY < days:
            high = middle
        else:
            low = middle + 1
    return low


@numba.njit(cache=True, nogil=True, error_model="numpy")
def summed(orders: Orders, as_of: int, zone: ZoneTable) -> Summary:
    """`recsys.population.btyd.summary` of orders that are all visible at `as_of` [s]."""
    n, first, last, repeat_amount = 0, 0, 0, 0
    for order in range(orders.time.size):
        if orders.bought[order] == 0:
            continue
        day = orders.day[order]
        if n == 0:
            n, first, last = 1, day, day
        elif day > last:
            n, last = n + 1, day
        if day > first:
            repeat_amount += orders.amount[order]
    own: Summary = summary_of(n, first, last, repeat_amount, local_day(zone, as_of))
    return own


@numba.njit(cache=True, nogil=True, error_model="numpy")
def days_of(orders: Orders) -> Any:
    """`recsys.population.visits.visits` of these orders: instant [s] of the first purchase of each day."""
    times = np.empty(orders.time.size, np.int64)
    n, last = 0, np.int64(0)
    for order in range(orders.time.size):
        if orders.bought[order] and (n == 0 or orders.day[order] != last):
            times[n], last = orders.time[order], orders.day[order]
            n += 1
    return times[:n]
