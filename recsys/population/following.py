"""What comes next after an item, beyond what is bought anyway."""

from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.population.facts import Following
from recsys.population.neighbours import top_rows
from recsys.population.witnesses import Witnesses

KEPT = 100
"""Items kept of each row, those of largest excess."""
SHRINK = 50.0
"""Baskets an item's excess rate is shrunk by."""


def fit_following(seen: Witnesses) -> Following:
    """(n_ij - n_i p_j) / (n_i + 50) over consecutive baskets, where it is positive.

    n_i baskets with i that have a next one, n_ij of them whose next holds j, p_j the share of next baskets with j.
    """
    matrix = seen.matrix().astype(np.float32)
    pairs = np.flatnonzero(seen.owner[1:] == seen.owner[:-1])
    if len(pairs) == 0:
        return Following(np.zeros(seen.n_items + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    first, second = matrix[pairs], matrix[pairs + 1]
    joint = (first.T @ second).tocsr()
    count, usual = _sums(first), _sums(second) / len(pairs)
    row = np.repeat(np.arange(seen.n_items), np.diff(joint.indptr))
    joint.data = (joint.data - count[row] * usual[joint.indices]) / (count[row] + SHRINK)
    item, excess = top_rows(joint, KEPT, skip_self=False)
    kept = item >= 0
    start = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    return Following(start.astype(np.int64), item[kept], excess[kept])


def _sums(matrix: Any) -> npt.NDArray[np.float64]:
    return np.asarray(matrix.sum(axis=0), np.float64).ravel()
