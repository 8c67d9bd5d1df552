"""Candidate sources → at most `limit` items worth ranking, own ones and new ones in shares."""

from typing import Any

import numba
import numpy as np

from recsys.features.state import CatalogueArrays, Own, Scratch
from recsys.population.facts import Popular, PopulationArrays

SOURCES = (
    "own repeats",
    "bought together",
    "next basket",
    "taste",
    "popular now",
    "same family",
    "customers like this one",
    "taken up now",
    "new arrivals",
    "baskets of neighbours",
    "lookalikes",
    "viewed, not bought",
)
"""Names of the candidate sources; bit i of a candidate's mark is SOURCES[i]. All but the first propose new items, the
last one also items bought before."""

OWN_BIT = 1
VIEWED_BIT = 1 << SOURCES.index("viewed, not bought")
LIST = 100
"""Length of each source's list."""
FAMILIES = 4
"""Families whose popular items are proposed."""
REPEAT, NEW, MIXED = 0, 1, 2
"""Modes as kernels take them."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def candidates(
    own: Own,
    cat: CatalogueArrays,
    population: PopulationArrays,
    allowed: Any,
    scratch: Scratch,
    n_touched: int,
    named: Any,
    mode: int,
    limit: int,
    out: Any,
    marks: Any,
) -> Any:
    """Items to rank into `out` int64 (limit,), their sources into `marks` uint16 (limit,); returns how many.

    `allowed` uint8 (n_items,): 1 where the item may be offered now. `named` int64 (2, k): items that lookalikes, then
    looks, point to, best first, -1 padded. In `MIXED` own and new items get half each; what one side does not use goes
    to the other.
    """
    own_list = np.empty(max(1, own.counts[0]), np.int64)
    n_own = _own_list(own, allowed, own_list) if mode != NEW else 0
    n_viewed = _viewed_first(own_list, n_own, named[1])
    lists = np.full((len(SOURCES) - 1, limit), -1, np.int64)
    if mode != REPEAT:
        new_lists(own, cat, population, allowed, scratch, n_touched, named, lists)
    n_new = _merge(lists, scratch.mark, limit, out, marks)
    own_share = max(limit // 2, limit - n_new) if mode == MIXED else limit
    n_own = min(n_own, own_share)
    n_new = min(n_new, limit - n_own)
    for k in range(n_own):
        out[n_new + k], marks[n_new + k] = own_list[k], OWN_BIT | (VIEWED_BIT if k < n_viewed else 0)
    return n_new + n_own


@numba.njit(cache=True, nogil=True)
def _own_list(own: Own, allowed: Any, out: Any) -> int:
    """Allowed own items: most faded orders by baskets first, ties by item."""
    n = 0
    for k in range(own.counts[0]):
        if allowed[own.item[k]]:
            out[n] = k
            n += 1
    slots = out[:n]
    keys = np.empty(n)
    for at in range(n):
        keys[at] = -own.fast[slots[at]]
    items = own.item[slots]
    by_item = np.argsort(items, kind="mergesort")
    order = by_item[np.argsort(keys[by_item], kind="mergesort")]
    out[:n] = items[order]
    return n


@numba.njit(cache=True, nogil=True)
def _viewed_first(items: Any, n: int, viewed: Any) -> int:
    """Bring those of `items[:n]` that are `viewed` to the front, in the sequence of `viewed`; how many they are."""
    first = 0
    for wanted in viewed:
        for at in range(first, n):
            if items[at] == wanted:
                items[first + 1 : at + 1] = items[first:at].copy()
                items[first] = wanted
                first += 1
                break
    return first


@numba.njit(cache=True, nogil=True, error_model="numpy")
def new_lists(
    own: Own,
    cat: CatalogueArrays,
    population: PopulationArrays,
    allowed: Any,
    scratch: Scratch,
    n_touched: int,
    named: Any,
    lists: Any,
) -> None:
    """Best allowed, never bought items of SOURCES[1:] into `lists` (n, limit), best first, ties by item, -1 padded.

    `named` as in `candidates`.
    """
    size = min(LIST, lists.shape[1])
    touched = scratch.touched[:n_touched]
    best_of(touched, n_touched, scratch.near, allowed, scratch.slot, lists[0, :size])
    best_of(touched, n_touched, scratch.next, allowed, scratch.slot, lists[1, :size])
    if own.counts[0] > 0:
        best_of(touched, -1, scratch.als, allowed, scratch.slot, lists[2, :size])
    _in_sequence(population.popular.order, allowed, scratch.slot, lists[3])
    _family(own, cat, population.popular, allowed, scratch, lists[4, :size])
    best_of(touched, n_touched, scratch.peers, allowed, scratch.slot, lists[5, :size])
    _in_sequence(population.popular.adopted, allowed, scratch.slot, lists[6, :size])
    _in_sequence(population.popular.arrivals, allowed, scratch.slot, lists[7, :size])
    best_of(touched, n_touched, scratch.votes, allowed, scratch.slot, lists[8, :size])
    _in_sequence(named[0], allowed, scratch.slot, lists[9])
    _in_sequence(named[1], allowed, scratch.slot, lists[10])


@numba.njit(cache=True, nogil=True)
def best_of(touched: Any, n_touched: int, score: Any, allowed: Any, slot: Any, out: Any) -> None:
    """Items with the largest positive score, ties by item, among `touched` (or all items if `n_touched` < 0)."""
    size, n = len(out), 0
    values = np.empty(size, np.float32)
    for at in range(n_touched if n_touched >= 0 else len(score)):
        item = touched[at] if n_touched >= 0 else at
        x = score[item]
        if x <= 0 or slot[item] >= 0 or not allowed[item]:
            continue
        if n == size and (x < values[n - 1] or (x == values[n - 1] and item > out[n - 1])):
            continue
        place = n if n < size else size - 1
        while place > 0 and (x > values[place - 1] or (x == values[place - 1] and item < out[place - 1])):
            if place < size:
                values[place], out[place] = values[place - 1], out[place - 1]
            place -= 1
        values[place], out[place] = x, item
        n = min(size, n + 1)


@numba.njit(cache=True, nogil=True)
def _in_sequence(order: Any, allowed: Any, slot: Any, out: Any) -> None:
    """The first allowed, never bought items of `order`, which may end with -1."""
    n = 0
    for item in order:
        if item < 0:
            return
        if allowed[item] and slot[item] < 0:
            out[n] = item
            n += 1
            if n == len(out):
                return


@numba.njit(cache=True, nogil=True)
def _family(own: Own, cat: CatalogueArrays, popular: Popular, allowed: Any, scratch: Scratch, out: Any) -> None:
    """Popular items of the families the customer buys most, an equal share of each family."""
    n, share = 0, max(1, len(out) // FAMILIES)
    chosen = np.full(FAMILIES, -1, np.int64)
    for rank in range(FAMILIES):
        best = -1
        for k in range(own.counts[0]):
            family = cat.item_family[own.item[k]]
            if family < 0 or (chosen[:rank] == family).any():
                continue
            if (
                best < 0
                or scratch.family[0, family] > scratch.family[0, best]
                or (scratch.family[0, family] == scratch.family[0, best] and family < best)
            ):
                best = family
        if best < 0:
            return
        chosen[rank] = best
        taken = 0
        for at in range(popular.family_start[best], popular.family_start[best + 1]):
            item = popular.family_items[at]
            if taken < share and allowed[item] and scratch.slot[item] < 0:
                out[n] = item
                n, taken = n + 1, taken + 1


@numba.njit(cache=True, nogil=True)
def _merge(lists: Any, mark: Any, limit: int, out: Any, marks: Any) -> int:
    """Take from the lists in turn, best first, until `limit` items; a mark keeps every source that named an item."""
    n_lists, size = lists.shape
    for source in range(n_lists):
        for rank in range(size):
            if lists[source, rank] >= 0:
                mark[lists[source, rank]] |= 1 << (source + 1)
    n = 0
    for rank in range(size):
        for source in range(n_lists):
            item = lists[source, rank]
            if item >= 0 and n < limit and mark[item] != 0:
                out[n], marks[n] = item, mark[item]
                mark[item] = 0
                n += 1
    for source in range(n_lists):
        for rank in range(size):
            if lists[source, rank] >= 0:
                mark[lists[source, rank]] = 0
    return n
