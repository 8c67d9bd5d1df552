"""What is held while one customer's rows are read: own items, scores of items, working memory of a thread."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys.population.witnesses import MOST_WITNESSES

MOST_PLACED = 1_024
"""Slots that are sorted by steps; more are sorted as usual."""
STEPS = 512
"""Steps between the largest and the smallest of them."""


COUNTED = 256
"""Counts whose logarithms are looked up; larger ones are rare."""


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
    votes   float32  fresh baskets with it of the customers with the most like orders, mean by likeness
    like    float32 (MOST_WITNESSES, 2)  likeness to each witness: to what it was before its newest basket, to all of it
    met     int32 (MOST_WITNESSES + 1,)  witnesses with any likeness, and one place to write to in vain
    mark    uint8    candidate sources that proposed it
    logs    float64 (COUNTED,)  log(1 + k), the same numbers as computed one by one
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
    votes: Any
    like: Any
    met: Any
    mark: Any
    logs: Any
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
        votes=np.zeros(n_items, np.float32),
        like=np.zeros((MOST_WITNESSES, 2), np.float32),
        met=np.zeros(MOST_WITNESSES + 1, np.int32),
        mark=np.zeros(n_items, np.uint16),
        logs=_logs(COUNTED),
        family=np.zeros((3, n_families)),
        group=np.zeros((1, n_groups)),
    )


@numba.njit(cache=True, nogil=True)
def _logs(n: int) -> Any:
    """log(1 + k) of k = 0 … n - 1, by the function that kernels call: numpy's own may differ in the last bit."""
    logs = np.empty(n)
    for k in range(n):
        logs[k] = np.log1p(np.float64(k))
    return logs


@numba.njit(cache=True, nogil=True, error_model="numpy")
def strongest(values: Any, items: Any) -> Any:
    """Slots of the `values` float64 (n,), none below 0, largest first, ties by `items`.

    Numbers are put into steps by their bits, which sort as they do, and then in order: half of what a sort costs.
    """
    n = len(values)
    if n > MOST_PLACED:  # so that no crowded step is sorted number by number
        order = np.argsort(-values)
    else:
        order = _placed(values.view(np.uint64), n)
    for at in range(1, n):
        moved, place = order[at], at
        value, item = values[moved], items[moved]
        while place > 0:
            other = order[place - 1]
            if values[other] > value or (values[other] == value and items[other] < item):
                break
            order[place] = other
            place -= 1
        order[place] = moved
    return order


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _placed(bits: Any, n: int) -> Any:
    """Slots by steps of their `bits`, the step with the largest first."""
    most, least = np.uint64(0), np.uint64(2**63)
    for each in bits:
        most, least = max(most, each), min(least, each)
    shift = np.uint64(0)
    while n > 0 and (most - least) >> shift >= STEPS:
        shift += np.uint64(1)
    ends = np.zeros(STEPS + 1, np.int32)
    for each in bits:
        ends[((most - each) >> shift) + np.uint64(1)] += 1
    for step in range(STEPS):
        ends[step + 1] += ends[step]
    order = np.empty(n, np.int64)
    for at in range(n):
        step = (most - bits[at]) >> shift
        order[np.uint32(ends[step])] = at
        ends[step] += 1
    return order
