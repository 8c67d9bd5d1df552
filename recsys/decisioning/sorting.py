"""Best first: the order of ranked items, the same on every machine."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt


def best_first(raw: npt.NDArray[np.float64], items: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Positions by score (n,), highest first, ties by item, NaN last: `np.lexsort((items, -raw))`, in half its time.

    Numpy's fast sort leaves open how ties stand, so these are settled after it.
    """
    order = np.argsort(-raw)
    _settle_ties(raw, items, order)
    return order


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _settle_ties(raw: Any, items: Any, order: Any) -> None:
    """Sort positions of equal scores, which stand together, by item."""
    for k in range(1, order.size):
        moved, at = order[k], k
        while at > 0 and _alike(raw[order[at - 1]], raw[moved]) and items[order[at - 1]] > items[moved]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = moved


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _alike(a: float, b: float) -> bool:
    """Whether neither score is better."""
    return a == b or (np.isnan(a) and np.isnan(b))
