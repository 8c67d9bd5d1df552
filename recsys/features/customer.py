"""Customer features: one kernel over a customer's visible orders, for one request, a whole base, a training table."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY, ZoneTable
from recsys.data.history import HistoryArrays, PurchaseHistory, visible_orders
from recsys.features.expected import EXPECTED, alive_of, expected_row
from recsys.features.orders import (
    COUNT,
    FIRST,
    LAST,
    Counted,
    Orders,
    begin_of,
    cleaned,
    item_scratch,
    read_orders,
    summed,
)
from recsys.population.btyd import Summary
from recsys.population.facts import Base

RHYTHM = (
    "orders",
    "purchase_days",
    "days_since_first",
    "days_since_last",
    "mean_gap",
    "gap_deviation",
    "last_gap",
    "longest_gap",
    "recent_gap",
    "own_gap",
    "overdue",
    "gap_trend",
    "overdue_longest",
)
"""Purchase days and the days between them. own_gap: mean gap shrunk to the base's; overdue: days_since_last / own_gap;
recent_gap: exponentially weighted, the newest gap weighs 0.4; gap_trend: recent_gap / own_gap."""

WINDOWS = (14, 28, 56, 112, 224)
"""Windows of order counts and spend [days]."""

WINDOWED = (
    *(f"orders_{days}d" for days in WINDOWS),
    "orders_horizon",
    "orders_before_horizon",
    *(f"spend_{days}d" for days in WINDOWS),
    "spend_horizon",
    "spend_before_horizon",
)
"""Orders and spend [minor units] of the last days; `_horizon` the last horizon, `_before_horizon` the one before it."""

MONEY = (
    "spend",
    "mean_order_spend",
    "last_order_spend",
    "recent_order_spend",
    "order_spend_deviation",
    "spend_per_day",
    "lines_per_order",
    "recent_lines_per_order",
    "basket_trend",
)
"""Money [minor units] and basket size; recent_*: over the last five orders; basket_trend: recent / all."""

HABITS = (
    "distinct_items",
    "recent_items",
    "favourites",
    "lost_favourites",
    "new_item_share",
    "stores",
    "store_share",
    "return_share",
    "discount_share",
    "weekend_share",
    "evening_share",
)
"""favourites: items of three or more orders; lost_favourites: their share missing for more than twice their own mean
gap; new_item_share: share of the last five orders' items that were new to the customer then; store_share: share of the
orders made in the store of the last one; evening_share: orders at 17:00 or later, business time."""

CUSTOMER_FEATURES = (*RHYTHM, *WINDOWED, *MONEY, *HABITS, *EXPECTED)
"""Names of the features, in the order of the columns."""

N_FEATURES = len(CUSTOMER_FEATURES)
_WINDOW_DAYS = np.array(WINDOWS, np.float64)
_RHYTHM, _WINDOWED, _MONEY = len(RHYTHM), len(WINDOWED), len(MONEY)
_HABITS = len(HABITS)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def customer_row(
    h: HistoryArrays,
    low: int,
    high: int,
    as_of: int,
    product_item: Any,
    zone: ZoneTable,
    base: Base,
    horizon: float,
    scratch: Any,
    out: Any,
) -> Any:
    """Features of the customer with orders `low:high`, all visible at `as_of` [s], into `out` float32 (N_FEATURES,).

    `horizon` [days]; `scratch` from `item_scratch`. NaN where a feature has no meaning (no order, a single order).
    Returns the customer's `Orders`, `Summary` and P(alive) by Pareto/NBD, for what else is computed from them.
    """
    out[:] = np.nan
    orders, counted = read_orders(h, low, high, product_item, zone, scratch)
    start = 0
    _rhythm(orders, as_of, base, out[start : start + _RHYTHM])
    start += _RHYTHM
    _windowed(orders, as_of, out[start : start + _WINDOWED])
    _horizons(orders, as_of, horizon, out[start : start + _WINDOWED])
    start += _WINDOWED
    _money(orders, counted.recent_from, as_of, out[start : start + _MONEY])
    start += _MONEY
    _habits(h, low, high, as_of, orders, counted, scratch, out[start : start + _HABITS])
    cleaned(counted, scratch)
    start += _HABITS
    own = summed(orders, as_of, zone)
    alive = alive_of(own, base)
    expected_row(own, base, alive, horizon, out[start:])
    return orders, own, alive


@numba.njit(cache=True, nogil=True, error_model="numpy")
def other_horizon(
    orders: Orders, as_of: int, own: Summary, alive: float, base: Base, horizon: float, row: Any, out: Any
) -> None:
    """The features of `row`, which `customer_row` made for another horizon, for `horizon` [days] into `out`.

    `orders`, `own` and `alive` are what it returned.
    """
    out[:] = row
    start = _RHYTHM
    _horizons(orders, as_of, horizon, out[start : start + _WINDOWED])
    expected_row(own, base, alive, horizon, out[start + _WINDOWED + _MONEY + _HABITS :])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _rhythm(orders: Orders, as_of: int, base: Base, out: Any) -> None:
    n_orders, n_days = 0, 0
    first, last, day_before = np.int64(0), np.int64(0), np.int64(0)
    total, squares, newest, longest, recent = 0.0, 0.0, np.nan, np.nan, np.nan
    for order in range(orders.time.size):
        if orders.bought[order] == 0:
            continue
        at, day = orders.time[order], orders.day[order]
        if n_orders == 0:
            first, n_days = at, 1
        elif day != day_before:
            gap = np.float64(day - day_before)
            total, squares, newest = total + gap, squares + gap * gap, gap
            longest = gap if n_days == 1 else max(longest, gap)
            recent = gap if n_days == 1 else 0.6 * recent + 0.4 * gap
            n_days += 1
        n_orders += 1
        last, day_before = at, day
    out[0], out[1] = n_orders, n_days
    if n_orders == 0:
        return
    since = (as_of - last) / DAY
    out[2], out[3] = (as_of - first) / DAY, since
    n_gaps = n_days - 1
    own = (total + base.means[1] * base.means[2]) / (n_gaps + base.means[2])
    if n_gaps > 0:
        mean = total / n_gaps
        out[4], out[6], out[7], out[8] = mean, newest, longest, recent
        out[5] = np.sqrt(max(0.0, squares / n_gaps - mean * mean)) if n_gaps > 1 else np.nan
        out[11], out[12] = recent / own, since / longest
    out[9], out[10] = own, since / own


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _windowed(orders: Orders, as_of: int, out: Any) -> None:
    n, spend = orders.time.size, len(_WINDOW_DAYS) + 2
    for w in range(len(_WINDOW_DAYS)):
        begin = begin_of(orders, as_of, _WINDOW_DAYS[w])
        out[w] = orders.bought_before[n] - orders.bought_before[begin]
        out[spend + w] = orders.spent_before[n] - orders.spent_before[begin]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _horizons(orders: Orders, as_of: int, horizon: float, out: Any) -> None:
    n, w, spend = orders.time.size, len(_WINDOW_DAYS), len(_WINDOW_DAYS) + 2
    begin, before = begin_of(orders, as_of, horizon), begin_of(orders, as_of, 2 * horizon)
    out[w] = orders.bought_before[n] - orders.bought_before[begin]
    out[w + 1] = orders.bought_before[begin] - orders.bought_before[before]
    out[spend + w] = orders.spent_before[n] - orders.spent_before[begin]
    out[spend + w + 1] = orders.spent_before[begin] - orders.spent_before[before]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _money(orders: Orders, recent_from: int, as_of: int, out: Any) -> None:
    n, first, n_lines = 0, np.int64(0), np.int64(0)
    recent_n, recent_lines, recent_total = 0, np.int64(0), np.int64(0)
    last_spend, squares = np.int64(0), 0.0
    total = orders.spent_before[orders.time.size]
    for order in range(orders.time.size):
        if orders.bought[order] == 0:
            continue
        spend, lines = orders.amount[order], orders.lines[order]
        first = orders.time[order] if n == 0 else first
        n, n_lines = n + 1, n_lines + lines
        last_spend, squares = spend, squares + np.float64(spend) * np.float64(spend)
        if order >= recent_from:
            recent_n, recent_lines, recent_total = recent_n + 1, recent_lines + lines, recent_total + spend
    out[0] = total
    if n == 0:
        return
    mean = total / n
    out[1], out[2], out[3] = mean, last_spend, recent_total / recent_n
    out[4] = np.sqrt(max(0.0, squares / n - mean * mean)) if n > 1 else np.nan
    out[5] = total / max(1.0, (as_of - first) / DAY)
    out[6], out[7] = n_lines / n, recent_lines / recent_n
    out[8] = (recent_lines / recent_n) / (n_lines / n)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _habits(
    h: HistoryArrays, low: int, high: int, as_of: int, orders: Orders, counted: Counted, items: Any, out: Any
) -> None:
    n = orders.time.size
    bought, paid, saved = orders.bought_before[n], orders.spent_before[n], counted.saved
    if bought == 0:
        return
    weekend, evening = np.int64(0), np.int64(0)
    for order in range(n):
        weekend += orders.bought[order] & np.int64((orders.day[order] + 3) % 7 >= 5)  # 1970-01-01 was a Thursday
        evening += orders.bought[order] & np.int64(orders.local[order] - orders.day[order] * DAY >= 17 * 3600)
    recent_items, favourites, lost = _favourites(as_of, orders, counted, items)
    out[0], out[1], out[2] = counted.touched.size, recent_items, favourites
    out[3] = lost / favourites if favourites > 0 else np.nan
    out[4] = counted.recent_new / counted.recent_pairs if counted.recent_pairs > 0 else np.nan
    out[5], out[6] = _stores(h, low, high)
    out[7], out[8] = counted.returns / counted.lines, saved / (paid + saved) if paid + saved > 0 else 0.0
    out[9], out[10] = weekend / bought, evening / bought


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _favourites(as_of: int, orders: Orders, counted: Counted, items: Any) -> Any:
    """Items of the last RECENT purchases, items of three or more orders, and those of them that are lost."""
    recent_items, favourites, lost = np.int64(0), np.int64(0), np.int64(0)
    for k in range(counted.touched.size):
        item = counted.touched[k]
        newest, count = np.int64(items[item, LAST]) - 1, np.int64(items[item, COUNT])
        recent_items += np.int64(newest >= counted.recent_from)
        if count >= 3:
            first, last = orders.time[np.int64(items[item, FIRST]) - 1], orders.time[newest]
            favourites += np.int64(1)
            lost += np.int64(as_of - last > 2 * (last - first) / (count - 1))
    return recent_items, favourites, lost


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _stores(h: HistoryArrays, low: int, high: int) -> Any:
    """Distinct stores among the last 64 orders, and the share of them made in the store of the last one."""
    begin = max(low, high - 64)
    distinct, same = 0, 0
    for order in range(begin, high):
        new = True
        for other in range(begin, order):
            if h.order_store[other] == h.order_store[order]:
                new = False
                break
        distinct += new
        same += h.order_store[order] == h.order_store[high - 1]
    return np.float32(distinct), np.float32(same / max(1, high - begin))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _rows(
    h: HistoryArrays,
    order_start: Any,
    chosen: Any,
    as_of: int,
    product_item: Any,
    zone: ZoneTable,
    base: Base,
    horizon: float,
    n_items: int,
    out: Any,
) -> None:
    scratch = item_scratch(n_items)
    for k in range(len(chosen)):
        low, high = order_start[chosen[k]], order_start[chosen[k] + 1]
        high = visible_orders(h.order_time, low, high, as_of)
        customer_row(h, low, high, as_of, product_item, zone, base, horizon, scratch, out[k])


def customer_table(
    history: PurchaseHistory,
    product_item: npt.NDArray[np.int32],
    n_items: int,
    zone: ZoneTable,
    base: Base,
    as_of: int,
    horizon_days: float,
    *,
    customers: npt.NDArray[np.int64] | None = None,
    threads: int = 1,
) -> npt.NDArray[np.float32]:
    """Features (n_customers, N_FEATURES) of all customers (or of the indices `customers`) at `as_of` [s].

    Threads split the rows and share nothing, so their number never changes a bit.
    """
    from concurrent.futures import ThreadPoolExecutor

    chosen = np.arange(history.n_customers, dtype=np.int64) if customers is None else customers.astype(np.int64)
    out = np.empty((len(chosen), N_FEATURES), np.float32)

    def fill(part: npt.NDArray[np.int64]) -> None:
        if len(part):
            rows = out[part[0] : part[-1] + 1]
            arrays = history.arrays()
            _rows(
                arrays,
                history.order_start,
                chosen[part],
                as_of,
                product_item,
                zone,
                base,
                float(horizon_days),
                n_items,
                rows,
            )

    parts = np.array_split(np.arange(len(chosen)), max(1, threads * 4))
    with ThreadPoolExecutor(max(1, threads)) as pool:
        list(pool.map(fill, parts))
    return out
