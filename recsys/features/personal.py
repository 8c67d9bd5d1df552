"""What one customer bought, item by item, and what it points to: the state that candidates and pair features read."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY
from recsys.data.history import HistoryArrays
from recsys.population.factors import all_scores, fold_in
from recsys.population.facts import Following, Neighbours, Peers, PopulationArrays, Transitions
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
    position = 0
    for order in range(low, high):
        if not _has_item(start[order], start[order + 1], product, quantity, product_item):
            continue
        at = times[order]
        days = (as_of - at) / DAY
        faded = FADE_BASKETS ** np.float64(purchases - 1 - position), 0.5 ** (days / HALF_LIFE)
        recent, size, new = position >= purchases - 5, 0, 0
        for line in range(start[order], start[order + 1]):
            item = product_item[product[line]] if product[line] >= 0 else -1
            if item < 0 or quantity[line] <= 0:
                continue
            k = slots[item]
            if k < 0:
                k = counts[0]
                counts[0] += 1
                slots[item] = k
                items[k], first[k] = item, at
                new += 1
            spend[k] += amount[line]
            pieces[k] += quantity[line]
            if positions[k] == position:
                continue
            gap[k] = (at - last[k]) / DAY if orders[k] > 0 else np.nan
            streak[k] = streak[k] + 1 if orders[k] > 0 and positions[k] == position - 1 else 1
            orders[k] += 1
            last[k], positions[k] = at, position
            fast[k] += faded[0]
            slow[k] += faded[1]
            orders_28[k] += days < 28
            orders_91[k] += days < 91
            size += 1
        counts[2] += size
        counts[3] = size
        counts[4] += new if recent else 0
        counts[5] += size if recent else 0
        own.times[0] = at if position == 0 else own.times[0]
        own.times[1] = at
        position += 1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def point_to_items(own: Own, cat: CatalogueArrays, population: PopulationArrays, scratch: Scratch) -> int:
    """Fill the scores of `scratch` from what the customer bought; returns how many items are in `scratch.touched`."""
    n, recent_from = own.counts[0], own.counts[1] - RECENT_BASKETS
    n_touched = _near(own, recent_from, population.neighbours, scratch, 0)
    n_touched = _next(own, recent_from, population.transitions, scratch, n_touched)
    n_touched = _after(own, population.following, scratch, n_touched)
    _add_families(own, cat, scratch.family, scratch.group)
    n_touched = _from_peers(own, population, scratch, n_touched)
    if n > 0:
        weights = np.log1p(own.orders[:n].astype(np.float64))
        all_scores(population.factors, fold_in(population.factors, own.item, weights, n), scratch.als)
    else:
        scratch.als[:] = np.float32(0.0)
    return int(n_touched)


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


@numba.njit(cache=True, nogil=True)
def _touch(item: int, seen: Any, touched: Any, n_touched: int) -> Any:
    if seen[item] == 0:
        seen[item] = 1
        touched[n_touched] = item
        return n_touched + 1
    return n_touched


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _near(own: Own, recent_from: int, near: Neighbours, scratch: Scratch, n_touched: int) -> Any:
    others, similarities, sums, recent = near.item, near.similarity, scratch.near, scratch.recent
    items, position, slow, seen, touched = own.item, own.position, own.slow, scratch.seen, scratch.touched
    for k in range(own.counts[0]):
        item, weight = items[k], np.float32(np.log1p(slow[k]))
        for j in range(others.shape[1]):
            other, similarity = others[item, j], similarities[item, j]
            if other < 0:
                break
            n_touched = _touch(other, seen, touched, n_touched)
            sums[other] += weight * similarity
            if position[k] >= recent_from:
                recent[other] += similarity
    return n_touched


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _next(own: Own, recent_from: int, following: Transitions, scratch: Scratch, n_touched: int) -> Any:
    others, rates, largest = following.item, following.rate, scratch.next
    items, position, seen, touched = own.item, own.position, scratch.seen, scratch.touched
    for k in range(own.counts[0]):
        if position[k] < recent_from:
            continue
        for j in range(others.shape[1]):
            other = others[items[k], j]
            if other < 0:
                break
            n_touched = _touch(other, seen, touched, n_touched)
            largest[other] = max(largest[other], rates[items[k], j])
    return n_touched


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _after(own: Own, following: Following, scratch: Scratch, n_touched: int) -> Any:
    start, others, excess, sums = following.start, following.item, following.excess, scratch.after
    items, position, seen, touched = own.item, own.position, scratch.seen, scratch.touched
    for k in range(own.counts[0]):
        if position[k] != own.counts[1] - 1:
            continue
        for at in range(start[items[k]], start[items[k] + 1]):
            n_touched = _touch(others[at], seen, touched, n_touched)
            sums[others[at]] += excess[at]
    return n_touched


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _from_peers(own: Own, population: PopulationArrays, scratch: Scratch, n_touched: int) -> Any:
    """Likeness of the customer's profile to each witness, and what the most like took last."""
    peers, n_met = population.peers, 0
    start, customer, weights_of, items, like, met = (
        peers.start,
        peers.customer,
        peers.weight,
        own.item,
        scratch.like,
        scratch.met,
    )
    slots, weights = _profile(own, population.items.rarity)
    for at in range(len(slots)):
        item, weight = items[slots[at]], np.float32(weights[at])
        for place in range(start[item], start[item + 1]):
            witness = customer[place]
            if like[witness] == 0:
                met[n_met] = witness
                n_met += 1
            like[witness] += weight * weights_of[place]
    return _add_peers(peers, scratch, n_met, n_touched)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _profile(own: Own, rarity: Any) -> Any:
    """Slots and weights of the PROFILE strongest items, ties by item; weights have length 1. As in `profiles`."""
    n, items, fast = own.counts[0], own.item, own.fast
    strength = np.empty(n)
    for k in range(n):
        strength[k] = -fast[k] * np.float64(rarity[items[k]])
    order = ranked(strength, items)[:PROFILE]
    squares = 0.0
    for k in order:
        squares += strength[k] * strength[k]
    scale = np.sqrt(squares) if squares > 0 else 1.0
    return order, -strength[order] / scale


