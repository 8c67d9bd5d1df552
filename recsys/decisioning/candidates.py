"""Candidate sources → at most `limit` items worth ranking, own ones and new ones in shares."""

from typing import Any

import numba
import numpy as np

from recsys.features.state import CatalogueArrays, Own, Scratch, strongest
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
OF_PURCHASES = len(SOURCES) - 3
"""Sources of new items made of purchases; a request that attributes and looks say nothing of has these alone."""
VIEWED_BIT = 1 << SOURCES.index("viewed, not bought")
LIST = 100
"""Length of each source's list."""
LAST_ITEM = 2**32 - 1
"""Items are numbered up to here at most; positive float32 numbers sort as their bits do."""
STEP_BITS = 51
"""Bits of a key that do not tell its step: left are sign, exponent and the first four bits after the point."""
STEPS = 512
"""Steps below the largest key that are told apart, 32 octaves; all below them count as one."""
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
    n_lists = len(SOURCES) - 1 if named.shape[1] > 0 else OF_PURCHASES
    lists = np.full((n_lists, limit), -1, np.int64)
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
    slots = out[:n].copy()
    items = own.item[slots]
    out[:n] = items[strongest(own.fast[slots], items)]
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

    Without `named`, see `candidates`, n may be OF_PURCHASES.
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
    if len(lists) > OF_PURCHASES:
        _in_sequence(named[0], allowed, scratch.slot, lists[OF_PURCHASES])
        _in_sequence(named[1], allowed, scratch.slot, lists[OF_PURCHASES + 1])


@numba.njit(cache=True, nogil=True)
def best_of(touched: Any, n_touched: int, score: Any, allowed: Any, slot: Any, out: Any) -> None:
    """Items with the largest positive score, ties by item, among `touched` (or all items if `n_touched` < 0)."""
    seen = np.uint32(n_touched if n_touched >= 0 else len(score))
    keys, bits, n = np.empty(seen + 1, np.uint64), score.view(np.int32), np.uint64(0)
    for at in range(seen):
        item = np.uint32(touched[at]) if n_touched >= 0 else np.uint32(at)
        keys[n] = (np.uint64(bits[item]) << np.uint64(32)) | np.uint64(LAST_ITEM - item)
        n += np.uint64((bits[item] > 0) & (slot[item] < 0) & (allowed[item] != 0))  # as bits: nothing to guess
    best, wanted = _few(keys[:n], len(out)), len(out)
    if len(best) > 2 * wanted:  # too crowded a step to be sorted key by key
        best = np.sort(np.partition(best, len(best) - wanted)[len(best) - wanted :])[::-1].copy()
    for at in range(1, len(best)):
        moved, place = best[at], at
        while place > 0 and best[place - 1] < moved:
            best[place] = best[place - 1]
            place -= 1
        best[place] = moved
    for rank in range(min(len(best), wanted)):
        out[rank] = LAST_ITEM - np.int64(best[rank] & np.uint64(LAST_ITEM))


@numba.njit(cache=True, nogil=True)
def _few(keys: Any, wanted: int) -> Any:
    """The largest of `keys`, hardly more than `wanted`, in nearly falling sequence.

    Keys are told apart by exponent and first bits of their number, so that hardly any has to be compared with another.
    """
    ends, largest = np.zeros(STEPS, np.int32), np.uint64(0)
    for key in keys:
        largest = max(largest, key)
    highest = largest >> np.uint64(STEP_BITS)
    for key in keys:
        ends[min(highest - (key >> np.uint64(STEP_BITS)), np.uint64(STEPS - 1))] += 1
    step, reached = np.uint64(0), 0
    while step < STEPS and reached < wanted:
        here = ends[step]
        ends[step] = reached
        reached += here
        step += np.uint64(1)
    best = np.empty(reached, np.uint64)
    for key in keys:
        place = min(highest - (key >> np.uint64(STEP_BITS)), np.uint64(STEPS - 1))
        if place < step:
            best[np.uint32(ends[place])] = key
            ends[place] += 1
    return best


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
    slot, faded, starts, popular_items = scratch.slot, scratch.family[0], popular.family_start, popular.family_items
    for rank in range(FAMILIES):
        best = _strongest(own.item[: own.counts[0]], cat.item_family, faded, chosen[:rank])
        if best < 0:
            return
        chosen[rank] = best
        taken = 0
        for at in range(starts[best], starts[best + 1]):
            item = popular_items[at]
            if taken < share and allowed[item] and slot[item] < 0:
                out[n] = item
                n, taken = n + 1, taken + 1


@numba.njit(cache=True, nogil=True)
def _strongest(items: Any, item_family: Any, faded: Any, chosen: Any) -> int:
    """The family of `items` with the most faded orders that is not `chosen` yet, ties by family; -1 for none."""
    best = -1
    for item in items:
        family = item_family[item]
        if family < 0 or _among(family, chosen):
            continue
        if best < 0 or faded[family] > faded[best] or (faded[family] == faded[best] and family < best):
            best = family
    return best


@numba.njit(cache=True, nogil=True)
def _among(wanted: int, values: Any) -> bool:
    for value in values:  # noqa: SIM110  numba knows no generators here
        if value == wanted:
            return True
    return False


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
