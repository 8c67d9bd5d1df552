"""Customer features: one kernel over a customer's visible orders, for one request, a whole base, a training table."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY, ZoneTable
from recsys.data.history import HistoryArrays, PurchaseHistory, visible_orders
from recsys.features.expected import EXPECTED, expected_row
from recsys.population.btyd import Summary, summary
from recsys.population.facts import Base
from recsys.population.purchase_days import is_purchase, local_day, local_time, order_amount

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
RECENT = 5
_WINDOW_DAYS = np.array(WINDOWS, np.float64)
_RHYTHM, _WINDOWED, _MONEY = len(RHYTHM), len(WINDOWED), len(MONEY)
_HABITS = len(HABITS)


@numba.njit(cache=True, nogil=True)
def item_scratch(n_items: int) -> Any:
    """Scratch (4, n_items) int64 of one thread, all -1; kernels leave it as they found it."""
    return np.full((4, n_items), -1, np.int64)


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
    Returns the customer's `Summary`, for what else is computed from it.
    """
    out[:] = np.nan
    start = 0
    _rhythm(h, low, high, as_of, zone, base, out[start : start + _RHYTHM])
    start += _RHYTHM
    _windowed(h, low, high, as_of, horizon, out[start : start + _WINDOWED])
    start += _WINDOWED
    _money(h, low, high, as_of, out[start : start + _MONEY])
    start += _MONEY
    _habits(h, low, high, as_of, product_item, zone, scratch, out[start : start + _HABITS])
    start += _HABITS
    own = summary(h, low, high, as_of, zone)
    expected_row(own, base, horizon, out[start:])
    return own


@numba.njit(cache=True, nogil=True, error_model="numpy")
def other_horizon(
    h: HistoryArrays, low: int, high: int, as_of: int, own: Summary, base: Base, horizon: float, row: Any, out: Any
) -> None:
    """The features of `row`, which `customer_row` made for another horizon, for `horizon` [days] into `out`.

    `own` is what it returned.
    """
    out[:] = row
    start = _RHYTHM
    _windowed(h, low, high, as_of, horizon, out[start : start + _WINDOWED])
    expected_row(own, base, horizon, out[start + _WINDOWED + _MONEY + _HABITS :])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _rhythm(h: HistoryArrays, low: int, high: int, as_of: int, zone: ZoneTable, base: Base, out: Any) -> None:
    n_orders, n_days = 0, 0
    first, last, day_before = np.int64(0), np.int64(0), np.int64(0)
    total, squares, newest, longest, recent = 0.0, 0.0, np.nan, np.nan, np.nan
    for order in range(low, high):
        if not is_purchase(h, order):
            continue
        at = h.order_time[order]
        day = local_day(zone, at)
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
def _windowed(h: HistoryArrays, low: int, high: int, as_of: int, horizon: float, out: Any) -> None:
    n = len(_WINDOW_DAYS)
    counts, sums = np.zeros(n + 2, np.int64), np.zeros(n + 2, np.int64)
    for order in range(high - 1, low - 1, -1):
        elapsed = (as_of - h.order_time[order]) / DAY
        if elapsed >= max(_WINDOW_DAYS[n - 1], 2 * horizon):
            break
        spend, bought = order_amount(h, order), 1 if is_purchase(h, order) else 0
        for w in range(n):
            if elapsed < _WINDOW_DAYS[w]:
                counts[w] += bought
                sums[w] += spend
        if elapsed < 2 * horizon:
            w = n if elapsed < horizon else n + 1
            counts[w] += bought
            sums[w] += spend
    for w in range(n + 2):
        out[w], out[n + 2 + w] = counts[w], sums[w]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _money(h: Any, low: int, high: int, as_of: int, out: Any) -> None:
    n, total, first = 0, np.int64(0), np.int64(0)
    n_lines: Any = 0
    recent_lines: Any = 0
    recent_n, recent_total = 0, np.int64(0)
    last_spend, squares = np.int64(0), 0.0
    recent_from = _recent_from(h, low, high)
    for order in range(low, high):
        spend = order_amount(h, order)
        total += spend
        if not is_purchase(h, order):
            continue
        lines = np.int64(h.line_start[order + 1]) - np.int64(h.line_start[order])
        first = h.order_time[order] if n == 0 else first
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
def _habits(
    h: Any, low: int, high: int, as_of: int, product_item: Any, zone: ZoneTable, scratch: Any, out: Any
) -> None:
    count, first, last, seen = scratch[0], scratch[1], scratch[2], scratch[3]
    capacity: Any = min(len(count), np.int64(h.line_start[high]) - np.int64(h.line_start[low]))
    touched = np.empty(capacity, np.int64)
    recent_from = _recent_from(h, low, high)
    n, n_lines, returns, recent_pairs, recent_new = 0, 0, 0, 0, 0
    orders, weekend, evening, paid, saved = 0, 0, 0, np.int64(0), np.int64(0)
    times, start, quantities, products = h.order_time, h.line_start, h.line_quantity, h.line_product
    amounts, discounts = h.line_amount, h.line_discount
    for order in range(low, high):
        at, bought = times[order], False
        for line in range(start[order], start[order + 1]):
            quantity = quantities[line]
            n_lines += 1
            returns += quantity < 0
            paid += amounts[line]
            saved += discounts[line]
            if quantity <= 0:
                continue
            bought = True
            product = products[line]
            item = product_item[product] if product >= 0 else -1
            if item < 0 or seen[item] == order:
                continue
            seen[item] = order
            if count[item] < 0:
                touched[n] = item
                n += 1
                count[item], first[item] = 0, at
                recent_new += order >= recent_from
            recent_pairs += order >= recent_from
            count[item] += 1
            last[item] = at
        if bought:
            local = local_time(zone, at)
            orders += 1
            weekend += (local // DAY + 3) % 7 >= 5  # 1970-01-01 was a Thursday
            evening += local % DAY >= 17 * 3600
    favourites, lost, recent_items = 0, 0, 0
    for k in range(n):
        item = touched[k]
        recent_items += seen[item] >= recent_from
        if count[item] >= 3:
            favourites += 1
            lost += as_of - last[item] > 2 * (last[item] - first[item]) / (count[item] - 1)
        count[item], first[item], last[item], seen[item] = -1, -1, -1, -1
    if orders == 0:
        return
    out[0], out[1], out[2], out[3] = n, recent_items, favourites, lost / favourites if favourites > 0 else np.nan
    out[4] = recent_new / recent_pairs if recent_pairs > 0 else np.nan
    out[5], out[6] = _stores(h, low, high)
    out[7], out[8] = returns / n_lines, saved / (paid + saved) if paid + saved > 0 else 0.0
    out[9], out[10] = weekend / orders, evening / orders


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
