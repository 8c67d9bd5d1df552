"""Witnesses: the customers that bought last, their baskets, and what each of them was like before a basket."""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY
from recsys.data.history import HistoryArrays, PurchaseHistory

MOST_WITNESSES = 30_000
"""Customers that what is bought now is learned from, those whose newest basket is the newest."""
FADE_BASKETS = 0.85
"""Weight of a purchase one basket older."""
HALF_LIFE = 28.0
"""Days after which a basket says half as much about what is bought now."""
PROFILE = 64
"""Items of a profile: the strongest by faded orders × rarity."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Witnesses:
    """Baskets of the witnesses up to `as_of`, each customer's oldest first; a basket is an order with an item bought.

    owner  int64 (n_baskets,)      witness, ascending
    time   int64 (n_baskets,)      instant [s]
    start  int64 (n_baskets + 1,)  basket b holds `item[start[b]:start[b + 1]]`, each item once
    item   int64
    """

    count: int
    n_items: int
    as_of: int
    owner: Ints
    time: Ints
    start: Ints
    item: Ints

    @property
    def age(self) -> Ints:
        """Baskets of the same witness that came after each basket, (n_baskets,)."""
        ends = np.cumsum(np.bincount(self.owner, minlength=self.count))
        return np.asarray(ends[self.owner] - 1 - np.arange(len(self.owner)))

    @property
    def fresh(self) -> Floats:
        """What each basket weighs as news, (n_baskets,): 1 at `as_of`, half of it every HALF_LIFE days."""
        return np.asarray(0.5 ** ((self.as_of - self.time) / DAY / HALF_LIFE))

    def matrix(self, weights: Floats | None = None) -> Any:
        """Sum of each witness's baskets by `weights` (n_baskets,), csr (count, n_items); None: basket by basket."""
        from scipy.sparse import csr_matrix

        shape = (len(self.owner), self.n_items)
        baskets = csr_matrix((np.ones(len(self.item)), self.item, self.start), shape=shape)
        if weights is None:
            return baskets
        kept = np.flatnonzero(weights)
        each = csr_matrix((weights[kept], (self.owner[kept], kept)), shape=(self.count, len(self.owner)))
        return (each @ baskets).tocsr()


def witnesses(history: PurchaseHistory, product_item: npt.NDArray[np.int32], n_items: int, as_of: int) -> Witnesses:
    """The newest customers' baskets up to `as_of` [s]."""
    arrays = history.arrays()
    last = _last_times(arrays, history.order_start, as_of)
    chosen = np.lexsort((np.arange(len(last)), -last))[:MOST_WITNESSES]
    chosen = np.sort(chosen[last[chosen] > np.iinfo(np.int64).min])
    return Witnesses(
        len(chosen), n_items, as_of, *_collect(arrays, history.order_start, chosen, product_item, as_of, n_items)
    )


@numba.njit(cache=True, nogil=True)
def _last_times(h: HistoryArrays, order_start: Any, as_of: int) -> Any:
    """Each customer's newest order up to `as_of` [s]; the smallest int64 if there is none."""
    last = np.full(len(order_start) - 1, np.iinfo(np.int64).min)
    for customer in range(len(last)):
        for order in range(order_start[customer], order_start[customer + 1]):
            if h.order_time[order] <= as_of:
                last[customer] = max(last[customer], h.order_time[order])
    return last


@numba.njit(cache=True, nogil=True)
def _collect(h: HistoryArrays, order_start: Any, chosen: Any, product_item: Any, as_of: int, n_items: int) -> Any:
    """Owner, time, start and item of all baskets of the customers `chosen`."""
    orders, lines = np.int64(0), np.int64(0)
    for customer in chosen:
        low, high = order_start[customer], order_start[customer + 1]
        orders += high - low
        lines += np.int64(h.line_start[high]) - np.int64(h.line_start[low])
    owner, time = np.empty(orders, np.int64), np.empty(orders, np.int64)
    start, item = np.zeros(orders + 1, np.int64), np.empty(lines, np.int64)
    seen = np.full(n_items, -1, np.int64)
    n, b = 0, 0
    for k in range(len(chosen)):
        for order in range(order_start[chosen[k]], order_start[chosen[k] + 1]):
            if h.order_time[order] > as_of:
                break
            for line in range(h.line_start[order], h.line_start[order + 1]):
                product = h.line_product[line]
                code = product_item[product] if product >= 0 else -1
                if code >= 0 and h.line_quantity[line] > 0 and seen[code] != order:
                    seen[code] = order
                    item[n] = code
                    n += 1
            if n > start[b]:
                owner[b], time[b] = k, h.order_time[order]
                b += 1
                start[b] = n
    return owner[:b].copy(), time[:b].copy(), start[: b + 1].copy(), item[:n].copy()


def profiles(seen: Witnesses, rarity: npt.NDArray[np.float32], step: int) -> Any:
    """What each witness was like before its newest basket but `step`, csr float32 (count, n_items), rows of length 1.

    Orders of an item faded by FADE_BASKETS a basket times its rarity, the PROFILE strongest; as `Own.fast` at serving.
    """
    from scipy.sparse import diags

    age = seen.age
    earlier = np.where(age > step, FADE_BASKETS ** np.maximum(age - step - 1.0, 0.0), 0.0)
    whole = (seen.matrix(earlier) @ diags(rarity.astype(np.float64))).tocsr()
    return _shortened(strongest(whole, PROFILE), 1.0).astype(np.float32)


def whole_profiles(seen: Witnesses, asymmetry: float) -> Any:
    """Orders of each item, the PROFILE most of a witness, over their length ** (2 - 2 · asymmetry).

    csr float32 (count, n_items). A product with another vector is their asymmetric cosine, but for that one's length.
    """
    return _shortened(strongest(seen.matrix(np.ones(len(seen.owner))), PROFILE), 2 - 2 * asymmetry).astype(np.float32)


def _shortened(matrix: Any, power: float) -> Any:
    """Rows over their length ** power; empty rows stay."""
    squares = np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel()
    matrix.data /= np.repeat(np.where(squares > 0, squares, 1.0) ** (power / 2), np.diff(matrix.indptr))
    return matrix


def strongest(matrix: Any, most: int) -> Any:
    """The `most` largest entries of each row of a csr matrix, columns ascending, ties to the earlier column."""
    matrix.sort_indices()
    data = np.zeros(len(matrix.data))
    _strongest(matrix.indptr, matrix.data, most, data)
    matrix.data = data
    matrix.eliminate_zeros()
    return matrix


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _strongest(indptr: Any, values: Any, most: int, out: Any) -> None:
    """The `most` largest entries of each row, ties to the earlier; the others stay 0."""
    for row in range(len(indptr) - 1):
        low, high = indptr[row], indptr[row + 1]
        for at in np.argsort(-values[low:high], kind="mergesort")[:most]:
            out[low + at] = values[low + at]
