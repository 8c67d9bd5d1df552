"""Honest opponents of the offers model, over the full catalogue: popularity, own frequency, item-item, ALS, neighbours.

Scores come from `recsys.evaluation.basket_baselines`; here they see a snapshot. For evaluation only (sparse matrices,
BLAS, whole base at once). Each fits on the orders up to `as_of` and recommends offerable items; ties go to the more
popular item, so that nothing depends on the order of rows or ids of customers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.snapshot import Snapshot
from recsys.errors import NotEnoughData
from recsys.evaluation import basket_baselines as by
from recsys.evaluation.baskets_data import Baskets, Indices, Scorer, starts_of
from recsys.population.items import fit_items

Mode = Literal["new", "repeat", "mixed"]
MODES: tuple[Mode, ...] = ("new", "repeat", "mixed")
Items = npt.NDArray[np.int32]

POPULARITY, OWN_FREQUENCY, ITEM_ITEM, ALS = "popularity", "own frequency", "item-item", "ALS"
TIFU_KNN, UP_CF = "TIFU-KNN", "UP-CF"

CHUNK = 8_000_000
"""Scores held at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What the baselines know of a base.

    baskets    orders up to `as_of` with an item bought; user i is customer i
    bought     csr (n_customers, n_items), orders with the item
    order      int32 (n_items,)  items, most popular first: buyers of the last 28 days, then orders, then id
    offerable  bool (n_items,)
    pool       positions of the customers that may be neighbours; None: everyone
    """

    baskets: Baskets
    bought: Any
    order: Items
    offerable: npt.NDArray[np.bool_]
    pool: Indices | None = None


def known_of(snapshot: Snapshot, as_of: int | None = None, pool: Indices | None = None) -> Known:
    """What is known at `as_of` [s], by default the snapshot's end; `pool`: who may be a neighbour, None everyone.

    Raises:
        NotEnoughData: the catalogue has no items, so there is nothing to recommend.
    """
    at, catalogue, history = snapshot.as_of if as_of is None else as_of, snapshot.catalogue, snapshot.history
    if catalogue.n_items == 0:
        raise NotEnoughData("There is no item to recommend", cure="Import purchases that name products")
    baskets = baskets_of(snapshot, at)
    items = fit_items(history, catalogue, at)
    order = np.lexsort((np.arange(catalogue.n_items), -items.orders, -items.rate_28)).astype(np.int32)
    return Known(baskets, baskets.counts(), order, catalogue.offerable, pool)


def baskets_of(snapshot: Snapshot, as_of: int) -> Baskets:
    """Orders up to `as_of` [s] with an item bought (quantity > 0), each item once; user i is customer i."""
    return baskets_and_orders(snapshot, as_of)[0]


def baskets_and_orders(snapshot: Snapshot, as_of: int) -> tuple[Baskets, Indices]:
    """`baskets_of`, and the order of the history that each basket is, (n_baskets,)."""
    history, n = snapshot.history, snapshot.catalogue.n_items
    order = np.repeat(np.arange(history.n_orders), np.diff(history.line_start.astype(np.int64)).astype(np.int64))
    products = history.line_product
    items = np.where(products >= 0, snapshot.catalogue.product_item[np.maximum(products, 0)], -1)
    kept = (items >= 0) & (history.line_quantity > 0) & (history.order_time[order] <= as_of)
    pairs = np.unique(order[kept] * np.int64(n) + items[kept])
    orders, sizes = np.unique(pairs // n, return_counts=True)
    owner = np.repeat(np.arange(history.n_customers), np.diff(history.order_start))[orders]
    each = np.bincount(owner, minlength=history.n_customers)
    users = tuple(str(customer) for customer in range(history.n_customers))
    return Baskets(users, n, starts_of(each), starts_of(sizes), (pairs % n).astype(np.int32)), orders


def popularity(known: Known) -> Scorer:
    """Buyers of the last 28 days: every score ties, and ties go to the more popular item (G-TopFreq, fresh)."""
    return lambda customers: np.zeros((len(customers), known.baskets.n_items))


def own_frequency(known: Known) -> Scorer:
    """Orders of the customer with the item, then popularity: GP-TopFreq.

    Li, Jullien, Ariannezhad, de Rijke (2023), "A Next Basket Recommendation Reality Check", ACM TOIS 41(4).
    """
    return lambda customers: by.dense(known.bought[customers])


BASELINES: dict[str, Callable[[Known], Scorer]] = {
    POPULARITY: popularity,
    OWN_FREQUENCY: own_frequency,
    ITEM_ITEM: lambda known: by.item_item(known.baskets),
    ALS: lambda known: by.als(known.baskets),
    TIFU_KNN: lambda known: by.tifu_knn(known.baskets, known.pool),
    UP_CF: lambda known: by.up_cf(known.baskets, known.pool),
}
"""All baselines by name."""


def recommend(snapshot: Snapshot, as_of: int | None, n: int, mode: Mode, baseline: str = POPULARITY) -> Items:
    """First `n` items for every customer of `snapshot` by one of `BASELINES`, shape (n_customers, n), padded with -1.

    Items are indices of `snapshot`'s catalogue. `new`: never bought, `repeat`: bought before, `mixed`: both.
    """
    known = known_of(snapshot, as_of)
    return recommend_by(known, BASELINES[baseline](known), n, mode)


def recommend_by(known: Known, scorer: Scorer, n: int, mode: Mode, customers: Indices | None = None) -> Items:
    """First `n` offerable items of the mode by `scorer`, shape (n_customers, n), padded with -1.

    `customers`: positions of those who are asked, None everyone.
    """
    return recommend_modes(known, scorer, n, (mode,), customers)[mode]


def recommend_modes(
    known: Known, scorer: Scorer, n: int, modes: Sequence[Mode] = MODES, customers: Indices | None = None
) -> dict[Mode, Items]:
    """`recommend_by` in several modes; every customer is scored once."""
    asked = np.arange(known.baskets.n_users) if customers is None else customers
    chosen = {mode: np.full((len(asked), n), -1, np.int32) for mode in modes}
    step = max(1, CHUNK // known.baskets.n_items)
    for start in range(0, len(asked), step):
        part = slice(start, start + step)
        bought, scores = known.bought[asked[part]].toarray() > 0, np.asarray(scorer(asked[part]), np.float32)
        for mode, rows in chosen.items():
            _choose(scores, bought, known.order, known.offerable, mode != "repeat", mode != "new", rows[part])
    return chosen


def in_whole(recommended: Items, items: Items) -> Items:
    """Recommendations of a cut as indices of the whole snapshot; `items` is `Cut.items`."""
    return np.where(recommended >= 0, items[np.maximum(recommended, 0)], -1).astype(np.int32)


@numba.njit(cache=True, nogil=True)
def _choose(scores: Any, bought: Any, order: Any, offerable: Any, new: bool, repeat: bool, chosen: Any) -> None:
    """Per row the best-scored allowed items into `chosen` (rows, n), ties in the sequence of `order`."""
    n = chosen.shape[1]
    best = np.empty(n, np.float32)
    for row in range(len(scores)):
        filled = 0
        for item in order:
            if not offerable[item] or not (repeat if bought[row, item] else new):
                continue
            score = scores[row, item]
            place = filled
            while place > 0 and score > best[place - 1]:
                place -= 1
            if place >= n:
                continue
            filled = min(n, filled + 1)
            for move in range(filled - 1, place, -1):
                best[move], chosen[row, move] = best[move - 1], chosen[row, move - 1]
            best[place], chosen[row, place] = score, item
