"""Baselines as methods of the next-basket protocol: what they may see comes as a `Problem`, their lists go back.

The scores are those of `recsys.evaluation.basket_baselines`; two more learn from others' last baskets.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from recsys.evaluation import basket_baselines as by
from recsys.evaluation.basket_baselines import Ties, popularity
from recsys.evaluation.baskets_data import Floats, Scorer
from recsys.evaluation.next_basket import Lists, Method, Problem, lists_by

TARGET_WEIGHT = 10.0
"""Share of own baskets that a rate of 1 in others' newest baskets is worth."""


def g_top_freq(problem: Problem) -> Lists:
    """Items in most baskets of the histories."""
    return lists_by(by.g_top_freq(problem.history), problem)


def p_top_freq(problem: Problem, ties: Ties = "first seen", seed: int = 0) -> Lists:
    """The user's own items, most baskets first."""
    return lists_by(by.p_top_freq(problem.history, ties, seed), problem)


def gp_top_freq(problem: Problem, ties: Ties = "popularity", seed: int = 0) -> Lists:
    """The user's own items, most baskets first, then what is popular in the histories."""
    return lists_by(by.gp_top_freq(problem.history, ties, seed), problem)


def tifu_knn(problem: Problem, neighbours: int = 300, within: float = 0.9, across: float = 0.7, own: float = 0.7,
             groups: int = 7) -> Lists:  # fmt: skip
    """`basket_baselines.tifu_knn` with the users whose targets may be learned from as neighbours."""
    return lists_by(by.tifu_knn(problem.history, problem.learn, neighbours, within, across, own, groups), problem)


def up_cf(problem: Problem, neighbours: int = 300, recency: int = 10, asymmetry: float = 0.75, locality: float = 1.0,
          shrink: float = 0.0) -> Lists:  # fmt: skip
    """`basket_baselines.up_cf` with all users' histories."""
    return lists_by(by.up_cf(problem.history, None, neighbours, recency, asymmetry, locality, shrink), problem)


def by_scorer(problem: Problem, fit: Callable[..., Scorer]) -> Lists:
    """Lists of a baseline that reads the histories alone."""
    return lists_by(fit(problem.history), problem)


def popular_targets(problem: Problem) -> Lists:
    """Items in most of the last baskets that may be learned from."""
    rate = target_rate(problem)
    return lists_by(lambda users: np.tile(rate, (len(users), 1)), problem)


def own_and_popular_targets(problem: Problem, weight: float = TARGET_WEIGHT) -> Lists:
    """Share of one's own baskets with the item + `weight` × share of the last baskets that hold it."""
    counts, rate = problem.history.counts(), target_rate(problem)
    baskets = np.maximum(np.diff(problem.history.basket_start), 1)
    return lists_by(lambda users: by.dense(counts[users]) / baskets[users, None] + weight * rate, problem)


def target_rate(problem: Problem) -> Floats:
    """Share of the last baskets that may be learned from with each item, (n_items,)."""
    rate: Floats = popularity(problem.targets) / max(1, len(problem.learn))
    return rate


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
    "item-item": partial(by_scorer, fit=by.item_item),
    "ALS": partial(by_scorer, fit=by.als),
    "popularity in train targets": popular_targets,
    "own frequency + 10 × that rate": own_and_popular_targets,
}
"""All baselines by name."""
