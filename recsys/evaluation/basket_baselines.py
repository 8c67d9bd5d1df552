"""What is known to recommend a next basket by, without training: popularity, own frequency, neighbours, factors.

Each takes `Baskets` (histories of all users, oldest basket first) and gives a `Scorer`. Published files of baskets and
snapshots are both read as such, see `recsys.evaluation.baskets_methods` and `recsys.evaluation.offers_baselines`.
For evaluation only: sparse products over the whole base. Definitions as in Li, Jullien, Ariannezhad, de Rijke (2023),
"A Next Basket Recommendation Reality Check", ACM TOIS 41(4), section 4; ties matter there, so the rule is a parameter.
"""

import warnings
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from recsys.evaluation.baskets_data import Baskets, Floats, Indices, Scorer

Ties = Literal["first seen", "most recent", "random", "popularity"]

NEIGHBOURS = 100
"""Neighbours of an item the item-item baseline keeps."""

CHUNK = 8_000_000
"""Similarities or scores held at a time."""


def g_top_freq(history: Baskets) -> Scorer:
    """Items in most baskets, the same for everyone."""
    counts = popularity(history)
    return lambda users: np.tile(counts, (len(users), 1))


def p_top_freq(history: Baskets, ties: Ties = "first seen", seed: int = 0) -> Scorer:
    """The user's own items, most baskets first; others never."""
    return _own_frequency(history, ties, seed, others=False)


def gp_top_freq(history: Baskets, ties: Ties = "popularity", seed: int = 0) -> Scorer:
    """The user's own items, most baskets first, then what is popular in all histories."""
    return _own_frequency(history, ties, seed, others=True)


def tifu_knn(
    history: Baskets,
    among: Indices | None = None,
    neighbours: int = 300,
    within: float = 0.9,
    across: float = 0.7,
    own: float = 0.7,
    groups: int = 7,
) -> Scorer:
    """Score = own · u + (1 - own) · mean of the nearest `neighbours` users, by Euclidean distance, oneself left out.

    A user's vector is a weighted sum of the user's baskets, see `group_weights`. `among`: positions of the users that
    may be neighbours, None everyone. Hu, He, Gao, Zhang (2020), "Modeling Personalized Item Frequency Information for
    Next-basket Recommendation", SIGIR.
    """
    vectors = weighted_sum(history, group_weights(history.owner, within, across, groups))
    pool = np.arange(history.n_users) if among is None else among
    others = vectors[pool]
    squares = np.asarray(others.multiply(others).sum(axis=1)).ravel()

    def score(users: Indices) -> Floats:
        """Scores of all items for some customers, (len(users), n_items)."""
        closeness = 2.0 * dense(vectors[users] @ others.T) - squares
        closeness[users[:, None] == pool] = -np.inf
        picked, value = nearest(closeness, neighbours)
        weights = np.isfinite(value) / np.maximum(np.isfinite(value).sum(axis=1, keepdims=True), 1)
        return own * dense(vectors[users]) + (1 - own) * mixed(others, picked, weights)

    return in_steps(score, max(len(pool), history.n_items))


def up_cf(
    history: Baskets,
    among: Indices | None = None,
    neighbours: int = 300,
    recency: int = 10,
    asymmetry: float = 0.75,
    locality: float = 1.0,
    shrink: float = 0.0,
) -> Scorer:
    """Σ_v w(u, v)^locality · share of v's last `recency` baskets with the item, over the most similar v, u included.

    w is the asymmetric cosine u·v / (|u|²^asymmetry |v|²^(1 - asymmetry) + shrink) of the users' counts of baskets with
    each item. `among`: positions of the users that may be neighbours (a user not in it is no neighbour of their own),
    None everyone. Faggioli, Polato, Aiolli (2020), "Recency Aware Collaborative Filtering for Next Basket
    Recommendation", UMAP.
    """
    pool = np.arange(history.n_users) if among is None else among
    counts = history.counts()
    shares = weighted_sum(history, recency_weights(history.owner, recency))[pool]
    squares = np.maximum(np.asarray(counts.multiply(counts).sum(axis=1)).ravel(), 1.0)
    others = counts[pool]

    def score(users: Indices) -> Floats:
        """Scores of all items for some customers, (len(users), n_items)."""
        norm = squares[users, None] ** asymmetry * squares[pool] ** (1 - asymmetry) + shrink
        picked, similarity = nearest(dense(counts[users] @ others.T) / norm, neighbours)
        return mixed(shares, picked, similarity**locality)

    return in_steps(score, max(len(pool), history.n_items))


