"""Items bought by the same customers (cosine, by `implicit`) and how often one led to the other."""

import warnings
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.history import HistoryArrays, PurchaseHistory
from recsys.population.facts import Neighbours


def fit_neighbours(
    pairs: npt.NDArray[np.int64], history: PurchaseHistory, product_item: npt.NDArray[np.int32], n_items: int, k: int
) -> Neighbours:
    """The `k` nearest items by cosine over customers, and how many went on from one to the other.

    `pairs` (n, 3): customer, item, orders. Source of the measure: Sarwar et al. 2001, section 3.1.1.
    """
    from implicit.nearest_neighbours import CosineRecommender
    from scipy.sparse import csr_matrix

    weights = np.sqrt(pairs[:, 2]).astype(np.float64)
    matrix = csr_matrix((weights, (pairs[:, 0], pairs[:, 1])), shape=(history.n_customers, n_items))
    model = CosineRecommender(K=k + 1, num_threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it converts its own normalised copy and tells us so
        model.fit(matrix, show_progress=False)
    item, similarity = top_rows(model.similarity.tocsr(), k, skip_self=True)
    after = np.zeros(item.shape, np.int32)
    count_after(history.arrays(), history.order_start, product_item, item, after)
    return Neighbours(item, similarity, after)


def top_rows(matrix: Any, k: int, *, skip_self: bool) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """The `k` largest entries of each row of a CSR matrix, largest first, ties by column; -1 and 0 padded."""
    n = matrix.shape[0]
    item, value = np.full((n, k), -1, np.int32), np.zeros((n, k), np.float32)
    _top_rows(matrix.indptr, matrix.indices, matrix.data.astype(np.float64), item, value, skip_self)
    return item, value


@numba.njit(cache=True, nogil=True)
def _top_rows(indptr: Any, indices: Any, data: Any, item: Any, value: Any, skip_self: bool) -> None:
    k = item.shape[1]
    for row in range(len(indptr) - 1):
        filled = 0
        for at in range(indptr[row], indptr[row + 1]):
            column, x = indices[at], data[at]
            if x <= 0 or (skip_self and column == row):
                continue
            place = filled
            while place > 0 and _before(x, column, value[row, place - 1], item[row, place - 1]):
                place -= 1
            if place >= k:
                continue
            filled = min(k, filled + 1)
            for move in range(filled - 1, place, -1):
                item[row, move], value[row, move] = item[row, move - 1], value[row, move - 1]
            item[row, place], value[row, place] = column, x


@numba.njit(cache=True, nogil=True)
def _before(x: float, column: int, other_x: float, other_column: int) -> Any:
    return np.float32(x) > other_x or (np.float32(x) == other_x and column < other_column)


@numba.njit(cache=True, nogil=True)
def count_after(h: HistoryArrays, order_start: Any, product_item: Any, near: Any, after: Any) -> None:
    """Add to `after` (n_items, k) the customers that first bought `near[i, j]` later than they first bought item i."""
    n_items, k = near.shape
    first = np.full(n_items, -1, np.int64)
    touched = np.empty(n_items, np.int64)
    for customer in range(len(order_start) - 1):
        n = 0
        for order in range(order_start[customer], order_start[customer + 1]):
            for line in range(h.line_start[order], h.line_start[order + 1]):
                product = h.line_product[line]
                item = product_item[product] if product >= 0 else -1
                if item >= 0 and h.line_quantity[line] > 0 and first[item] < 0:
                    first[item] = order
                    touched[n] = item
                    n += 1
        for i in range(n):
            for j in range(k):
                other = near[touched[i], j]
                if other < 0:
                    break
                if first[other] > first[touched[i]]:
                    after[touched[i], j] += 1
        for i in range(n):
            first[touched[i]] = -1
