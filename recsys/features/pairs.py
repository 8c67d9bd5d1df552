"""Customer × item features: one kernel over a customer's items and the population."""

from typing import Any

import numba
import numpy as np

from recsys.data.clock import DAY
from recsys.features.state import CatalogueArrays, Own, Scratch
from recsys.population.facts import PopulationArrays

OWN = (
    "own_orders",
    "own_share",
    "own_orders_28d",
    "own_orders_91d",
    "own_days_since_last",
    "own_days_since_first",
    "own_baskets_since",
    "own_gap",
    "own_overdue",
    "own_gap_overdue",
    "own_fast",
    "own_slow",
    "own_streak",
    "own_quantity",
)
"""The customer's own purchases of the item; 0 orders and NaN times if never bought. own_gap: mean days between its
orders, shrunk to the item's; own_overdue: days since last / own_gap; own_gap_overdue: days since last / its last gap;
own_fast, own_slow: orders faded by baskets (0.85 each) and by days (half-life 60)."""

ITEM = (
    "item_rate_7",
    "item_rate_28",
    "item_trend",
    "item_buyers_share",
    "item_adoption",
    "item_repeat_share",
    "item_gap",
    "item_spend",
    "item_age",
    "item_orders_per_buyer",
    "item_rate_now",
    "item_adoption_now",
    "item_repeat_now",
)
"""What the base does with the item, see recsys.population.facts.ItemFacts; item_trend: rate_28 / rate_56."""

LIKE = ("near", "recent_near", "next_rate", "als", "after", "peers", "votes")
"""What the customer's other purchases say: similarity to all and to the recent ones, next-basket rate, ALS score;
after: summed excess after the last basket; peers: share of the newest baskets of the customers most like this one;
votes: fresh baskets with it of the customers whose orders are most like this one's, mean by likeness."""

CATALOGUE = ("family_share", "family_days_since_last", "family_items", "group_share", "spend_ratio")
"""Share of the customer's faded orders in the item's family and group; days since and items bought in the family;
spend_ratio: what the item usually costs / what the customer usually spends on an item."""

CUSTOMER = (
    "orders",
    "days_since_last",
    "days_since_first",
    "order_gap",
    "overdue",
    "basket_items",
    "last_basket_items",
    "distinct_items",
    "new_item_share",
)
"""The customer as a whole: purchases, rhythm, basket size [items], how often something new is tried."""

PAIR_FEATURES = (*OWN, *ITEM, *LIKE, *CATALOGUE, *CUSTOMER)
"""Names of the features, in the order of the columns."""

