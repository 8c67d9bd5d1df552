"""The items with the largest scores, found by comparing many at a time."""

from typing import Any

import numba
import numpy as np

from recsys.features.lanes import LANES, at_least, lowest, ones

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
    items, found, n = _found(bits, least, n, wanted)
    alike = np.zeros(n, np.int64)
    for at in range(n):
        rank = 0
        for start in range(0, n, LANES):
            rank += ones(at_least(found, start, found[at] + np.int32(1)))
        place = rank + alike[rank]
        alike[rank] += 1  # they come item by item
        if place < wanted:
            out[place] = items[at]


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
def _found(bits: Any, least: int, n: int, wanted: int) -> Any:
    """The n items that reach `least`, ascending, and their bits, 0 up to the end of the last word; and how many.

    Where a crowd has the least score itself, only as many of it as are wanted.
    """
    ties = n if n <= 2 * wanted else wanted - _reach(bits, least + 1)
    items, found = np.empty(n + 1, np.int64), np.zeros(n + LANES, np.int32)
    at = 0
    for start in range(0, len(bits), LANES):
        word = at_least(bits, start, np.int32(least))
        while word != 0:
            item = start + lowest(word)
            word &= word - np.uint64(1)
            tied = bits[item] == least
            if not tied or ties > 0:
                items[at], found[at] = item, bits[item]
                at += 1
            ties -= tied
    return items, found, at
