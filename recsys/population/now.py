"""What is bought now: each item in the newest baskets of the witnesses."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys.population.witnesses import Witnesses

SHRINK = 20.0
"""Owners the base's share counts for when an item's own share of repeats is shrunk to it."""

Floats = npt.NDArray[np.float32]


class Now(NamedTuple):
    """One number an item, float32 (n_items,); witnesses weigh by how fresh their newest basket is.

    rate      share of the witnesses whose newest basket holds it
    adoption  share of those that had not bought it before
    repeat    share of those that had, shrunk to all items' share
    """

    rate: Floats
    adoption: Floats
    repeat: Floats


def fit_now(seen: Witnesses) -> Now:
    """Rates of the newest baskets."""
    sums, total = _sums(seen.owner, seen.start, seen.item, seen.age, seen.fresh, seen.n_items)
    taken, again, owners = sums
    usual = again.sum() / max(1e-9, owners.sum())
    return Now(
        rate=(taken / max(total, 1e-9)).astype(np.float32),
        adoption=((taken - again) / np.maximum(total - owners, 1.0)).astype(np.float32),
        repeat=((again + SHRINK * usual) / (owners + SHRINK)).astype(np.float32),
    )


@numba.njit(cache=True, nogil=True)
def _sums(owner: Any, start: Any, item: Any, age: Any, fresh: Any, n_items: int) -> Any:
    """Weights of witnesses by item (3, n_items): took it newest, took it again, owned it; and of all."""
    sums, total = np.zeros((3, n_items)), 0.0
    owned = np.full(n_items, -1, np.int64)
    first = 0
    for b in range(len(owner)):
        if b > 0 and owner[b] != owner[b - 1]:
            first = b
        if age[b] > 0:
            continue
        total += fresh[b]
        for at in range(start[first], start[b]):
            if owned[item[at]] != owner[b]:
                owned[item[at]] = owner[b]
                sums[2, item[at]] += fresh[b]
        for at in range(start[b], start[b + 1]):
            sums[0, item[at]] += fresh[b]
            if owned[item[at]] == owner[b]:
                sums[1, item[at]] += fresh[b]
    return sums, total
