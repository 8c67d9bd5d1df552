"""Prototype scores of a next-basket problem: what others take now, by neighbours, by what came before, by regression.

Every score is a function of users' positions → (n, n_items). Nothing reads the target of an asked user.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.evaluation.basket_baselines import group_weights, recency_weights
from recsys.evaluation.baskets_data import Baskets, Floats, Indices, Scorer
from recsys.evaluation.next_basket import Problem
from tests.benchmarks.bench_offers_snapshot import merged

RIDGE_ITEMS, RIDGE_STEPS, RIDGE_FADE, RIDGE_PENALTY, PREFIX_FADE = 4_000, 6, 0.8, 30.0, 0.9
"""Regression of the next basket on the faded baskets before it: most bought items, steps back, weight of a step one
basket older, ridge penalty, weight of a basket one older within the prefix."""

SHRINK = 50.0
"""Baskets an item's excess rate is shrunk by."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Matrices that the scores share, csr (n_users, n_items).

    counts   baskets of the history with the item
    targets  the last baskets that may be learned from
    last     the last basket of the history
    rate     share of those targets with the item, (n_items,)
    rarity   log((n_users + 1) / (buyers + 1)), (n_items,)
    """

    problem: Problem
    counts: Any
    targets: Any
    last: Any
    rate: Floats
    rarity: Floats

    @classmethod
    def of(cls, problem: Problem) -> "Seen":
        """Matrices of a problem."""
        history = problem.history
        counts, targets = history.counts().tocsr(), problem.targets.counts().tocsr()
        buyers = np.bincount(counts.indices, minlength=history.n_items)
        rate = np.asarray(targets.sum(axis=0)).ravel() / max(1, len(problem.learn))
        last = history.keep(history.is_last()).counts().tocsr()
        return cls(problem, counts, targets, last, rate, np.log((history.n_users + 1) / (buyers + 1)))


def item_facts(seen: Seen) -> dict[str, Floats]:
    """Numbers an item, (n_items,): how many take it now, take it up, take it again; before, and the ratio."""
    learn, taken = seen.problem.learn, seen.targets[seen.problem.learn]
    owned = seen.counts[learn] > 0
    buyers = np.asarray(owned.sum(axis=0)).ravel()
    again = np.asarray(taken.multiply(owned).sum(axis=0)).ravel()
    usual = again.sum() / max(1.0, buyers.sum())
    before = np.asarray(seen.last.sum(axis=0)).ravel() / seen.last.shape[0]
    return {
        "rate_now": seen.rate,
        "adoption_now": (seen.rate * len(learn) - again) / np.maximum(len(learn) - buyers, 1),
        "repeat_now": (again + 20 * usual) / (buyers + 20),
        "rate_before": before,
        "trend_now": seen.rate / np.maximum(before, 1e-6),
    }


def scores_of(seen: Seen) -> dict[str, dict[str, Scorer]]:
    """All scores by group and name."""
    history, counts = seen.problem.history, seen.counts
    vectors = {fade: unit(faded(history, fade), seen.rarity) for fade in (0.3, 0.9)}
    even = unit(counts, np.ones(history.n_items))
    mixed, new = next_basket_ridge(seen)
    return {
        "neighbours' newest baskets": {
            "near_targets": neighbours_targets(seen, even, 300),
            "wide_targets": neighbours_targets(seen, vectors[0.9], 1_000),
            "last_targets": neighbours_targets(seen, vectors[0.3], 1_000),
        },
        "neighbours' histories": {"up_cf": up_cf(seen), "tifu": tifu_neighbours(seen)},
        "transitions": {
            "next_all": excess(seen.last, *_steps(seen.problem, newest_only=False)),
            "next_new": excess(seen.last, *_steps(seen.problem, newest_only=True)),
            "next_faded": excess(faded(history, 0.7), *_steps(seen.problem, newest_only=False)),
            "history_target": excess(
                unit(counts > 0, np.ones(history.n_items)),
                counts[seen.problem.learn] > 0,
                seen.targets[seen.problem.learn],
            ),
        },
        "regression": {"ridge": mixed, "ridge_new": new},
        "own, faded": {f"own_faded_{fade:g}": _rows(faded(history, fade)) for fade in (0.6, 0.95)},
    }


def neighbours_targets(seen: Seen, vectors: Any, neighbours: int) -> Scorer:
    """Share of the targets of the users most similar by `vectors` that hold an item, weighted by similarity."""
    learn = seen.problem.learn
    others, targets = vectors[learn], seen.targets[learn]

    def score(users: Indices) -> Floats:
        near = _dense(vectors[users] @ others.T)
        picked, weight = _nearest(near, neighbours)
        return _combined(targets, picked, weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-9))

    return score


def up_cf(seen: Seen, neighbours: int = 300, asymmetry: float = 0.75) -> Scorer:
    """UP-CF, see recsys.evaluation.baskets_methods."""
    counts, history = seen.counts, seen.problem.history
    squares = np.maximum(np.asarray(counts.multiply(counts).sum(axis=1)).ravel(), 1.0)
    shares = _weighted(history, recency_weights(history.owner, 10))

    def score(users: Indices) -> Floats:
        norm = squares[users, None] ** asymmetry * squares[None, :] ** (1 - asymmetry)
        return _combined(shares, *_nearest(_dense(counts[users] @ counts.T) / norm, neighbours))

    return score


def tifu_neighbours(seen: Seen, neighbours: int = 300) -> Scorer:
    """Mean vector of the nearest users, the second half of TIFU-KNN."""
    history = seen.problem.history
    vectors = _weighted(history, group_weights(history.owner, 0.9, 0.7, 7))
    others = vectors[seen.problem.learn]
    squares = np.asarray(others.multiply(others).sum(axis=1)).ravel()

    def score(users: Indices) -> Floats:
        picked, _ = _nearest(2.0 * _dense(vectors[users] @ others.T) - squares, neighbours)
        return _combined(others, picked, np.full(picked.shape, 1.0 / picked.shape[1]))

    return score


def excess(source: Any, first: Any, second: Any, shrink: float = SHRINK) -> Scorer:
    """Σ over the source's items i: weight · (n_ij - n_i p_j) / (n_i + shrink), how much oftener than usual j follows i.

    `first`, `second` csr (n_pairs, n_items): pairs of baskets; p_j share of second baskets with j.
    """
    joint = (first.astype(np.float32).T @ second).tocsr()
    seen, usual = _column_sums(first), _column_sums(second) / max(1, second.shape[0])
    row = np.repeat(np.arange(joint.shape[0]), np.diff(joint.indptr))
    joint.data = (joint.data - seen[row] * usual[joint.indices]) / (seen[row] + shrink)
    return lambda users: _dense(source[users] @ joint)


def next_basket_ridge(seen: Seen) -> tuple[Scorer, Scorer]:
    """Linear map from the faded, rarity-weighted prefix to the next basket, and to what is new in it.

    Weighted ridge regression over the newest steps of all users, older ones weigh less; the learned-from targets are
    step 0. W = (X'DX + λI)⁻¹ X'D(Y - mean).
    """
    from scipy.linalg import cho_factor, cho_solve

    columns = np.sort(np.argsort(-_column_sums(seen.counts > 0), kind="stable")[:RIDGE_ITEMS])
    X, taken, new, weight = _ridge_rows(seen, columns)
    weighted = X.multiply(weight[:, None]).tocsr()
    gram = np.asarray((X.T @ weighted).todense(), np.float32)
    gram[np.diag_indices_from(gram)] += RIDGE_PENALTY
    factor = cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    queries = unit(faded(seen.problem.history, PREFIX_FADE), seen.rarity)[:, columns]

    def solved(Y: Any) -> Scorer:
        mean = np.asarray(Y.T @ weight).ravel() / weight.sum()
        right = np.asarray((weighted.T @ Y).todense(), np.float32) - np.outer(_column_sums(weighted), mean)
        W = cho_solve(factor, right, check_finite=False).astype(np.float32)
        return lambda users: _spread(queries[users] @ W, columns, seen.counts.shape[1])

    return solved(taken), solved(new)


def _ridge_rows(seen: Seen, columns: Indices) -> tuple[Any, Any, Any, Floats]:
    """Prefixes, next baskets, what is new in them (rows, items) and weights (rows,) of the newest steps."""
    from scipy.sparse import vstack

    baskets, _ = merged(seen.problem.history, seen.problem.targets)
    place, count = _places(baskets)
    learned = np.zeros(baskets.n_users, np.bool_)
    learned[seen.problem.learn] = True
    X, taken, new, weight = [], [], [], []
    for step in range(RIDGE_STEPS):
        age = count - 1 - place
        prefix = unit(faded(baskets.keep(age > step), PREFIX_FADE), seen.rarity)
        users = np.flatnonzero(np.diff(baskets.basket_start) > step + 1)
        following = baskets.keep(age == step).counts()[users]
        X.append(prefix[users][:, columns])
        taken.append(following[:, columns])
        new.append((following - following.multiply(prefix[users] > 0)).tocsr()[:, columns])
        weight.append(RIDGE_FADE ** np.where(learned[users], step, step + 1))
    return vstack(X).tocsr(), vstack(taken).tocsr(), vstack(new).tocsr(), np.concatenate(weight)


def _steps(problem: Problem, *, newest_only: bool) -> tuple[Any, Any]:
    """Consecutive baskets of one user, of all histories and targets or only from the last basket to the target."""
    baskets, _ = merged(problem.history, problem.targets)
    matrix, owner = baskets.matrix(), baskets.owner
    first = np.flatnonzero(owner[1:] == owner[:-1])
    if newest_only:
        learned = np.zeros(baskets.n_users, np.bool_)
        learned[problem.learn] = True
        first = first[(learned[owner] & baskets.is_last())[first + 1]]
    return matrix[first], matrix[first + 1]


def faded(baskets: Baskets, fade: float) -> Any:
    """Baskets with each item, one basket older weighs `fade` as much, csr (n_users, n_items)."""
    place, count = _places(baskets)
    return _weighted(baskets, fade ** (count - 1.0 - place))


def unit(matrix: Any, weights: Floats) -> Any:
    """Columns times `weights`, rows of length 1 (or 0), csr float32."""
    from scipy.sparse import diags

    scaled = matrix.astype(np.float32) @ diags(weights.astype(np.float32))
    length = np.sqrt(np.asarray(scaled.multiply(scaled).sum(axis=1)).ravel())
    return (diags(1.0 / np.maximum(length, 1e-9)) @ scaled).tocsr()


def _weighted(baskets: Baskets, weights: Floats) -> Any:
    from scipy.sparse import csr_matrix

    owner = baskets.owner
    shape = (baskets.n_users, len(owner))
    return (csr_matrix((weights, (owner, np.arange(len(owner)))), shape=shape) @ baskets.matrix()).tocsr()


def _places(baskets: Baskets) -> tuple[Indices, Indices]:
    """Place of each basket among its user's, 0 = oldest, and how many the user has."""
    owner, sizes = baskets.owner, np.diff(baskets.basket_start)
    return np.arange(len(owner)) - baskets.basket_start[owner], sizes[owner]


def _nearest(closeness: Floats, neighbours: int) -> tuple[Indices, Floats]:
    count = min(neighbours, closeness.shape[1])
    picked = np.argpartition(-closeness, count - 1, axis=1)[:, :count]
    return picked, np.take_along_axis(closeness, picked, axis=1)


def _combined(vectors: Any, picked: Indices, weights: Floats) -> Floats:
    from scipy.sparse import csr_matrix

    start = np.arange(0, picked.size + 1, picked.shape[1])
    return _dense(csr_matrix((weights.ravel(), picked.ravel(), start), shape=(len(picked), vectors.shape[0])) @ vectors)


def _spread(values: Any, columns: Indices, n: int) -> Floats:
    out = np.zeros((values.shape[0], n))
    out[:, columns] = values
    return out


def _rows(matrix: Any) -> Callable[[Indices], Floats]:
    return lambda users: _dense(matrix[users])


def _column_sums(matrix: Any) -> Floats:
    return np.asarray(matrix.sum(axis=0), np.float64).ravel()


def _dense(matrix: Any) -> Floats:
    return np.asarray(matrix.toarray(), np.float64)
