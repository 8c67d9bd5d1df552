"""Baselines of next-basket recommendation on bases small enough to work out by hand."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from recsys.evaluation import basket_baselines as by
from recsys.evaluation import baskets_methods as methods
from recsys.evaluation.baskets_data import Baskets
from recsys.evaluation.next_basket import Method, Problem, problem_of

HISTORY = [[4, 2], [2, 3], [1]]
"""Ann's: 2 twice, 4, 3 and 1 once."""

BASE = Baskets.of(
    {
        "ann": [*HISTORY, [9]],
        "bob": [[1, 5], [1, 3], [6, 7]],
        "cat": [[1], [5], [7]],
        "dan": [[8], [9]],
    },
    10,
)
"""Baskets of the histories: 1 in four, 2, 3 and 5 in two, 4 and 8 in one; targets to learn from: 7 twice, 6 once."""


def problem(learn: tuple[int, ...] = (1, 2)) -> Problem:
    return problem_of(BASE, np.array(learn, np.int64), np.array([0], np.int64))[0]


def top(method: Method, n: int, part: str = "mixed", learn: tuple[int, ...] = (1, 2)) -> list[int]:
    found: list[int] = getattr(method(problem(learn)), part)[0, :n].tolist()
    return found


def test_g_top_freq() -> None:
    """Most baskets first, ties to the smaller item."""
    assert top(methods.g_top_freq, 6) == [1, 2, 3, 5, 4, 8]


def test_p_top_freq_recommends_own_items_only() -> None:
    """Ann has four items: the list ends there, and there is nothing new to offer."""
    found = methods.p_top_freq(problem())
    assert (found.mixed[0, 4], found.new[0, 0]) == (-1, -1)


@pytest.mark.parametrize(
    ("ties", "expected"),
    [("first seen", [2, 4, 3, 1]), ("most recent", [2, 1, 3, 4]), ("popularity", [2, 1, 3, 4])],
)
def test_ties_of_own_frequency(ties: by.Ties, expected: list[int]) -> None:
    """2 leads; 4 was seen first, 1 last, and 1, 3, 4 is the order of popularity."""
    assert top(partial(methods.p_top_freq, ties=ties), 4) == expected


def test_random_ties_follow_the_seed() -> None:
    """Equal seeds, equal lists; over many seeds each of the three tied items comes second."""
    second = [top(partial(methods.p_top_freq, ties="random", seed=seed), 2)[1] for seed in [*range(40), 0]]
    assert (set(second), second[0]) == ({1, 3, 4}, second[-1])


def test_gp_top_freq_goes_on_with_what_is_popular() -> None:
    """After the own four: 5 (two baskets), then 8 (one)."""
    assert top(methods.gp_top_freq, 6) == [2, 1, 3, 4, 5, 8]


def test_popular_targets_count_last_baskets_that_may_be_learned_from() -> None:
    """7 in two targets, 6 in one; dan's 9 may not be learned from."""
    assert top(methods.popular_targets, 3) == [7, 6, 0]


def test_own_share_and_target_rate_add_up() -> None:
    """Ann's 2 is in 2/3 of her baskets; 7 in 2/2 of the targets: 10 · 1 > 10 · 1/2 > 2/3 > 1/3."""
    assert top(methods.own_and_popular_targets, 4) == [7, 6, 2, 1]


@pytest.mark.parametrize(
    ("baskets", "expected"),
    [
        (1, [0.7**6]),
        (2, [0.9 * 0.7**6 / 2, 0.7**5 / 2]),
        (8, [0.9**7 * 0.7**6, 0.9**6 * 0.7**5, *(0.9 ** (7 - k) * 0.7 ** (6 - k) for k in range(2, 6))]),
    ],
)
def test_tifu_weights(baskets: int, expected: list[float]) -> None:
    """Eight baskets in seven groups: the first six stand alone, the newest two share a group."""
    found = by.group_weights(np.zeros(baskets, np.int64), 0.9, 0.7, 7) * min(baskets, 7)
    if baskets == 8:
        expected = [*expected, 0.9 / 2, 1 / 2]
    else:
        expected = [each * baskets for each in expected]
    assert found.tolist() == pytest.approx(expected)


def test_tifu_mixes_in_the_nearest_users() -> None:
    """With one neighbour, own weight 0 and no fading ann gets what her nearest user takes most: 1, then 5."""
    method = partial(methods.tifu_knn, neighbours=1, own=0.0, within=1.0, across=1.0)
    assert top(method, 2) == [1, 5]


def test_tifu_without_neighbours_is_own_frequency() -> None:
    """With own weight 1 and no fading the vector is the share of baskets in groups of one."""
    assert top(partial(methods.tifu_knn, own=1.0, within=1.0, across=1.0), 1) == [2]


def counted(baskets: list[list[int]]) -> np.ndarray:
    return np.bincount([item for basket in baskets for item in basket], minlength=10).astype(float)


def brute_up_cf(neighbours: int) -> Any:
    """Ann's scores straight from the definition, users one by one."""
    histories = [HISTORY, [[1, 5], [1, 3]], [[1], [5]], [[8]]]
    ann = counted(HISTORY)
    norms = [(ann @ ann) ** 0.75 * (counted(each) @ counted(each)) ** 0.25 for each in histories]
    weight = [counted(each) @ ann / norm for each, norm in zip(histories, norms, strict=True)]
    chosen = sorted(range(4), key=lambda user: -weight[user])[:neighbours]
    return np.sum([weight[user] * counted(histories[user][-1:]) for user in chosen], axis=0)


@pytest.mark.parametrize("neighbours", [1, 2, 3])
def test_up_cf_is_its_definition(neighbours: int) -> None:
    """Recency 1: the last basket of the most similar users, ann herself first, by the asymmetric cosine."""
    scores = brute_up_cf(neighbours)
    expected = np.argsort(-scores, kind="stable")[: (scores > 0).sum()].tolist()
    assert top(partial(methods.up_cf, recency=1, neighbours=neighbours), len(expected)) == expected


@pytest.mark.parametrize("method", methods.BASELINES.values(), ids=methods.BASELINES.keys())
def test_targets_of_the_asked_change_nothing(method: Method) -> None:
    """Another last basket of ann leaves every list as it is."""
    changed = Baskets.of({"ann": [*HISTORY, [0, 8]]} | {u: _baskets(u) for u in ("bob", "cat", "dan")}, 10)
    first, second = (method(problem_of(each, np.array([1, 2]), np.array([0]))[0]) for each in (BASE, changed))
    assert np.array_equal(np.hstack([first.mixed, first.new]), np.hstack([second.mixed, second.new]))


def _baskets(user: str) -> list[list[int]]:
    low, high = BASE.basket_start[BASE.users.index(user)], BASE.basket_start[BASE.users.index(user) + 1]
    return [BASE.item[BASE.item_start[b] : BASE.item_start[b + 1]].tolist() for b in range(low, high)]
