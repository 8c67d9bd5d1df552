"""Candidate sources → at most `limit` items worth ranking, own ones and new ones in shares."""

from typing import Any

import numba
import numpy as np

from recsys.decisioning.best import best_of
from recsys.features.state import Own, Scratch, strongest
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
FAMILIES = 4
"""Families whose popular items are proposed."""
REPEAT, NEW, MIXED = 0, 1, 2
"""Modes as kernels take them."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def candidates(
    own: Own,
    population: PopulationArrays,
    allowed: Any,
    scratch: Scratch,
    named: Any,
    mode: int,
    limit: int,
    out: Any,
    marks: Any,
) -> Any:
    """Items to rank into `out` int64 (limit,), their sources into `marks` uint16 (limit,); returns how many.

    What stands there beyond those is left to chance.

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
        new_lists(own, population, allowed, scratch, named, lists)
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
        out[n] = k
        n += bool(allowed[own.item[k]])
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
    population: PopulationArrays,
    allowed: Any,
    scratch: Scratch,
    named: Any,
    lists: Any,
) -> None:
    """Best allowed, never bought items of SOURCES[1:] into `lists` (n, limit), best first, ties by item, -1 padded.

    Without `named`, see `candidates`, n may be OF_PURCHASES.
    """
    size, free = min(LIST, lists.shape[1]), _free(allowed, scratch.slot)
    best_of(scratch.near, free, lists[0, :size])
    best_of(scratch.next, free, lists[1, :size])
    if own.counts[0] > 0:
        best_of(scratch.als, free, lists[2, :size])
    _in_sequence(population.popular.order, free, lists[3])
    _family(scratch.family, population.popular, free, lists[4, :size])
    best_of(scratch.peers, free, lists[5, :size])
    _in_sequence(population.popular.adopted, free, lists[6, :size])
    _in_sequence(population.popular.arrivals, free, lists[7, :size])
    best_of(scratch.votes, free, lists[8, :size])
    if len(lists) > OF_PURCHASES:
        _in_sequence(named[0], free, lists[OF_PURCHASES])
        _in_sequence(named[1], free, lists[OF_PURCHASES + 1])


@numba.njit(cache=True, nogil=True)
def _free(allowed: Any, slot: Any) -> Any:
    """Allowed, never bought items as `best_of` takes them: -1, the others 0."""
    free = np.empty(len(slot), np.int32)
    for item in range(np.uint64(len(slot))):
        free[item] = -np.int32((slot[item] < 0) & (allowed[item] != 0))
    return free


@numba.njit(cache=True, nogil=True)
def _in_sequence(order: Any, free: Any, out: Any) -> None:
    """The first free items of `order`, which may end with -1. Each is written and the free ones are kept: no guess."""
    n = 0
    for item in order:
        if item < 0 or n == len(out):
            break
        out[n] = item
        n += free[item] & 1
    out[n:] = -1


@numba.njit(cache=True, nogil=True)
def _family(families: Any, popular: Popular, free: Any, out: Any) -> None:
    """Popular items of the families the customer buys most, an equal share of each family."""
    n, share = 0, max(1, len(out) // FAMILIES)
    chosen = np.full(FAMILIES, -1, np.int64)
    starts, popular_items = popular.family_start, popular.family_items
    for rank in range(FAMILIES):
        best = _strongest(families, chosen[:rank])
        if best < 0:
            break
        chosen[rank] = best
        before = n
        for at in range(starts[best], starts[best + 1]):
            if n == before + share or n == len(out):
                break
            out[n] = popular_items[at]
            n += free[popular_items[at]] & 1
    out[n:] = -1


@numba.njit(cache=True, nogil=True)
def _strongest(families: Any, chosen: Any) -> int:
    """The family with the most faded orders that is not `chosen` yet, ties by family; -1 for none. See `Scratch`."""
    best, most = np.int64(-1), -1.0
    for family in range(np.uint64(families.shape[1])):
        faded = families[0, family] if families[2, family] > 0.0 else -1.0
        if faded > most and not _among(family, chosen):
            best, most = np.int64(family), faded
    return int(best)


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
    ends = np.zeros(n_lists, np.uint64)
    for source in range(np.uint64(n_lists)):
        bit, end = np.uint16(1 << (source + np.uint64(1))), np.uint64(0)
        while end < size and lists[source, end] >= 0:
            mark[np.uint64(lists[source, end])] |= bit
            end += np.uint64(1)
        ends[source] = end
    n, rank = 0, np.uint64(0)
    while n < limit and rank < size:
        for source in range(np.uint64(n_lists)):
            if rank < ends[source] and n < limit:  # nearly always; whether an item is named first is not asked
                item = np.uint64(lists[source, rank])
                out[n], marks[n] = item, mark[item]
                n += mark[item] != 0
                mark[item] = 0
        rank += np.uint64(1)
    mark[:] = 0
    return n
