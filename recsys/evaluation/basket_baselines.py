"""Baselines that learn from whole baskets: TIFU-KNN and UP-CF, the classics of next-basket recommendation.

Both describe a customer by weighted sums of their baskets (orders) and mix in the customers most like them.
For evaluation only: sparse products over the whole base.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.data.history import PurchaseHistory
from recsys.evaluation.offers_baselines import Floats, Known, Scorer

TIFU_KNN, UP_CF = "TIFU-KNN", "UP-CF"

CHUNK = 8_000_000
"""Similarities held at a time."""


def baskets_of(history: PurchaseHistory, product_item: npt.NDArray[np.int32], n_items: int, as_of: int) -> Any:
    """Baskets up to `as_of` [s]: (csr (n_baskets, n_items) of 0 and 1, customer of each basket, ascending in time).

    A basket is an order with an item bought (quantity > 0).
    """
    from scipy.sparse import csr_matrix

    order = np.repeat(np.arange(history.n_orders), np.diff(history.line_start.astype(np.int64)).astype(np.int64))
    products = history.line_product
    items = np.where(products >= 0, product_item[np.maximum(products, 0)], -1)
    kept = (items >= 0) & (history.line_quantity > 0) & (history.order_time[order] <= as_of)
    pairs = np.unique(order[kept] * np.int64(n_items) + items[kept])
    orders, row = np.unique(pairs // n_items, return_inverse=True)
    owner = np.repeat(np.arange(history.n_customers), np.diff(history.order_start))[orders]
    ones = np.ones(len(pairs), np.float32)
    return csr_matrix((ones, (row, pairs % n_items)), shape=(len(orders), n_items)), owner


def tifu_knn(
    known: Known,
    baskets: Any,
    owner: npt.NDArray[np.int64],
    *,
    neighbours: int = 300,
    within: float = 0.9,
    across: float = 0.7,
    own: float = 0.7,
    groups: int = 7,
) -> Scorer:
    """Own vector times `own` plus 1 - own times the mean vector of the nearest `neighbours`, by Euclidean distance.

    A vector is the mean over groups of baskets (the newest weighs most, decay `across`) of the mean over the group's
    baskets (decay `within`). Hu, He, Gao, Zhang (2020), "Modeling Personalized Item Frequency Information for
    Next-basket Recommendation", SIGIR.
    """
    vectors = _summed(baskets, owner, _tifu_weights(owner, within, across, groups), known.bought.shape[0])
    squares = np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel()

    def near(rows: slice) -> Floats:
        products = np.asarray((vectors[rows] @ vectors.T).toarray(), np.float32)
        return np.asarray(2.0 * products - squares[None, :], np.float32)

    return lambda rows: own * _dense(vectors[rows]) + (1 - own) * _mean_of_nearest(vectors, near, rows, neighbours)


def up_cf(
    known: Known,
    baskets: Any,
    owner: npt.NDArray[np.int64],
    *,
    neighbours: int = 300,
    recency: int = 10,
    asymmetry: float = 0.75,
) -> Scorer:
    """Σ_v w(u, v) · share of v's last `recency` baskets with the item, over the `neighbours` most similar, u included.

    w is the asymmetric cosine c_u · c_v / (|c_u|^(2 asymmetry) |c_v|^(2 - 2 asymmetry)) of the customers' order counts.
    Faggioli, Polato, Aiolli (2020), "Recency Aware Collaborative Filtering for Next Basket Recommendation", UMAP.
    """
    vectors = _summed(baskets, owner, _recency_weights(owner, recency), known.bought.shape[0])
    counts = known.bought.astype(np.float32).tocsr()
    squares = np.maximum(np.asarray(counts.multiply(counts).sum(axis=1)).ravel(), 1e-9)

    def score(rows: slice) -> Floats:
        shared = np.asarray((counts[rows] @ counts.T).toarray(), np.float32)
        similarity = shared / (squares[rows, None] ** asymmetry * squares[None, :] ** (1 - asymmetry))
        return _weighted_sum(vectors, np.asarray(similarity, np.float32), neighbours)

    return lambda rows: _in_parts(score, rows, known.bought.shape[0])


def _places(owner: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Of each basket: its place among its customer's (0 = oldest) and how many the customer has."""
    counts = np.bincount(owner) if len(owner) else np.zeros(0, np.int64)
    starts = np.cumsum(counts) - counts
    return np.arange(len(owner)) - starts[owner], counts[owner]


