"""Baselines of next-basket recommendation: popularity, own frequency and their blends, TIFU-KNN, UP-CF.

Each is a `Method` with the settings of the literature as defaults. For evaluation only: sparse products over the whole
base. Definitions as in Li, Jullien, Ariannezhad, de Rijke (2023), "A Next Basket Recommendation Reality Check", ACM
TOIS 41(4), section 4; ties matter there, so that each rule for them is a parameter.
"""

from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from recsys.evaluation.baskets_data import Baskets, Indices
from recsys.evaluation.next_basket import Floats, Lists, Method, Problem, lists_by

Ties = Literal["first seen", "most recent", "random", "popularity"]

TARGET_WEIGHT = 10.0
"""Share of own baskets that a rate of 1 in others' newest baskets is worth."""

STEP = 1_000
"""Users whose similarities to all others are held at a time."""


def g_top_freq(problem: Problem) -> Lists:
    """Items in most baskets of the histories."""
    counts = _popularity(problem.history)
    return lists_by(lambda users: np.tile(counts, (len(users), 1)), problem)


def p_top_freq(problem: Problem, ties: Ties = "first seen", seed: int = 0) -> Lists:
    """The user's own items, most baskets first."""
    return lists_by(_own_frequency(problem, ties, seed, others=False), problem)


def gp_top_freq(problem: Problem, ties: Ties = "popularity", seed: int = 0) -> Lists:
    """The user's own items, most baskets first, then what is popular in the histories."""
    return lists_by(_own_frequency(problem, ties, seed, others=True), problem)


def popular_targets(problem: Problem) -> Lists:
    """Items in most of the last baskets that may be learned from."""
    rate = target_rate(problem)
    return lists_by(lambda users: np.tile(rate, (len(users), 1)), problem)


def own_and_popular_targets(problem: Problem, weight: float = TARGET_WEIGHT) -> Lists:
    """Share of one's own baskets with the item + `weight` × share of the last baskets that hold it."""
    counts, rate = problem.history.counts(), target_rate(problem)
    baskets = np.maximum(np.diff(problem.history.basket_start), 1)
    return lists_by(lambda users: _dense(counts[users]) / baskets[users, None] + weight * rate, problem)


def target_rate(problem: Problem) -> Floats:
    """Share of the last baskets that may be learned from with each item, (n_items,)."""
    rate: Floats = _popularity(problem.targets) / max(1, len(problem.learn))
    return rate


def tifu_knn(
    problem: Problem,
    neighbours: int = 300,
    within: float = 0.9,
    across: float = 0.7,
    own: float = 0.7,
    groups: int = 7,
) -> Lists:
    """Score = own · u + (1 - own) · mean of the nearest `neighbours` learned-from users, by Euclidean distance.

    A user's vector is a weighted sum of the user's baskets, see `group_weights`. Hu, He, Gao, Zhang (2020), "Modeling
    Personalized Item Frequency Information for Next-basket Recommendation", SIGIR.
    """
    vectors = _summed(problem.history, group_weights(problem.history.owner, within, across, groups))
    others = vectors[problem.learn]
    squares = np.asarray(others.multiply(others).sum(axis=1)).ravel()

    def score(users: Indices) -> Floats:
        picked, _ = _nearest(2.0 * _dense(vectors[users] @ others.T) - squares, neighbours)
        mean = _mixed(others, picked, np.full(picked.shape, 1.0 / picked.shape[1]))
        return own * _dense(vectors[users]) + (1 - own) * mean

    return lists_by(_in_steps(score), problem)


def up_cf(
    problem: Problem,
    neighbours: int = 300,
    recency: int = 10,
    asymmetry: float = 0.75,
    locality: float = 1.0,
    shrink: float = 0.0,
) -> Lists:
    """Σ_v w(u, v)^locality · share of v's last `recency` baskets with the item, over the most similar v, u included.

    w is the asymmetric cosine u·v / (|u|²^asymmetry |v|²^(1 - asymmetry) + shrink) of the users' counts of baskets with
    each item. Faggioli, Polato, Aiolli (2020), "Recency Aware Collaborative Filtering for Next Basket Recommendation",
    UMAP.
    """
    counts, shares = problem.history.counts(), _summed(problem.history, recency_weights(problem.history.owner, recency))
    squares = np.maximum(np.asarray(counts.multiply(counts).sum(axis=1)).ravel(), 1.0)

    def score(users: Indices) -> Floats:
        norm = squares[users, None] ** asymmetry * squares[None, :] ** (1 - asymmetry) + shrink
        picked, similarity = _nearest(_dense(counts[users] @ counts.T) / norm, neighbours)
        return _mixed(shares, picked, similarity**locality)

    return lists_by(_in_steps(score), problem)


BASELINES: dict[str, Method] = {
    "G-TopFreq": g_top_freq,
    "P-TopFreq, ties first seen": p_top_freq,
    "P-TopFreq, ties random": partial(p_top_freq, ties="random"),
    "P-TopFreq, ties most recent": partial(p_top_freq, ties="most recent"),
    "P-TopFreq, ties by popularity": partial(p_top_freq, ties="popularity"),
    "GP-TopFreq, ties first seen": partial(gp_top_freq, ties="first seen"),
    "GP-TopFreq, ties by popularity": gp_top_freq,
    "TIFU-KNN": tifu_knn,
    "UP-CF": up_cf,
    "popularity in train targets": popular_targets,
    "own frequency + 10 × that rate": own_and_popular_targets,
}
"""All baselines by name."""


