"""Facts of each item: how many buy it, how fresh, how often again, for how much."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.catalogue import Catalogue
from recsys.data.history import HistoryArrays, PurchaseHistory
from recsys.population.facts import Assortment, ItemFacts, Popular
from recsys.population.now import fit_now
from recsys.population.witnesses import Witnesses, witnesses

DAY = 86_400
ASSORTMENT_DAYS = 56
ARRIVAL_DAYS = 28
SHRINK = 20.0
"""Observations the base's mean counts for when an item's own mean is shrunk to it."""


def fit_items(history: PurchaseHistory, catalogue: Catalogue, as_of: int, seen: Witnesses | None = None) -> ItemFacts:
    """Facts of all items from the orders up to `as_of` [s]; needs one pass over the lines.

    `seen` are the witnesses of that instant where they are known already.
    """
    now = fit_now(seen or witnesses(history, catalogue.product_item, catalogue.n_items, as_of))
    counts, sums, first, last = _count(
        history.arrays(), history.order_start, catalogue.product_item, catalogue.n_items, as_of
    )
    orders, buyers, b7, b28, b56, new28, again = counts[:, :-1]
    active7, active28, active56 = (max(1, int(counts[row, -1])) for row in (2, 3, 4))
    spend, gap_sum, gap_count = sums
    base_gap = gap_sum.sum() / max(1.0, gap_count.sum())
    base_again = again.sum() / max(1, buyers.sum())
    return ItemFacts(
        orders=orders.astype(np.int32),
        buyers=buyers.astype(np.int32),
        rate_7=(b7 / active7).astype(np.float32),
        rate_28=(b28 / active28).astype(np.float32),
        rate_56=(b56 / active56).astype(np.float32),
        adoption_28=(new28 / active28).astype(np.float32),
        repeat_share=((again + SHRINK * base_again) / (buyers + SHRINK)).astype(np.float32),
        mean_gap=((gap_sum + SHRINK * base_gap) / (gap_count + SHRINK)).astype(np.float32),
        spend=(spend / np.maximum(orders, 1)).astype(np.float32),
        age=np.where(orders > 0, (as_of - first) / DAY, np.nan).astype(np.float32),
        recency=np.where(orders > 0, (as_of - last) / DAY, np.nan).astype(np.float32),
        rarity=np.log((history.n_customers + 1) / (buyers + 1.0)).astype(np.float32),
        rate_now=now.rate,
        adoption_now=now.adoption,
        repeat_now=now.repeat,
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _count(h: HistoryArrays, order_start: Any, product_item: Any, n_items: int, as_of: int) -> Any:
    """Counts (7, n_items + 1) int64, active customers in the last column; sums (3, n_items); first and last sale.

    Rows of counts: orders, buyers, buyers of the last 7 days, of the last 28, of the 28 before, first-time buyers of
    the last 28, buyers with two or more orders. Rows of sums: spend, days between orders of one customer, their number.
    """
    counts = np.zeros((7, n_items + 1), np.int64)
    sums = np.zeros((3, n_items))
    first = np.full(n_items, np.iinfo(np.int64).max)
    last = np.full(n_items, np.iinfo(np.int64).min)
    own_first, own_last = np.zeros(n_items, np.int64), np.zeros(n_items, np.int64)
    own_flags = np.zeros(n_items, np.uint8)  # 1: bought in 7 days, 2: in 28, 4: in the 28 before
    own_orders, in_order = np.zeros(n_items, np.int64), np.full(n_items, -1, np.int64)
    touched = np.empty(n_items, np.int64)
    for customer in range(len(order_start) - 1):
        n_touched, active = 0, 0
        for order in range(order_start[customer], order_start[customer + 1]):
            at = h.order_time[order]
            if at > as_of:
                break
            window = _window(as_of - at)
            active |= window
            for line in range(h.line_start[order], h.line_start[order + 1]):
                product = h.line_product[line]
                item = product_item[product] if product >= 0 else -1
                if item < 0 or h.line_quantity[line] <= 0:
                    continue
                sums[0, item] += h.line_amount[line]
                if in_order[item] == order:
                    continue
                in_order[item] = order
                if own_orders[item] == 0:
                    touched[n_touched] = item
                    n_touched += 1
                    own_first[item] = at
                else:
                    sums[1, item] += (at - own_last[item]) / DAY
                    sums[2, item] += 1
                own_orders[item] += 1
                own_last[item] = at
                own_flags[item] |= window
                first[item] = min(first[item], at)
                last[item] = max(last[item], at)
        for bit in range(3):
            counts[2 + bit, n_items] += (active >> bit) & 1
        for k in range(n_touched):
            item = touched[k]
            counts[0, item] += own_orders[item]
            counts[1, item] += 1
            for bit in range(3):
                counts[2 + bit, item] += (own_flags[item] >> bit) & 1
            counts[5, item] += as_of - own_first[item] < 28 * DAY
            counts[6, item] += own_orders[item] > 1
            own_orders[item], own_flags[item] = 0, 0
    return counts, sums, first, last


@numba.njit(cache=True, nogil=True)
def _window(elapsed: int) -> int:
    if elapsed < 7 * DAY:
        return 3
    if elapsed < 28 * DAY:
        return 2
    return 4 if elapsed < 56 * DAY else 0


def fit_popular(items: ItemFacts, catalogue: Catalogue) -> Popular:
    """Items by buyers of the last 28 days, then orders, then id; overall and within each family; and by adoption."""
    order = np.lexsort((np.arange(catalogue.n_items), -items.orders, -items.rate_28)).astype(np.int32)
    family = catalogue.item_family[order]
    by_family = np.argsort(family, kind="stable")
    by_family = by_family[family[by_family] >= 0]
    counts = np.bincount(family[family >= 0], minlength=len(catalogue.families))
    start = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=start[1:])
    adopted = order[np.argsort(-items.adoption_now[order], kind="stable")]
    return Popular(order, start, order[by_family], adopted, adopted[items.age[adopted] < ARRIVAL_DAYS])


def fit_assortment(history: PurchaseHistory, catalogue: Catalogue, n_stores: int, as_of: int) -> Assortment:
    """Items each store sold in the last 56 days."""
    recent = (history.order_time <= as_of) & (history.order_time > as_of - ASSORTMENT_DAYS * DAY)
    line_counts = np.diff(history.line_start.astype(np.int64)).astype(np.int64)
    line_recent = np.repeat(recent & (history.order_store < n_stores), line_counts)
    stores = np.repeat(history.order_store, line_counts)[line_recent].astype(np.int64)
    products = history.line_product[line_recent]
    items = np.where(products >= 0, catalogue.product_item[np.maximum(products, 0)], -1)
    sold = (items >= 0) & (history.line_quantity[line_recent] > 0)
    pairs = np.unique(stores[sold] * max(1, catalogue.n_items) + items[sold])
    start = np.searchsorted(pairs, np.arange(n_stores + 1) * max(1, catalogue.n_items)).astype(np.int64)
    return Assortment(start, (pairs % max(1, catalogue.n_items)).astype(np.int32))


def bought_matrix(history: PurchaseHistory, catalogue: Catalogue, as_of: int) -> npt.NDArray[np.int64]:
    """Distinct (customer, item) pairs bought up to `as_of` with their number of orders, (n_pairs, 3), sorted."""
    owner = np.repeat(np.arange(history.n_customers), np.diff(history.order_start).astype(np.int64))
    line_counts = np.diff(history.line_start.astype(np.int64)).astype(np.int64)
    order = np.repeat(np.arange(history.n_orders), line_counts)
    products = history.line_product
    items = np.where(products >= 0, catalogue.product_item[np.maximum(products, 0)], -1)
    kept = (items >= 0) & (history.line_quantity > 0) & (history.order_time[order] <= as_of)
    n = max(1, catalogue.n_items)
    per_order = np.unique(order[kept] * n + items[kept])
    pairs, counts = np.unique(owner[per_order // n] * n + per_order % n, return_counts=True)
    return np.stack([pairs // n, pairs % n, counts], axis=1)
