"""Ranking metrics, one figure per customer, so that a bootstrap can pair contenders over customers.

Recommendations are item indices (n_customers, n), best first, padded with -1. Customers without a true item get NaN:
they are left out of means. Definitions as in Li, Jullien, Ariannezhad, de Rijke (2023), "A Next Basket Recommendation
Reality Check", ACM TOIS 41(4).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Truth(NamedTuple):
    """What each customer really bought: customer i the distinct items `item[start[i]:start[i + 1]]`, ascending.

    start  int64 (n_customers + 1,)
    item   int32 (start[-1],)
    """

    start: npt.NDArray[np.int64]
    item: npt.NDArray[np.int32]

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Number of true items per customer, shape (n_customers,)."""
        return np.diff(self.start)


def truth_of(sets: Sequence[Iterable[int]]) -> Truth:
    """Truth of one set of item indices per customer."""
    ordered = [sorted(set(each)) for each in sets]
    start = np.zeros(len(ordered) + 1, np.int64)
    np.cumsum([len(each) for each in ordered], out=start[1:])
    return Truth(start, np.fromiter((item for each in ordered for item in each), np.int32, int(start[-1])))


def truth_of_pairs(customer: npt.NDArray[np.integer], item: npt.NDArray[np.integer], n_customers: int) -> Truth:
    """Truth of (customer, item) index pairs in any order, repeated or not."""
    width = int(item.max()) + 1 if len(item) else 1
    code = np.unique(customer.astype(np.int64) * width + item)
    start = np.zeros(n_customers + 1, np.int64)
    np.cumsum(np.bincount(code // width, minlength=n_customers), out=start[1:])
    return Truth(start, (code % width).astype(np.int32))


def recall_at(k: int, recommended: npt.NDArray[np.int32], truth: Truth) -> Floats:
    """|first k ∩ truth| / |truth| per customer, shape (n_customers,)."""
    found = hits(np.ascontiguousarray(recommended[:, :k]), truth.start, truth.item).sum(axis=1)
    return _over(found.astype(np.float64), truth.sizes.astype(np.float64))


def hit_at(k: int, recommended: npt.NDArray[np.int32], truth: Truth) -> Floats:
    """1 if one of the first k is true, else 0 (personalised hit rate), shape (n_customers,)."""
    found = hits(np.ascontiguousarray(recommended[:, :k]), truth.start, truth.item).any(axis=1)
    return np.where(truth.sizes > 0, found, np.nan).astype(np.float64)


def ndcg_at(k: int, recommended: npt.NDArray[np.int32], truth: Truth) -> Floats:
    """Σ_{i<=k} hit_i / log2(i + 1) over the same sum of *all* true items ranked first, shape (n_customers,).

    With more than k true items even a perfect list stays below 1, unlike where the ideal is cut at k.
    """
    found = hits(np.ascontiguousarray(recommended[:, :k]), truth.start, truth.item)
    gain = found @ discounts(found.shape[1])
    largest = int(truth.sizes.max()) if len(truth.sizes) else 0
    return _over(gain, np.concatenate([[0.0], np.cumsum(discounts(largest))])[truth.sizes])


def discounts(n: int) -> Floats:
    """1 / log2(rank + 1) of the ranks 1…n."""
    weights: Floats = 1.0 / np.log2(np.arange(2, n + 2, dtype=np.float64))
    return weights


@numba.njit(cache=True, nogil=True)
def hits(recommended: npt.NDArray[np.int32], start: npt.NDArray[np.int64], item: npt.NDArray[np.int32]) -> Floats:
    """1.0 where the recommended item is true and was not recommended before, else 0.0; shape of `recommended`."""
    found = np.zeros(recommended.shape)
    for customer in range(recommended.shape[0]):
        true = item[start[customer] : start[customer + 1]]
        for rank in range(recommended.shape[1]):
            offered = recommended[customer, rank]
            place = np.searchsorted(true, offered)
            if place < len(true) and true[place] == offered and offered not in recommended[customer, :rank]:
                found[customer, rank] = 1.0
    return found


def _over(part: Floats, whole: Floats) -> Floats:
    """Quotient of `part` and `whole`, NaN where `whole` is 0."""
    quotient: Floats = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return quotient


def split_truth(truth: Truth, bought: Truth) -> tuple[Truth, Truth]:
    """Truth apart into what was never bought before and what was: (new, repeat); `bought` is the history's items."""
    known = in_sets(truth.start, truth.item, bought.start, bought.item)
    owner = np.repeat(np.arange(len(truth.sizes)), truth.sizes)
    return _kept(truth, owner, ~known), _kept(truth, owner, known)


@numba.njit(cache=True, nogil=True)
def in_sets(
    start: npt.NDArray[np.int64],
    item: npt.NDArray[np.int32],
    other_start: npt.NDArray[np.int64],
    other_item: npt.NDArray[np.int32],
) -> npt.NDArray[np.bool_]:
    """Whether each item of one customer's set is in the same customer's other set; shape of `item`."""
    found = np.zeros(len(item), np.bool_)
    for customer in range(len(start) - 1):
        other = other_item[other_start[customer] : other_start[customer + 1]]
        for at in range(start[customer], start[customer + 1]):
            place = np.searchsorted(other, item[at])
            found[at] = place < len(other) and other[place] == item[at]
    return found


def _kept(truth: Truth, owner: npt.NDArray[np.int64], kept: npt.NDArray[np.bool_]) -> Truth:
    start = np.zeros(len(truth.start), np.int64)
    np.cumsum(np.bincount(owner[kept], minlength=len(truth.start) - 1), out=start[1:])
    return Truth(start, truth.item[kept])