def item_item(history: Baskets, neighbours: int = NEIGHBOURS) -> Scorer:
    """Sum over the user's items of their cosine with the item, over users; an item is no neighbour of itself.

    Sarwar, Karypis, Konstan, Riedl (2001), "Item-Based Collaborative Filtering", section 3.1.1.
    """
    from implicit.nearest_neighbours import CosineRecommender

    binary = (history.counts() > 0).astype(np.float64).tocsr()
    model = CosineRecommender(K=neighbours + 1, num_threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it converts its own normalised copy and tells us so
        model.fit(binary, show_progress=False)
    similarity = model.similarity.tocsr().copy()
    similarity.setdiag(0.0)
    return lambda users: dense(binary[users] @ similarity)


def als(history: Baskets, factors: int = 64, alpha: float = 20.0, iterations: int = 15, seed: int = 0) -> Scorer:
    """Implicit-feedback matrix factorisation alone: x_u · y_i on log(1 + baskets).

    Hu, Koren, Volinsky (2008), "Collaborative Filtering for Implicit Feedback Datasets".
    """
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    weights = history.counts().astype(np.float32).log1p()
    model = AlternatingLeastSquares(
        factors=factors, regularization=0.05, alpha=alpha, iterations=iterations, random_state=seed, num_threads=1
    )
    with threadpool_limits(1, "blas"):
        model.fit(weights, show_progress=False)
    users_of, items = np.asarray(model.user_factors), np.asarray(model.item_factors)
    return lambda users: np.asarray(users_of[users] @ items.T, np.float64)


def popularity(baskets: Baskets) -> Floats:
    """Baskets with each item, (n_items,)."""
    return np.bincount(baskets.item, minlength=baskets.n_items).astype(np.float64)


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


def _own_frequency(history: Baskets, ties: Ties, seed: int, *, others: bool) -> Scorer:
    """Own baskets with the item, plus a fraction below 1 by the rule for ties; others' items below all own ones."""
    counts, popular = history.counts(), popularity(history)
    fraction = popular / (popular.max(initial=0.0) + 1.0)
    rank = _tie_ranks(history, ties, seed) if ties != "popularity" else None

    def score(users: Indices) -> Floats:
        """Scores of all items for some customers, (len(users), n_items)."""
        own = dense(counts[users])
        tie = fraction if rank is None else dense(rank[users])
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


def weighted_sum(baskets: Baskets, weights: Floats) -> Any:
    """Weighted sum of each user's baskets, csr (n_users, n_items) float32; `weights` (n_baskets,)."""
    from scipy.sparse import csr_matrix

    owner = baskets.owner
    by_user = csr_matrix((weights, (owner, np.arange(len(owner)))), shape=(baskets.n_users, len(owner)))
    summed = (by_user @ baskets.matrix()).astype(np.float32).tocsr()
    summed.eliminate_zeros()
    return summed


def nearest(closeness: Floats, neighbours: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Columns and values of the `neighbours` largest entries of each row, ties in no particular order."""
    count = min(neighbours, closeness.shape[1])
    picked = np.argpartition(-closeness, count - 1, axis=1)[:, :count]
    return picked, np.take_along_axis(closeness, picked, axis=1)


def mixed(vectors: Any, picked: npt.NDArray[np.int64], weights: Floats) -> Floats:
    """Σ_k weights[i, k] · vectors[picked[i, k]], dense (rows, n_items)."""
    from scipy.sparse import csr_matrix

    start = np.arange(0, picked.size + 1, picked.shape[1])
    mix = csr_matrix((weights.ravel(), picked.ravel(), start), shape=(len(picked), vectors.shape[0]))
    return dense(mix @ vectors)


def in_steps(score: Scorer, width: int) -> Scorer:
    """`score` of few users at a time: `width` numbers are held for each."""
    step = max(1, CHUNK // max(width, 1))

    def whole(users: Indices) -> Floats:
        """What `score` says, computed for `step` customers at a time."""
        parts = [score(users[start : start + step]) for start in range(0, len(users), step)]
        return np.concatenate(parts) if parts else score(users)

    return whole


def dense(matrix: Any) -> Floats:
    """All entries of a sparse matrix."""
    return np.asarray(matrix.toarray(), np.float64)