@numba.njit(cache=True, nogil=True)
def ranked(keys: Any, items: Any) -> Any:
    """Places of the `keys` (n,), smallest first, ties by `items`."""
    order = np.argsort(keys)
    for at in range(1, len(order)):
        moved, place = order[at], at
        while place > 0 and keys[order[place - 1]] == keys[moved] and items[order[place - 1]] > items[moved]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = moved
    return order


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_peers(peers: Peers, scratch: Scratch, n_met: int, n_touched: int) -> int:
    """Newest baskets of about PEERS witnesses most like the customer, by likeness and freshness, as shares.

    Likeness is told apart in steps; all witnesses of the last step that is reached count.
    """
    met, like, shares, seen, touched = scratch.met[:n_met], scratch.like, scratch.peers, scratch.seen, scratch.touched
    fresh, start, items = peers.fresh, peers.basket_start, peers.basket_item
    steps = np.zeros(STEPS_OF_LIKENESS + 1, np.int64)
    for witness in met:
        steps[_step(like[witness])] += 1
    least, reached = STEPS_OF_LIKENESS, steps[STEPS_OF_LIKENESS]
    while least > 0 and reached < PEERS:
        least -= 1
        reached += steps[least]
    total = np.float32(0.0)
    for witness in met:
        if _step(like[witness]) >= least:
            weight = like[witness] * fresh[witness]
            total += weight
            for at in range(start[witness], start[witness + 1]):
                n_touched = _touch(items[at], seen, touched, n_touched)
                shares[items[at]] += weight
        like[witness] = np.float32(0.0)
    total = max(total, np.float32(1e-9))
    for at in range(n_touched):
        shares[touched[at]] /= total
    return n_touched


@numba.njit(cache=True, nogil=True)
def _step(likeness: float) -> int:
    step = int(likeness * STEPS_OF_LIKENESS)
    return step if step < STEPS_OF_LIKENESS else STEPS_OF_LIKENESS


@numba.njit(cache=True, nogil=True)
def clean(own: Own, cat: CatalogueArrays, scratch: Scratch, n_touched: int) -> None:
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
    near, recent, following, after = scratch.near, scratch.recent, scratch.next, scratch.after
    peers, seen, touched = scratch.peers, scratch.seen, scratch.touched
    for k in range(n_touched):
        item = touched[k]
        near[item], recent[item], following[item] = np.float32(0), np.float32(0), np.float32(0)
        after[item], peers[item] = np.float32(0), np.float32(0)
        seen[item] = 0
