"""The numbers an offer can be explained by: the customer's own purchases and what others did, in one kernel."""

from typing import Any, NamedTuple

import numba
import numpy as np

from recsys.data.clock import DAY
from recsys.data.history import HistoryArrays
from recsys.features.personal import clean, own_items
from recsys.features.state import CatalogueArrays, Own, Scratch
from recsys.population.facts import PopulationArrays

SUPPORT = 5
"""Customers that must have gone from one item to the other before it is a reason."""
SHRINK = 20.0
"""Customers the usual share counts for when own items compete for being the reason, so that small numbers don't win."""
RECENT_ORDERS = 10
"""Last orders among which those with an item are counted."""


class Evidence(NamedTuple):
    """Numbers behind items, each (n_items_asked,).

    orders, gap [days], since [days]  own purchases of it; gap NaN below two
    with_item, recent                 orders with it among the last `recent` of at most RECENT_ORDERS
    led                               own item that led most customers to it, -1; as the family's for new items only
    led_after, led_buyers, led_orders customers that went on, customers of `led`, the customer's own orders of `led`
    next_item, next_rate              item of the last basket it follows most often, -1, and how often
    family_orders, family_items       the customer's orders of other items of its family, and how many these items are
    """

    orders: Any
    gap: Any
    since: Any
    with_item: Any
    recent: Any
    led: Any
    led_after: Any
    led_buyers: Any
    led_orders: Any
    next_item: Any
    next_rate: Any
    family_orders: Any
    family_items: Any


@numba.njit(cache=True, nogil=True, error_model="numpy")
def evidence_of(
    h: HistoryArrays,
    low: int,
    high: int,
    as_of: int,
    cat: CatalogueArrays,
    population: PopulationArrays,
    scratch: Scratch,
    items: Any,
) -> Evidence:
    """Evidence for the items `items` int64 (n,) of the customer with the visible orders `low:high`."""
    own = own_items(h, low, high, as_of, cat, scratch)
    n = len(items)
    found = Evidence(
        np.zeros(n, np.int64),
        np.full(n, np.nan),
        np.full(n, np.nan),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.full(n, -1, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.full(n, -1, np.int64),
        np.zeros(n),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
    )
    for at in range(n):
        k = scratch.slot[items[at]]
        if k >= 0:
            found.orders[at], found.since[at] = own.orders[k], (as_of - own.last[k]) / DAY
            found.with_item[at], found.recent[at] = _recent(h, low, high, cat.product_item, items[at])
            if own.orders[k] > 1:
                found.gap[at] = (own.last[k] - own.first[k]) / DAY / (own.orders[k] - 1)
        for other in range(own.counts[0]):
            if own.item[other] != items[at]:
                _next(own, other, items[at], at, population, found)
                if k < 0:
                    _from_item(own, other, items[at], at, cat, population, found)
    clean(own, cat, scratch)
    return found


@numba.njit(cache=True, nogil=True)
def _recent(h: HistoryArrays, low: int, high: int, product_item: Any, wanted: int) -> Any:
    """Orders with the item `wanted` among the last RECENT_ORDERS with any item, and how many those are."""
    having, seen = 0, 0
    for order in range(high - 1, low - 1, -1):
        any_item, this_item = False, False
        for line in range(h.line_start[order], h.line_start[order + 1]):
            product = h.line_product[line]
            item = product_item[product] if product >= 0 else -1
            if item >= 0 and h.line_quantity[line] > 0:
                any_item, this_item = True, this_item or item == wanted
        seen += any_item
        having += this_item
        if seen == RECENT_ORDERS:
            break
    return having, seen


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _from_item(
    own: Own, k: int, target: int, at: int, cat: CatalogueArrays, population: PopulationArrays, found: Evidence
) -> None:
    """What the own item in slot `k` says about `target`, which the customer never bought."""
    item, near = own.item[k], population.neighbours
    for j in range(near.item.shape[1]):
        if near.item[item, j] == target and near.after[item, j] >= SUPPORT:
            buyers, usual = population.items.buyers[item], population.items.buyers[target] / population.base.means[0]
            share = (near.after[item, j] + SHRINK * usual) / (buyers + SHRINK)
            best = (found.led_after[at] + SHRINK * usual) / (found.led_buyers[at] + SHRINK)
            if found.led[at] < 0 or share > best:
                found.led[at], found.led_orders[at] = item, own.orders[k]
                found.led_after[at], found.led_buyers[at] = near.after[item, j], buyers
    if cat.item_family[item] >= 0 and cat.item_family[item] == cat.item_family[target]:
        found.family_orders[at] += own.orders[k]
        found.family_items[at] += 1


@numba.njit(cache=True, nogil=True)
def _next(own: Own, k: int, target: int, at: int, population: PopulationArrays, found: Evidence) -> None:
    """How often `target` follows the own item in slot `k`, if that was in the last basket."""
    item, following = own.item[k], population.transitions
    if own.position[k] == own.counts[1] - 1:
        for j in range(following.item.shape[1]):
            if following.item[item, j] == target and following.rate[item, j] > found.next_rate[at]:
                found.next_item[at], found.next_rate[at] = item, following.rate[item, j]
