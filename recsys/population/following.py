"""What comes next, by what came before: excess of consecutive baskets; regression of the basket on the profile."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.population.facts import Following
from recsys.population.neighbours import top_rows
from recsys.population.witnesses import Witnesses, profiles

KEPT = 100
"""Items kept of each row, the largest by size."""
SHRINK = 50.0
"""Baskets an item's excess rate is shrunk by."""
COLUMNS, STEPS, STEP_FADE, PENALTY, MOST_ROWS = 3_000, 6, 0.8, 30.0, 80_000
"""Regression: items that take part, the most bought; newest baskets of a witness it is asked for; weight of one a
basket older; ridge penalty; rows in all."""


class Rows(NamedTuple):
    """Rows of (item, weight) by item: row i is `item[start[i]:start[i + 1]]`, sorted by item."""

    start: npt.NDArray[np.int64]
    item: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32]


def fit_following(seen: Witnesses, rarity: npt.NDArray[np.float32]) -> Following:
    """All maps from what was bought to what comes next."""
    if len(seen.owner) < 3:
        return Following(*_none(seen.n_items), *_none(seen.n_items), *_none(seen.n_items))
    taken, new = _regressions(seen, rarity)
    return Following(*_excess(seen), *taken, *new)


def _none(n_items: int) -> Rows:
    return Rows(np.zeros(n_items + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


def _excess(seen: Witnesses) -> Rows:
    """(n_ij - n_i p_j) / (n_i + 50): how much oftener than usual j is in the basket after one with i.

    n_i baskets with i that have a next one, n_ij of them whose next holds j, p_j the share of next baskets with j.
    """
    matrix = seen.matrix().astype(np.float32)
    pairs = np.flatnonzero(seen.owner[1:] == seen.owner[:-1])
    first, second = matrix[pairs], matrix[pairs + 1]
    joint = (first.T @ second).tocsr()
    count, usual = _sums(first), _sums(second) / max(1, len(pairs))
    row = np.repeat(np.arange(seen.n_items), np.diff(joint.indptr))
    joint.data = (joint.data - count[row] * usual[joint.indices]) / (count[row] + SHRINK)
    item, weight = top_rows(joint, KEPT, skip_self=False)
    kept = item >= 0
    start = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    return Rows(start.astype(np.int64), item[kept], weight[kept])


def _sums(matrix: Any) -> npt.NDArray[np.float64]:
    return np.asarray(matrix.sum(axis=0), np.float64).ravel()


def _regressions(seen: Witnesses, rarity: npt.NDArray[np.float32]) -> tuple[Rows, Rows]:
    """W = (X'DX + λI)⁻¹ X'D(Y - mean): X profiles, Y the basket after, or what was new in it; D weighs fresh ones more.

    Ridge regression of all items at once on the same left side (Steck 2019, "Embarrassingly shallow autoencoders",
    without its constraint on the diagonal, as the target lies after the input).
    """
    from scipy.linalg import cho_factor, cho_solve
    from threadpoolctl import threadpool_limits

    columns = np.sort(np.argsort(-_sums(seen.matrix()), kind="stable")[:COLUMNS])
    n = len(columns)
    gram, sides = np.zeros((n, n), np.float32), [np.zeros((n + 1, n + 1), np.float32) for _ in range(2)]
    with threadpool_limits(1, "blas"):
        for X, targets, weight in _steps(seen, rarity, columns):
            weighted = X.multiply(weight[:, None]).tocsr().T.tocsr()
            gram += (weighted @ X).toarray()
            for place, target in enumerate(targets):
                sides[place] += _moments(weighted, target, weight)
        gram[np.diag_indices_from(gram)] += PENALTY
        factor = cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
        found = [cho_solve(factor, _centred(side), check_finite=False) for side in sides]
    return _kept(found[0], columns, seen.n_items), _kept(found[1], columns, seen.n_items)


def _steps(seen: Witnesses, rarity: npt.NDArray[np.float32], columns: npt.NDArray[np.int64]) -> Any:
    """(profiles, (next basket, what was new in it), weights) of the witnesses' newest baskets, newest first."""
    baskets, age, fresh, total = seen.matrix().astype(np.float32), seen.age, seen.fresh, 0
    sizes = np.bincount(seen.owner, minlength=seen.count)
    for step in range(STEPS):
        chosen = np.flatnonzero((age == step) & (sizes[seen.owner] > step + 1))
        total += len(chosen)
        if len(chosen) == 0 or (step > 0 and total > MOST_ROWS):
            return
        whole = profiles(seen, rarity, step)[seen.owner[chosen]]
        before = seen.matrix(np.where(age > step, 1.0, 0.0))[seen.owner[chosen]]
        taken = baskets[chosen]
        new = (taken - taken.multiply(before > 0)).tocsr()
        yield whole[:, columns], (taken[:, columns], new[:, columns]), (STEP_FADE**step * fresh[chosen])


def _moments(weighted: Any, target: Any, weight: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """X'DY with two rows below it: Y'D1 and, in its first place, the sum of D; and X'D1 as the last column."""
    n = weighted.shape[0]
    out = np.zeros((n + 1, n + 1), np.float32)
    out[:n, :n] = (weighted @ target).toarray()
    out[n, :n] = target.T @ weight
    out[:n, n] = np.asarray(weighted.sum(axis=1)).ravel()
    out[n, n] = weight.sum()
    return out


def _centred(side: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    mean = side[-1, :-1] / max(float(side[-1, -1]), 1e-9)
    return np.asarray(side[:-1, :-1] - np.outer(side[:-1, -1], mean), np.float32)


def _kept(weights: npt.NDArray[np.float32], columns: npt.NDArray[np.int64], n_items: int) -> Rows:
    """The KEPT largest weights of each row by size, in the numbering of all items."""
    count = min(KEPT, len(columns))
    largest = np.sort(np.argpartition(-np.abs(weights), count - 1, axis=1)[:, :count], axis=1)
    sizes = np.zeros(n_items, np.int64)
    sizes[columns] = count
    item = columns[largest].astype(np.int32).ravel()
    weight = np.take_along_axis(weights, largest, axis=1).astype(np.float32).ravel()
    return Rows(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), item, weight)
