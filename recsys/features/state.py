"""What is held while one customer's rows are read: own items, scores of items, working memory of a thread."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys.population.witnesses import MOST_WITNESSES


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
    met     int32 (MOST_WITNESSES,)    witnesses with any likeness
    mark    uint8    candidate sources that proposed it
    touched int32    items with a score in near, recent, next, after, peers or votes
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
        votes=np.zeros(n_items, np.float32),
        like=np.zeros((MOST_WITNESSES, 2), np.float32),
        met=np.zeros(MOST_WITNESSES, np.int32),
        mark=np.zeros(n_items, np.uint16),
        touched=np.zeros(n_items, np.int32),
        family=np.zeros((3, n_families)),
        group=np.zeros((1, n_groups)),
    )


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
