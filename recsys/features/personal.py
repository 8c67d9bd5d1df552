"""What one customer bought, item by item, and what it points to: the state that candidates and pair features read."""

from typing import Any

import numba
import numpy as np

from recsys.data.clock import DAY
from recsys.data.history import HistoryArrays
from recsys.features.alike import from_peers
from recsys.features.state import CatalogueArrays, Own, Scratch, touch
from recsys.population.factors import all_scores, fold_in
from recsys.population.facts import PopulationArrays
from recsys.population.witnesses import FADE_BASKETS

HALF_LIFE = 60.0
"""Days after which a purchase weighs half (`slow`)."""
RECENT_BASKETS = 3
"""Baskets whose items are looked up among neighbours and transitions as recent."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def own_items(h: HistoryArrays, low: int, high: int, as_of: int, cat: CatalogueArrays, scratch: Scratch) -> Own:
    """Items of the orders `low:high`; leaves their slots in `scratch.slot` until `clean`."""
    capacity = max(1, min(len(scratch.slot), np.int64(h.line_start[high]) - np.int64(h.line_start[low])))
    own = Own(
        np.zeros(capacity, np.int64),
        np.zeros(capacity, np.int64),
        np.zeros(capacity, np.int64),
        np.zeros(capacity, np.int64),
        np.full(capacity, -1, np.int64),
        np.full(capacity, np.nan),
        np.zeros(capacity),
        np.zeros(capacity),
        np.zeros(capacity, np.int64),
        np.zeros(capacity, np.int64),
        np.zeros(capacity),
        np.zeros(capacity),
        np.zeros(capacity, np.int64),
        np.zeros(6, np.int64),
        np.zeros(2, np.int64),
    )
    purchases = 0
    for order in range(low, high):
        purchases += _has_item(h, order, cat.product_item)
    position = 0
    for order in range(low, high):
        if _has_item(h, order, cat.product_item):
            _add_order(h, order, position, purchases, as_of, cat.product_item, scratch.slot, own)
            position += 1
    own.counts[1] = purchases
    return own


@numba.njit(cache=True, nogil=True)
def _has_item(h: HistoryArrays, order: int, product_item: Any) -> bool:
    for line in range(h.line_start[order], h.line_start[order + 1]):
        product = h.line_product[line]
        if h.line_quantity[line] > 0 and product >= 0 and product_item[product] >= 0:
            return True
    return False


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_order(
    h: HistoryArrays, order: int, position: int, purchases: int, as_of: int, product_item: Any, slots: Any, own: Own
) -> None:
    at = h.order_time[order]
    days = (as_of - at) / DAY
    fast, slow = FADE_BASKETS ** np.float64(purchases - 1 - position), 0.5 ** (days / HALF_LIFE)
    recent, size, new = position >= purchases - 5, 0, 0
    for line in range(h.line_start[order], h.line_start[order + 1]):
        product = h.line_product[line]
        item = product_item[product] if product >= 0 else -1
        if item < 0 or h.line_quantity[line] <= 0:
            continue
        k = slots[item]
        if k < 0:
            k = own.counts[0]
            own.counts[0] += 1
            slots[item] = k
            own.item[k], own.first[k] = item, at
            new += 1
        own.spend[k] += h.line_amount[line]
        own.quantity[k] += h.line_quantity[line]
        if own.position[k] == position:
            continue
        own.gap[k] = (at - own.last[k]) / DAY if own.orders[k] > 0 else np.nan
        own.streak[k] = own.streak[k] + 1 if own.orders[k] > 0 and own.position[k] == position - 1 else 1
        own.orders[k] += 1
        own.last[k], own.position[k] = at, position
        own.fast[k] += fast
        own.slow[k] += slow
        own.orders_28[k] += days < 28
        own.orders_91[k] += days < 91
        size += 1
    own.counts[2] += size
    own.counts[3] = size
    own.counts[4] += new if recent else 0
    own.counts[5] += size if recent else 0
    own.times[0] = at if position == 0 else own.times[0]
    own.times[1] = at


@numba.njit(cache=True, nogil=True, error_model="numpy")
def point_to_items(own: Own, cat: CatalogueArrays, population: PopulationArrays, scratch: Scratch) -> int:
    """Fill the scores of `scratch` from what the customer bought; returns how many items are in `scratch.touched`."""
    n, n_touched = own.counts[0], 0
    recent_from = own.counts[1] - RECENT_BASKETS
    weights = np.empty(max(1, n))
    for k in range(n):
        item = own.item[k]
        weights[k] = np.log1p(np.float64(own.orders[k]))
        n_touched = _near(own, k, own.position[k] >= recent_from, population, scratch, n_touched)
        if own.position[k] >= recent_from:
            n_touched = _next(item, population, scratch, n_touched)
        if own.position[k] == own.counts[1] - 1:
            n_touched = _after(item, population, scratch, n_touched)
        _add_family(own, k, cat, scratch)
    n_touched = from_peers(own, population, scratch, n_touched)
    if n > 0:
        all_scores(population.factors, fold_in(population.factors, own.item, weights, n), scratch.als)
    else:
        scratch.als[:] = np.float32(0.0)
    return int(n_touched)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_family(own: Own, k: int, cat: CatalogueArrays, scratch: Scratch) -> None:
    family, group = cat.item_family[own.item[k]], cat.item_group[own.item[k]]
    if family >= 0:
        scratch.family[0, family] += own.slow[k]
        scratch.family[1, family] = max(scratch.family[1, family], np.float64(own.last[k]))
        scratch.family[2, family] += 1
    if group >= 0:
        scratch.group[0, group] += own.slow[k]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _near(own: Own, k: int, recent: bool, population: PopulationArrays, scratch: Scratch, n_touched: int) -> int:
    near = population.neighbours
    item, weight = own.item[k], np.float32(np.log1p(own.slow[k]))
    for j in range(near.item.shape[1]):
        other = near.item[item, j]
        if other < 0:
            break
        similarity = near.similarity[item, j]
        n_touched = touch(other, scratch, n_touched)
        scratch.near[other] += weight * similarity
        if recent:
            scratch.recent[other] += similarity
    return n_touched


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _next(item: int, population: PopulationArrays, scratch: Scratch, n_touched: int) -> int:
    following = population.transitions
    for j in range(following.item.shape[1]):
        other = following.item[item, j]
        if other < 0:
            break
        n_touched = touch(other, scratch, n_touched)
        scratch.next[other] = max(scratch.next[other], following.rate[item, j])
    return n_touched


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _after(item: int, population: PopulationArrays, scratch: Scratch, n_touched: int) -> Any:
    following = population.following
    for at in range(following.start[item], following.start[item + 1]):
        n_touched = touch(following.item[at], scratch, n_touched)
        scratch.after[following.item[at]] += following.excess[at]
    return n_touched


@numba.njit(cache=True, nogil=True)
def clean(own: Own, cat: CatalogueArrays, scratch: Scratch, n_touched: int) -> None:
    """Undo what `own_items` and `point_to_items` wrote to `scratch`."""
    for k in range(own.counts[0]):
        item = own.item[k]
        scratch.slot[item] = -1
        if cat.item_family[item] >= 0:
            scratch.family[:, cat.item_family[item]] = 0.0
        if cat.item_group[item] >= 0:
            scratch.group[:, cat.item_group[item]] = 0.0
    for k in range(n_touched):
        item = scratch.touched[k]
        scratch.near[item], scratch.recent[item], scratch.next[item] = np.float32(0), np.float32(0), np.float32(0)
        scratch.after[item], scratch.peers[item], scratch.votes[item] = np.float32(0), np.float32(0), np.float32(0)
        scratch.seen[item] = 0
