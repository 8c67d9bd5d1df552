"""The items with the largest scores, found by comparing many at a time."""

from typing import Any

import numba
import numpy as np

from recsys.features.lanes import LANES, at_least, lowest, ones

LAST_ITEM = 2**32 - 1
"""Items are numbered up to here at most; positive float32 numbers sort as their bits do."""
OCTAVE = 1 << 23
"""Between the bits of a float32 and of its double."""
SLACK = 8
"""A threshold may let through one number in so many more than wanted."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def best_of(score: Any, free: Any, out: Any) -> None:
    """Of the `free` items those with the largest positive score into `out` int64, ties by item; the rest stays.

    score float32 (n_items,), free int32 (n_items,): -1, all bits set, where an item may be named, else 0.
    """
    bits, wanted = _freed(score.view(np.int32), free), len(out)
    least, n = _threshold(bits, wanted)
    keys = _keys(bits, least, n)
    if n > 2 * wanted:  # so many share one score
        keys = np.partition(keys[:n], n - wanted)[n - wanted :]
        n = wanted
        keys = np.append(keys, np.zeros(LANES, np.uint64))
    for at in range(n):
        rank = 0
        for start in range(0, n, LANES):
            rank += ones(at_least(keys, start, keys[at] + np.uint64(1)))
        if rank < wanted:
            out[rank] = LAST_ITEM - np.int64(keys[at] & np.uint64(LAST_ITEM))


@numba.njit(cache=True, nogil=True)
def _freed(score: Any, free: Any) -> Any:
    """Bits of the scores of `free` items, 0 of the others and of those that fill up the last word."""
    n = len(score)
    bits = np.empty((n + LANES - 1) // LANES * LANES, np.int32)
    for item in range(np.uint64(n)):
        bits[item] = score[item] & free[item]
    bits[n:] = 0
    return bits


@numba.njit(cache=True, nogil=True)
def _threshold(bits: Any, wanted: int) -> Any:
    """What `wanted` of the positive `bits` reach, and hardly more, or all there are; and how many do."""
    largest = np.int32(1)
    for at in range(np.uint64(len(bits))):
        largest = max(largest, bits[at])
    low: Any = np.int64(largest)
    high, stride = low + 1, OCTAVE // 2
    n = _reach(bits, low)
    while low > 1 and n < wanted:
        high, low, stride = low, max(1, low - stride), 2 * stride
        n = _reach(bits, low)
    while high - low > 1 and n > wanted + wanted // SLACK:
        middle = (low + high) // 2
        there = _reach(bits, middle)
        if there >= wanted:
            low, n = middle, there
        else:
            high = middle
    return low, n


@numba.njit(cache=True, nogil=True)
def _reach(bits: Any, least: int) -> int:
    """How many of `bits` are at least `least`."""
    n = 0
    for start in range(0, len(bits), LANES):
        n += ones(at_least(bits, start, np.int32(least)))
    return n


@numba.njit(cache=True, nogil=True)
def _keys(bits: Any, least: int, n: int) -> Any:
    """Score and item, as they sort, of the n items that reach `least`; 0 up to the end of the last word."""
    keys, at = np.zeros((n + LANES - 1) // LANES * LANES, np.uint64), 0
    for start in range(0, len(bits), LANES):
        word = at_least(bits, start, np.int32(least))
        while word != 0:
            item = start + lowest(word)
            keys[at] = (np.uint64(bits[item]) << np.uint64(32)) | np.uint64(LAST_ITEM - item)
            word &= word - np.uint64(1)
            at += 1
    return keys
