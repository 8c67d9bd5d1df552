"""Best first: the order of ranked items, the same on every machine."""

from typing import Any

import numba
import numpy as np

from recsys.features.lanes import LANES, at_least, ones

SIGN = np.uint64(1 << 63)
"""The bit of a float64 that says whether it is below zero."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def best_first(raw: Any, items: Any) -> Any:
    """Positions int64 (n,) by score float64 (n,), highest first, ties by item int64 (n,), NaN last.

    `np.lexsort((items, -raw))` for the few hundred items of a request: a place is how many scores are larger, counted
    64 at a time, so that nothing is guessed.
    """
    n, keys = len(raw), _keys(raw)
    order, alike = np.empty(n, np.int64), np.zeros(n, np.int64)
    for at in range(n):
        place = 0
        for start in range(0, n, LANES):
            place += ones(at_least(keys, start, keys[at] + np.uint64(1)))
        order[place + alike[place]] = at
        alike[place] += 1
    _settle_ties(raw, items, order)
    return order


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _keys(raw: Any) -> Any:
    """Numbers that sort as the scores do, 0 for NaN and up to the end of the last word."""
    n = len(raw)
    keys = np.zeros((n + LANES - 1) // LANES * LANES, np.uint64)
    bits = (raw + 0.0).view(np.uint64)  # -0 is 0
    for at in range(n):
        key = ~bits[at] if bits[at] & SIGN else bits[at] | SIGN
        keys[at] = key if raw[at] == raw[at] else np.uint64(0)
    return keys


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
