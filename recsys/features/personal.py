"""What one customer bought, item by item, and what it points to: the state that candidates and pair features read."""

from typing import Any

import numba
import numpy as np

from recsys.data.clock import DAY
from recsys.data.history import HistoryArrays
from recsys.features.alike import from_peers
from recsys.features.state import CatalogueArrays, Own, Scratch
from recsys.population.factors import all_scores, fold_in
from recsys.population.facts import Following, Neighbours, PopulationArrays, Transitions
from recsys.population.witnesses import FADE_BASKETS

HALF_LIFE = 60.0
"""Days after which a purchase weighs half (`slow`)."""
RECENT_BASKETS = 3
"""Baskets whose items are looked up among neighbours and transitions as recent."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def own_items(h: HistoryArrays, low: int, high: int, as_of: int, cat: CatalogueArrays, scratch: Scratch) -> Own:
    """Items of the orders `low:high`; leaves their slots in `scratch.slot` until `clean`."""
    capacity: Any = max(1, min(len(scratch.slot), np.int64(h.line_start[high]) - np.int64(h.line_start[low])))
    whole, real = np.empty((8, capacity), np.int64), np.empty((5, capacity))
    own = Own(
        item=whole[0],
        orders=whole[1],
        first=whole[2],
        last=whole[3],
        position=whole[4],
        gap=real[0],
        fast=real[1],
        slow=real[2],
        orders_28=whole[5],
        orders_91=whole[6],
        spend=real[3],
        quantity=real[4],
        streak=whole[7],
        counts=np.zeros(6, np.int64),
        times=np.zeros(2, np.int64),
    )
    purchases = _purchases(h, low, high, cat.product_item)
    _add_orders(h, low, high, purchases, as_of, cat.product_item, scratch.slot, own)
    own.counts[1] = purchases
    return own


@numba.njit(cache=True, nogil=True)
def _purchases(h: HistoryArrays, low: int, high: int, product_item: Any) -> int:
    """How many of the orders `low:high` hold an item."""
    start, product, quantity, n = h.line_start, h.line_product, h.line_quantity, 0
    for order in range(low, high):
        n += _has_item(start[order], start[order + 1], product, quantity, product_item)
    return n


@numba.njit(cache=True, nogil=True)
def _has_item(first: int, last: int, product: Any, quantity: Any, product_item: Any) -> bool:
    for line in range(first, last):
        if quantity[line] > 0 and product[line] >= 0 and product_item[product[line]] >= 0:
            return True
    return False


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_orders(
    h: HistoryArrays, low: int, high: int, purchases: int, as_of: int, product_item: Any, slots: Any, own: Own
) -> None:
    """All orders, oldest first; arrays are taken out of their tuples before the loops, see `pair_rows`."""
    times, start, product, amount, quantity = h.order_time, h.line_start, h.line_product, h.line_amount, h.line_quantity
    items, orders, last, positions, counts = own.item, own.orders, own.last, own.position, own.counts
    first, gap, streak, fast, slow = own.first, own.gap, own.streak, own.fast, own.slow
    orders_28, orders_91, spend, pieces = own.orders_28, own.orders_91, own.spend, own.quantity
    position, n = 0, np.uint32(0)
    for order in range(low, high):
        if not _has_item(start[order], start[order + 1], product, quantity, product_item):
            continue
        at = times[order]
        days = (as_of - at) / DAY
        faded = FADE_BASKETS ** np.float64(purchases - 1 - position), 0.5 ** (days / HALF_LIFE)
        lately, before, size = (np.int64(days < 28), np.int64(days < 91)), n, 0
        for line in range(start[order], start[order + 1]):
            item = product_item[product[line]] if product[line] >= 0 else -1
            if item < 0 or quantity[line] <= 0:
                continue
            if slots[item] < 0:
                slots[item], k = n, n
                n += np.uint32(1)
                size += 1
                items[k], orders[k], first[k], last[k], positions[k], streak[k] = item, 1, at, at, position, 1
                gap[k], fast[k], slow[k], spend[k], pieces[k] = np.nan, *faded, amount[line], quantity[line]
                orders_28[k], orders_91[k] = lately
                continue
            k = np.uint32(slots[item])
            spend[k] += amount[line]
            pieces[k] += quantity[line]
            if positions[k] == position:
                continue
            gap[k] = (at - last[k]) / DAY
            streak[k] = streak[k] + 1 if positions[k] == position - 1 else 1
            orders[k] += 1
            last[k], positions[k] = at, position
            fast[k] += faded[0]
            slow[k] += faded[1]
            orders_28[k] += lately[0]
            orders_91[k] += lately[1]
            size += 1
        counts[0], counts[2], counts[3] = n, counts[2] + size, size
        counts[4] += n - before if position >= purchases - 5 else 0
        counts[5] += size if position >= purchases - 5 else 0
        own.times[0] = at if position == 0 else own.times[0]
        own.times[1] = at
        position += 1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def point_to_items(own: Own, cat: CatalogueArrays, population: PopulationArrays, scratch: Scratch) -> None:
    """Fill the scores of `scratch` from what the customer bought."""
    n, recent_from = own.counts[0], own.counts[1] - RECENT_BASKETS
    _near(own, recent_from, population.neighbours, scratch)
    _next(own, recent_from, population.transitions, scratch)
    _after(own, population.following, scratch)
    _add_families(own, cat, scratch.family, scratch.group)
    from_peers(own, population, scratch)
    if n > 0:
        weights = _log_orders(own.orders, n, scratch.logs)
        all_scores(population.factors, fold_in(population.factors, own.item, weights, n), scratch.als)
    else:
        scratch.als[:] = np.float32(0.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _log_orders(orders: Any, n: int, logs: Any) -> Any:
    """log(1 + orders) of the slots (n,), looked up among `logs` as far as these go."""
    weights = np.empty(n)
    for k in range(n):
        weights[k] = logs[orders[k]] if orders[k] < len(logs) else np.log1p(np.float64(orders[k]))
    return weights


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_families(own: Own, cat: CatalogueArrays, families: Any, groups: Any) -> None:
    items, slow, last, item_family, item_group = own.item, own.slow, own.last, cat.item_family, cat.item_group
    for k in range(own.counts[0]):
        family, group = item_family[items[k]], item_group[items[k]]
        if family >= 0:
            families[0, family] += slow[k]
            families[1, family] = max(families[1, family], np.float64(last[k]))
            families[2, family] += 1
        if group >= 0:
            groups[0, group] += slow[k]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _near(own: Own, recent_from: int, near: Neighbours, scratch: Scratch) -> None:
    others, similarities, sums, recent = near.item, near.similarity, scratch.near, scratch.recent
    items, position, slow = own.item, own.position, own.slow
    for k in range(own.counts[0]):
        item, weight = np.uint64(items[k]), np.float32(np.log1p(slow[k]))
        filled = _filled(others, item)
        for j in range(filled):
            sums[np.uint32(others[item, j])] += weight * similarities[item, j]
        if position[k] < recent_from:
            continue
        for j in range(filled):
            recent[np.uint32(others[item, j])] += similarities[item, j]


@numba.njit(cache=True, nogil=True)
def _filled(others: Any, row: Any) -> Any:
    """How many entries of a row stand before its -1s."""
    n = np.uint64(others.shape[1])
    while n > 0 and others[row, n - np.uint64(1)] < 0:
        n -= np.uint64(1)
    return n


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _next(own: Own, recent_from: int, following: Transitions, scratch: Scratch) -> None:
    others, rates, largest = following.item, following.rate, scratch.next
    items, position = own.item, own.position
    for k in range(own.counts[0]):
        if position[k] < recent_from:
            continue
        for j in range(others.shape[1]):
            other = others[items[k], j]
            if other < 0:
                break
            largest[other] = max(largest[other], rates[items[k], j])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _after(own: Own, following: Following, scratch: Scratch) -> None:
    start, others, excess, sums = following.start, following.item, following.excess, scratch.after
    items, position = own.item, own.position
    for k in range(own.counts[0]):
        if position[k] != own.counts[1] - 1:
            continue
        for at in range(start[items[k]], start[items[k] + 1]):
            sums[others[at]] += excess[at]


@numba.njit(cache=True, nogil=True)
def clean(own: Own, cat: CatalogueArrays, scratch: Scratch) -> None:
    """Undo what `own_items` and `point_to_items` wrote to `scratch`."""
    items, slot, families, groups = own.item, scratch.slot, scratch.family, scratch.group
    item_family, item_group = cat.item_family, cat.item_group
    for k in range(own.counts[0]):
        item = items[k]
        slot[item] = -1
        if item_family[item] >= 0:
            families[:, item_family[item]] = 0.0
        if item_group[item] >= 0:
            groups[:, item_group[item]] = 0.0
    for scores in (scratch.near, scratch.recent, scratch.next, scratch.after, scratch.peers, scratch.votes):
        scores[:] = np.float32(0.0)  # all of it: writing is cheaper than asking where