N_PAIR_FEATURES = len(PAIR_FEATURES)
_ITEM, _LIKE = len(OWN), len(OWN) + len(ITEM)
_CATALOGUE = _LIKE + len(LIKE)
_CUSTOMER = _CATALOGUE + len(CATALOGUE)
OWN_GAP_WEIGHT = 2.0
"""Gaps the item's mean counts for in the customer's own gap of it."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def pair_rows(
    own: Own,
    as_of: int,
    cat: CatalogueArrays,
    population: PopulationArrays,
    scratch: Scratch,
    items: Any,
    n: int,
    out: Any,
) -> None:
    """Features of the items `items[:n]` for the customer of `own` into `out` float32 (>= n, N_PAIR_FEATURES).

    A row depends on the customer and its item alone, never on the other candidates.
    """
    totals = _totals(own)
    if n > 0:
        _customer_part(own, as_of, population, out[0, _CUSTOMER:])
    for row in range(n):
        item = items[row]
        _own_part(own, as_of, scratch.slot[item], population.items.mean_gap[item], out[row])
        _item_part(population, item, out[row, _ITEM:])
        _like_part(scratch, item, out[row, _LIKE:])
        _catalogue_part(as_of, cat, population, scratch, item, totals, out[row, _CATALOGUE:])
        for k in range(_CUSTOMER, out.shape[1]):
            out[row, k] = out[0, k]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _totals(own: Own) -> Any:
    """Sum of the faded orders of all items, and mean spend on an item per order."""
    slow, spend, orders = 0.0, 0.0, 0
    for k in range(own.counts[0]):
        slow += own.slow[k]
        spend += own.spend[k]
        orders += own.orders[k]
    return slow, spend / max(1, orders)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _own_part(own: Own, as_of: int, k: int, item_gap: float, out: Any) -> None:
    if k < 0:
        out[:_ITEM] = np.float32(np.nan)
        for zero in (0, 1, 2, 3, 10, 11, 12):
            out[zero] = np.float32(0.0)
        return
    orders = own.orders[k]
    since, lived = (as_of - own.last[k]) / DAY, (own.last[k] - own.first[k]) / DAY
    gap = (lived + OWN_GAP_WEIGHT * item_gap) / (orders - 1 + OWN_GAP_WEIGHT)
    out[0], out[1] = orders, orders / own.counts[1]
    out[2], out[3] = own.orders_28[k], own.orders_91[k]
    out[4], out[5] = since, (as_of - own.first[k]) / DAY
    out[6] = own.counts[1] - 1 - own.position[k]
    last_gap = own.gap[k] if own.gap[k] > 0.0 else np.nan  # two orders at one instant say nothing of a gap
    out[7], out[8], out[9] = gap, since / gap, since / last_gap
    out[10], out[11], out[12] = own.fast[k], own.slow[k], own.streak[k]
    out[13] = own.quantity[k] / orders


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _item_part(population: PopulationArrays, item: int, out: Any) -> None:
    facts, customers = population.items, population.base.means[0]
    out[0], out[1] = facts.rate_7[item], facts.rate_28[item]
    out[2] = facts.rate_28[item] / facts.rate_56[item] if facts.rate_56[item] > 0 else np.nan
    out[3] = facts.buyers[item] / customers
    out[4], out[5], out[6] = facts.adoption_28[item], facts.repeat_share[item], facts.mean_gap[item]
    out[7], out[8] = facts.spend[item], facts.age[item]
    out[9] = facts.orders[item] / facts.buyers[item] if facts.buyers[item] > 0 else np.nan
    out[10], out[11], out[12] = facts.rate_now[item], facts.adoption_now[item], facts.repeat_now[item]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _like_part(scratch: Scratch, item: int, out: Any) -> None:
    out[0], out[1], out[2] = scratch.near[item], scratch.recent[item], scratch.next[item]
    out[3], out[4] = scratch.als[item], scratch.after[item]
    out[5], out[6] = scratch.peers[item], scratch.votes[item]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _catalogue_part(
    as_of: int,
    cat: CatalogueArrays,
    population: PopulationArrays,
    scratch: Scratch,
    item: int,
    totals: Any,
    out: Any,
) -> None:
    slow, spend = totals
    family, group = cat.item_family[item], cat.item_group[item]
    out[0], out[1], out[2], out[3], out[4] = np.nan, np.nan, np.nan, np.nan, np.nan
    if family >= 0 and slow > 0:
        out[0], out[2] = scratch.family[0, family] / slow, scratch.family[2, family]
        if scratch.family[2, family] > 0:
            out[1] = (as_of - scratch.family[1, family]) / DAY
    if group >= 0 and slow > 0:
        out[3] = scratch.group[0, group] / slow
    if spend > 0:
        out[4] = population.items.spend[item] / spend


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _customer_part(own: Own, as_of: int, population: PopulationArrays, out: Any) -> None:
    purchases, means = own.counts[1], population.base.means
    out[0], out[7] = purchases, own.counts[0]
    if purchases == 0:
        for missing in (1, 2, 3, 4, 5, 6, 8):
            out[missing] = np.nan
        return
    since, lived = (as_of - own.times[1]) / DAY, (own.times[1] - own.times[0]) / DAY
    gap = (lived + means[1] * means[2]) / (purchases - 1 + means[2])
    out[1], out[2], out[3], out[4] = since, (as_of - own.times[0]) / DAY, gap, since / gap
    out[5], out[6] = own.counts[2] / purchases, own.counts[3]
    out[8] = own.counts[4] / max(1, own.counts[5])
