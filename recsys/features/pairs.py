"""Customer × item features: one kernel over a customer's items and the population."""

from typing import Any

import numba
import numpy as np

from recsys.data.clock import DAY
from recsys.features.state import CatalogueArrays, Own, Scratch
from recsys.population.facts import ItemFacts, PopulationArrays

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

    A row depends on the customer and its item alone, never on the other candidates. Part by part, and arrays taken out
    of their tuples before the loops: handing whole tuples from row to row cost forty times what is computed.
    """
    rows, facts = items[:n], population.items
    _own_part(own, as_of, scratch.slot, facts.mean_gap, rows, out)
    _item_part(facts, population.base.means[0], rows, out[:, _ITEM:])
    _like_part(scratch, rows, out[:, _LIKE:])
    _catalogue_part(as_of, cat, facts.spend, scratch.family, scratch.group, _totals(own), rows, out[:, _CATALOGUE:])
    if n > 0:
        _customer_part(own, as_of, population, out[0, _CUSTOMER:])
    for row in range(1, n):
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
def _own_part(own: Own, as_of: int, slot: Any, mean_gap: Any, items: Any, out: Any) -> None:
    orders, first, last, own_gap, position = own.orders, own.first, own.last, own.gap, own.position
    last_28, last_91, fast, slow = own.orders_28, own.orders_91, own.fast, own.slow
    streak, quantity, purchases = own.streak, own.quantity, own.counts[1]
    for row in range(items.size):
        k = slot[items[row]]
        if k < 0:
            _never_bought(out, row)
            continue
        since, lived = (as_of - last[k]) / DAY, (last[k] - first[k]) / DAY
        gap = (lived + OWN_GAP_WEIGHT * mean_gap[items[row]]) / (orders[k] - 1 + OWN_GAP_WEIGHT)
        out[row, 0], out[row, 1] = orders[k], orders[k] / purchases
        out[row, 2], out[row, 3] = last_28[k], last_91[k]
        out[row, 4], out[row, 5] = since, (as_of - first[k]) / DAY
        out[row, 6] = purchases - 1 - position[k]
        last_gap = own_gap[k] if own_gap[k] > 0.0 else np.nan  # two orders at one instant say nothing of a gap
        out[row, 7], out[row, 8], out[row, 9] = gap, since / gap, since / last_gap
        out[row, 10], out[row, 11], out[row, 12] = fast[k], slow[k], streak[k]
        out[row, 13] = quantity[k] / orders[k]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _never_bought(out: Any, row: int) -> None:
    for column in range(_ITEM):
        out[row, column] = np.float32(np.nan)
    for zero in (0, 1, 2, 3, 10, 11, 12):
        out[row, zero] = np.float32(0.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _item_part(facts: ItemFacts, customers: float, items: Any, out: Any) -> None:
    rate_7, rate_28, rate_56, buyers, orders = facts.rate_7, facts.rate_28, facts.rate_56, facts.buyers, facts.orders
    adoption, repeat, mean_gap, spend, age = (
        facts.adoption_28,
        facts.repeat_share,
        facts.mean_gap,
        facts.spend,
        facts.age,
    )
    rate_now, adoption_now, repeat_now = facts.rate_now, facts.adoption_now, facts.repeat_now
    for row in range(items.size):
        item = items[row]
        out[row, 0], out[row, 1] = rate_7[item], rate_28[item]
        out[row, 2] = rate_28[item] / rate_56[item] if rate_56[item] > 0 else np.nan
        out[row, 3] = buyers[item] / customers
        out[row, 4], out[row, 5], out[row, 6] = adoption[item], repeat[item], mean_gap[item]
        out[row, 7], out[row, 8] = spend[item], age[item]
        out[row, 9] = orders[item] / buyers[item] if buyers[item] > 0 else np.nan
        out[row, 10], out[row, 11], out[row, 12] = rate_now[item], adoption_now[item], repeat_now[item]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _like_part(scratch: Scratch, items: Any, out: Any) -> None:
    near, recent, following, als = scratch.near, scratch.recent, scratch.next, scratch.als
    after, peers, votes = scratch.after, scratch.peers, scratch.votes
    for row in range(items.size):
        item = items[row]
        out[row, 0], out[row, 1], out[row, 2] = near[item], recent[item], following[item]
        out[row, 3], out[row, 4] = als[item], after[item]
        out[row, 5], out[row, 6] = peers[item], votes[item]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _catalogue_part(
    as_of: int, cat: CatalogueArrays, usual: Any, families: Any, groups: Any, totals: Any, items: Any, out: Any
) -> None:
    slow, spend = totals
    item_family, item_group = cat.item_family, cat.item_group
    for row in range(items.size):
        family, group = item_family[items[row]], item_group[items[row]]
        for column in range(5):
            out[row, column] = np.nan
        if family >= 0 and slow > 0:
            out[row, 0], out[row, 2] = families[0, family] / slow, families[2, family]
            if families[2, family] > 0:
                out[row, 1] = (as_of - families[1, family]) / DAY
        if group >= 0 and slow > 0:
            out[row, 3] = groups[0, group] / slow
        if spend > 0:
            out[row, 4] = usual[items[row]] / spend


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