def _tifu_weights(owner: npt.NDArray[np.int64], within: float, across: float, groups: int) -> npt.NDArray[np.float64]:
    """Weight of each basket: baskets split into at most `groups` equal groups, the older ones larger by one."""
    place, count = _places(owner)
    used = np.minimum(count, groups)
    small, larger = count // used, count % used
    border = larger * (small + 1)
    old = place < border
    group = np.where(old, place // (small + 1), larger + (place - border) // small)
    size = np.where(old, small + 1, small)
    rank = np.where(old, place % (small + 1), (place - border) % small)
    weights: npt.NDArray[np.float64] = within ** (size - 1 - rank) / size * across ** (used - 1 - group) / used
    return weights


def _recency_weights(owner: npt.NDArray[np.int64], recency: int) -> npt.NDArray[np.float64]:
    place, count = _places(owner)
    return np.where(place >= count - recency, 1.0 / np.minimum(count, recency), 0.0)


def _summed(baskets: Any, owner: npt.NDArray[np.int64], weights: npt.NDArray[np.float64], customers: int) -> Any:
    """Weighted sum of each customer's baskets, csr (customers, n_items) float32."""
    from scipy.sparse import csr_matrix

    by_customer = csr_matrix((weights, (owner, np.arange(len(owner)))), shape=(customers, len(owner)))
    summed = (by_customer @ baskets).astype(np.float32).tocsr()
    summed.eliminate_zeros()
    return summed


def _mean_of_nearest(vectors: Any, near: Any, rows: slice, neighbours: int) -> Floats:
    """Mean vector of the `neighbours` customers nearest to each of `rows`, themselves left out."""

    def part(some: slice) -> Floats:
        closeness = near(some)
        closeness[np.arange(len(closeness)), np.arange(some.start, some.stop)] = -np.inf
        count = min(neighbours, closeness.shape[1] - 1)
        if count < 1:
            return np.zeros((len(closeness), vectors.shape[1]), np.float32)
        picked = np.argpartition(-closeness, count - 1, axis=1)[:, :count]
        return _combined(vectors, picked, np.full(picked.shape, 1.0 / count, np.float32))

    return _in_parts(part, rows, vectors.shape[0])


def _weighted_sum(vectors: Any, similarity: Floats, neighbours: int) -> Floats:
    """Σ over the `neighbours` largest entries of each row of `similarity` of entry · vector."""
    count = min(neighbours, similarity.shape[1])
    picked = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
    return _combined(vectors, picked, np.take_along_axis(similarity, picked, axis=1))


def _combined(vectors: Any, picked: npt.NDArray[np.int64], weights: Floats) -> Floats:
    """Σ_k weights[i, k] · vectors[picked[i, k]], dense (rows, n_items)."""
    from scipy.sparse import csr_matrix

    start = np.arange(0, picked.size + 1, picked.shape[1])
    mix = csr_matrix((weights.ravel(), picked.ravel(), start), shape=(len(picked), vectors.shape[0]))
    return _dense(mix @ vectors)


def _in_parts(score: Any, rows: slice, customers: int) -> Floats:
    """`score` of slices of `rows` small enough that customers × customers similarities fit."""
    step = max(1, CHUNK // max(customers, 1))
    bounds = range(rows.start, rows.stop, step)
    return np.concatenate([score(slice(start, min(start + step, rows.stop))) for start in bounds])


def _dense(matrix: Any) -> Floats:
    return np.asarray(matrix.toarray(), np.float32)
