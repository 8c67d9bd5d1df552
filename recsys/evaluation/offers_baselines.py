"""Honest opponents of the offers model, over the full catalogue: popularity, own frequency, item-item, ALS alone.

For evaluation only (sparse matrices, BLAS, whole base at once). Each fits on the orders up to `as_of` and recommends
offerable items; ties go to the more popular item, so that nothing depends on the order of rows or ids of customers.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.snapshot import Snapshot
from recsys.errors import NotEnoughData
from recsys.population.items import bought_matrix, fit_items

Mode = Literal["new", "repeat", "mixed"]
Floats = npt.NDArray[np.float32]
Items = npt.NDArray[np.int32]
Scorer = Callable[[slice], Floats]
"""Scores (customers of the slice, n_items) of all items, in the order of item indices; higher is better."""

POPULARITY, OWN_FREQUENCY, ITEM_ITEM, ALS = "popularity", "own frequency", "item-item", "ALS"

NEIGHBOURS = 100
"""Neighbours of an item the item-item baseline keeps."""

CHUNK = 8_000_000
"""Scores held at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What the baselines know of a base.

    bought     csr (n_customers, n_items) int64, orders with the item
    order      int32 (n_items,)  items, most popular first: buyers of the last 28 days, then orders, then id
    offerable  bool (n_items,)
    """

    bought: Any
    order: Items
    offerable: npt.NDArray[np.bool_]


def known_of(snapshot: Snapshot, as_of: int | None = None) -> Known:
    """What is known at `as_of` [s], by default the snapshot's end.

    Raises:
        NotEnoughData: the catalogue has no items, so there is nothing to recommend.
    """
    from scipy.sparse import csr_matrix

    at, catalogue, history = snapshot.as_of if as_of is None else as_of, snapshot.catalogue, snapshot.history
    if catalogue.n_items == 0:
        raise NotEnoughData("There is no item to recommend", cure="Import purchases that name products")
    pairs = bought_matrix(history, catalogue, at)
    items = fit_items(history, catalogue, at)
    order = np.lexsort((np.arange(catalogue.n_items), -items.orders, -items.rate_28)).astype(np.int32)
    shape = (history.n_customers, catalogue.n_items)
    bought = csr_matrix((pairs[:, 2], (pairs[:, 0], pairs[:, 1])), shape=shape)
    return Known(bought, order, catalogue.offerable)


def popularity(known: Known) -> Scorer:
    """Buyers of the last 28 days: every score ties, and ties go to the more popular item."""
    return lambda rows: np.zeros((len(range(*rows.indices(known.bought.shape[0]))), known.bought.shape[1]), np.float32)


def own_frequency(known: Known) -> Scorer:
    """Orders of the customer with the item, then popularity: GP-TopFreq.

    Li, Jullien, Ariannezhad, de Rijke (2023), "A Next Basket Recommendation Reality Check", ACM TOIS 41(4).
    """
    return lambda rows: np.asarray(known.bought[rows].toarray(), np.float32)


def item_item(known: Known) -> Scorer:
    """Sum over the customer's items of their cosine with the item, over customers; an item is no neighbour of itself.

    Sarwar, Karypis, Konstan, Riedl (2001), "Item-Based Collaborative Filtering", section 3.1.1; the nearest 100 count.
    """
    from implicit.nearest_neighbours import CosineRecommender

    binary = (known.bought > 0).astype(np.float64).tocsr()
    model = CosineRecommender(K=NEIGHBOURS + 1, num_threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it converts its own normalised copy and tells us so
        model.fit(binary, show_progress=False)
    similarity = model.similarity.tocsr().copy()
    similarity.setdiag(0.0)
    return lambda rows: np.asarray((binary[rows] @ similarity).toarray(), np.float32)


def als(known: Known, factors: int = 64, alpha: float = 20.0, iterations: int = 15, seed: int = 0) -> Scorer:
    """Implicit-feedback matrix factorisation alone: x_u · y_i on log(1 + orders).

    Hu, Koren, Volinsky (2008), "Collaborative Filtering for Implicit Feedback Datasets".
    """
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    weights = known.bought.astype(np.float32).log1p()
    model = AlternatingLeastSquares(
        factors=factors, regularization=0.05, alpha=alpha, iterations=iterations, random_state=seed, num_threads=1
    )
    with threadpool_limits(1, "blas"):
        model.fit(weights, show_progress=False)
    users, items = np.asarray(model.user_factors), np.asarray(model.item_factors)
    return lambda rows: np.asarray(users[rows] @ items.T, np.float32)


BASELINES: dict[str, Callable[[Known], Scorer]] = {
    POPULARITY: popularity,
    OWN_FREQUENCY: own_frequency,
    ITEM_ITEM: item_item,
    ALS: als,
}
"""All baselines by name."""


def recommend(snapshot: Snapshot, as_of: int | None, n: int, mode: Mode, baseline: str = POPULARITY) -> Items:
    """First `n` items for every customer of `snapshot` by one of `BASELINES`, shape (n_customers, n), padded with -1.

    Items are indices of `snapshot`'s catalogue. `new`: never bought, `repeat`: bought before, `mixed`: both.
    """
    known = known_of(snapshot, as_of)
    return recommend_by(known, BASELINES[baseline](known), n, mode)


def recommend_by(known: Known, scorer: Scorer, n: int, mode: Mode) -> Items:
    """First `n` offerable items of the mode by `scorer` for every customer, shape (n_customers, n), padded with -1."""
    customers, items = known.bought.shape
    chosen = np.full((customers, n), -1, np.int32)
    step = max(1, CHUNK // items)
    for start in range(0, customers, step):
        rows = slice(start, min(start + step, customers))
        bought = np.asarray(known.bought[rows].toarray() > 0)
        _choose(scorer(rows), bought, known.order, known.offerable, mode != "repeat", mode != "new", chosen[rows])
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
