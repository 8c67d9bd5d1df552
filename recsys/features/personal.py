"""What one customer bought, item by item, and what it points to: the state that candidates and pair features read."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY
from recsys.data.history import HistoryArrays
from recsys.population.factors import all_scores, fold_in
from recsys.population.facts import PopulationArrays
from recsys.population.witnesses import FADE_BASKETS, MOST_WITNESSES, PROFILE

HALF_LIFE = 60.0
"""Days after which a purchase weighs half (`slow`)."""
RECENT_BASKETS = 3
"""Baskets whose items are looked up among neighbours and transitions as recent."""
PEERS = 1_000
"""Witnesses most like the customer whose newest baskets count."""
STEPS_OF_LIKENESS = 1_024
"""Steps of likeness between 0 and 1 that the PEERS are told apart by."""


class CatalogueArrays(NamedTuple):
    """Where products and items stand in the catalogue; see `recsys.data.catalogue.Catalogue`."""

    product_item: npt.NDArray[np.int32]
    item_family: npt.NDArray[np.int32]
    item_group: npt.NDArray[np.int32]


class Own(NamedTuple):
    """Items the customer bought, slot by slot; (capacity,) of which the first `counts[0]` are used.

    item int64, orders int64 (orders with it), first and last [s], position (of its last order among the customer's
    purchases, from 0), gap [days] between its last two orders (NaN), fast, slow (faded counts), orders_28, orders_91
    (orders of the last days), spend [minor units], quantity, streak (orders in a row, ending with its last).
    counts int64 (6,): items, purchases, sum of basket sizes, size of the last basket, items new in the last five
    baskets, size of those baskets.
    times int64 (2,): first and last purchase [s].
    """

    item: Any
    orders: Any
    first: Any
    last: Any
    position: Any
    gap: Any
    fast: Any
    slow: Any
    orders_28: Any
    orders_91: Any
    spend: Any
    quantity: Any
    streak: Any
    counts: Any
    times: Any


class Scratch(NamedTuple):
    """Working memory of one thread, (n_items,) unless said otherwise; kernels leave all but `als` clean.

    slot    int32    slot of the item in `Own`, -1 if never bought
    near    float32  similarity to what was bought, weighted by how fresh
    recent  float32  similarity to the items of the last baskets
    next    float32  largest rate with which it follows an item of the last baskets
    als     float32  ALS score
    after   float32  excess with which it follows the items of the last basket, summed where positive
    peers   float32  share of the newest baskets of the customers most like this one that hold it
    like    float32 (MOST_WITNESSES,)  likeness to each witness
    met     int32 (MOST_WITNESSES,)    witnesses with any likeness
    seen    uint8    1: in touched
    mark    uint8    candidate sources that proposed it
    touched int32    items with a score in near, next, after or peers
    family  float64 (3, n_families)  faded orders, last purchase [s], items
    group   float64 (1, n_groups)    faded orders
    """

    slot: Any
    near: Any
    recent: Any
    next: Any
    als: Any
    after: Any
    peers: Any
    like: Any
    met: Any
    seen: Any
    mark: Any
    touched: Any
    family: Any
    group: Any


def new_scratch(n_items: int, n_families: int, n_groups: int) -> Scratch:
    """Clean working memory for one thread."""
    return Scratch(
        slot=np.full(n_items, -1, np.int32),
        near=np.zeros(n_items, np.float32),
        recent=np.zeros(n_items, np.float32),
        next=np.zeros(n_items, np.float32),
        als=np.zeros(n_items, np.float32),
        after=np.zeros(n_items, np.float32),
        peers=np.zeros(n_items, np.float32),
        like=np.zeros(MOST_WITNESSES, np.float32),
        met=np.zeros(MOST_WITNESSES, np.int32),
        seen=np.zeros(n_items, np.uint8),
        mark=np.zeros(n_items, np.uint16),
        touched=np.zeros(n_items, np.int32),
        family=np.zeros((3, n_families)),
        group=np.zeros((1, n_groups)),
    )


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
    n_touched = _from_peers(own, population, scratch, n_touched)
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


@numba.njit(cache=True, nogil=True)
def _touch(item: int, scratch: Scratch, n_touched: int) -> Any:
    if scratch.seen[item] == 0:
        scratch.seen[item] = 1
        scratch.touched[n_touched] = item
        return n_touched + 1
    return n_touched


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _near(own: Own, k: int, recent: bool, population: PopulationArrays, scratch: Scratch, n_touched: int) -> int:
    near = population.neighbours
    item, weight = own.item[k], np.float32(np.log1p(own.slow[k]))
    for j in range(near.item.shape[1]):
        other = near.item[item, j]
        if other < 0:
            break
        similarity = near.similarity[item, j]
        n_touched = _touch(other, scratch, n_touched)
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
        n_touched = _touch(other, scratch, n_touched)
        scratch.next[other] = max(scratch.next[other], following.rate[item, j])
    return n_touched


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _after(item: int, population: PopulationArrays, scratch: Scratch, n_touched: int) -> Any:
    following = population.following
    for at in range(following.start[item], following.start[item + 1]):
        n_touched = _touch(following.item[at], scratch, n_touched)
        scratch.after[following.item[at]] += following.excess[at]
    return n_touched


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _from_peers(own: Own, population: PopulationArrays, scratch: Scratch, n_touched: int) -> Any:
    """Likeness of the customer's profile to each witness, and what the most like took last."""
    peers, n_met = population.peers, 0
    slots, weights = _profile(own, population.items.rarity)
    for at in range(len(slots)):
        item, weight = own.item[slots[at]], np.float32(weights[at])
        for place in range(peers.start[item], peers.start[item + 1]):
            witness = peers.customer[place]
            if scratch.like[witness] == 0:
                scratch.met[n_met] = witness
                n_met += 1
            scratch.like[witness] += weight * peers.weight[place]
    return _add_peers(population, scratch, n_met, n_touched)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _profile(own: Own, rarity: Any) -> Any:
    """Slots and weights of the PROFILE strongest items, ties by item; weights have length 1. As in `profiles`."""
    n = own.counts[0]
    by_item = np.argsort(own.item[:n], kind="mergesort")
    strength = np.empty(n)
    for k in range(n):
        strength[k] = -own.fast[by_item[k]] * np.float64(rarity[own.item[by_item[k]]])
    order = np.argsort(strength, kind="mergesort")[:PROFILE]
    squares = 0.0
    for k in order:
        squares += strength[k] * strength[k]
    scale = np.sqrt(squares) if squares > 0 else 1.0
    return by_item[order], -strength[order] / scale


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_peers(population: PopulationArrays, scratch: Scratch, n_met: int, n_touched: int) -> int:
    """Newest baskets of about PEERS witnesses most like the customer, by likeness and freshness, as shares.

    Likeness is told apart in steps; all witnesses of the last step that is reached count.
    """
    peers, met = population.peers, scratch.met[:n_met]
    steps = np.zeros(STEPS_OF_LIKENESS + 1, np.int64)
    for witness in met:
        steps[_step(scratch.like[witness])] += 1
    least, reached = STEPS_OF_LIKENESS, steps[STEPS_OF_LIKENESS]
    while least > 0 and reached < PEERS:
        least -= 1
        reached += steps[least]
    total = np.float32(0.0)
    for witness in met:
        if _step(scratch.like[witness]) >= least:
            weight = scratch.like[witness] * peers.fresh[witness]
            total += weight
            for at in range(peers.basket_start[witness], peers.basket_start[witness + 1]):
                n_touched = _touch(peers.basket_item[at], scratch, n_touched)
                scratch.peers[peers.basket_item[at]] += weight
        scratch.like[witness] = np.float32(0.0)
    total = max(total, np.float32(1e-9))
    for at in range(n_touched):
        scratch.peers[scratch.touched[at]] /= total
    return n_touched


@numba.njit(cache=True, nogil=True)
def _step(likeness: float) -> int:
    step = int(likeness * STEPS_OF_LIKENESS)
    return step if step < STEPS_OF_LIKENESS else STEPS_OF_LIKENESS


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
        scratch.after[item], scratch.peers[item] = np.float32(0), np.float32(0)
        scratch.seen[item] = 0