def group_weights(owner: Indices, within: float, across: float, groups: int) -> Floats:
    """TIFU-KNN's weight of each basket, (n_baskets,): within^age / size of group · across^age of group / groups used.

    A user's baskets form at most `groups` groups of equal size, the newer ones larger by one. As in the authors'
    program, and unlike the paper's formula, `within` fades over the whole history and a group's age counts from
    `groups` even where a user has fewer: few baskets make a short vector.
    """
    place, count = _places(owner)
    used = np.minimum(count, groups)
    small, larger = count // used, count % used
    border = (used - larger) * small
    old = place < border
    group = np.where(old, place // small, used - larger + (place - border) // (small + 1))
    size = np.where(old, small, small + 1)
    weights: Floats = within ** (count - 1.0 - place) / size * across ** (groups - 1.0 - group) / used
    return weights


def recency_weights(owner: Indices, recency: int) -> Floats:
    """UP-CF's weight of each basket, (n_baskets,): equal shares of the user's last `recency`."""
    place, count = _places(owner)
    weights: Floats = np.where(place >= count - recency, 1.0 / np.minimum(count, recency), 0.0)
    return weights


def _places(owner: Indices) -> tuple[Indices, Indices]:
    """Of each basket: its place among its user's (0 = oldest) and how many the user has."""
    counts = np.bincount(owner) if len(owner) else np.zeros(0, np.int64)
    starts = np.cumsum(counts) - counts
    return np.arange(len(owner)) - starts[owner], counts[owner]


def _own_frequency(problem: Problem, ties: Ties, seed: int, *, others: bool) -> Any:
    """Own baskets with the item, plus a fraction below 1 by the rule for ties; others' items below all own ones."""
    history = problem.history
    counts, popularity = history.counts(), _popularity(history)
    fraction = popularity / (popularity.max() + 1.0)
    rank = _tie_ranks(history, ties, seed) if ties != "popularity" else None

    def score(users: Indices) -> Floats:
        own = _dense(counts[users])
        tie = fraction if rank is None else _dense(rank[users])
        return np.where(own > 0, own + tie, fraction - 1.0 if others else -np.inf)

    return score


def _tie_ranks(history: Baskets, ties: Ties, seed: int) -> Any:
    """Of each user's items a fraction in (0, 1), larger is better; csr (n_users, n_items)."""
    from scipy.sparse import csr_matrix

    basket, item = history.pairs()
    code = history.owner[basket] * history.n_items + item
    if ties == "most recent":
        found, last = np.unique(code[::-1], return_index=True)
        value = (len(code) - last) / (len(code) + 1.0)
    else:
        found, first = np.unique(code, return_index=True)
        value = 1.0 - (first + 1.0) / (len(code) + 1.0)
    if ties == "random":
        value = np.random.default_rng(seed).uniform(0.01, 0.99, len(found))
    shape = (history.n_users, history.n_items)
    return csr_matrix((value, (found // history.n_items, found % history.n_items)), shape=shape)


def _popularity(baskets: Baskets) -> Floats:
    """Baskets with each item, (n_items,)."""
    return np.bincount(baskets.item, minlength=baskets.n_items).astype(np.float64)


def _summed(baskets: Baskets, weights: Floats) -> Any:
    """Weighted sum of each user's baskets, csr (n_users, n_items) float32."""
    from scipy.sparse import csr_matrix

    owner = baskets.owner
    by_user = csr_matrix((weights, (owner, np.arange(len(owner)))), shape=(baskets.n_users, len(owner)))
    summed = (by_user @ baskets.matrix()).astype(np.float32).tocsr()
    summed.eliminate_zeros()
    return summed


def _nearest(closeness: Floats, neighbours: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Columns and values of the `neighbours` largest entries of each row, ties in no particular order."""
    count = min(neighbours, closeness.shape[1])
    picked = np.argpartition(-closeness, count - 1, axis=1)[:, :count]
    return picked, np.take_along_axis(closeness, picked, axis=1)


def _mixed(vectors: Any, picked: npt.NDArray[np.int64], weights: Floats) -> Floats:
    """Σ_k weights[i, k] · vectors[picked[i, k]], dense (rows, n_items)."""
    from scipy.sparse import csr_matrix

    start = np.arange(0, picked.size + 1, picked.shape[1])
    mix = csr_matrix((weights.ravel(), picked.ravel(), start), shape=(len(picked), vectors.shape[0]))
    return _dense(mix @ vectors)


def _in_steps(score: Any) -> Any:
    """`score` of few users at a time: similarities to all users are held."""

    def whole(users: Indices) -> Floats:
        return np.concatenate([score(users[start : start + STEP]) for start in range(0, len(users), STEP)])

    return whole


def _dense(matrix: Any) -> Floats:
    return np.asarray(matrix.toarray(), np.float64)
