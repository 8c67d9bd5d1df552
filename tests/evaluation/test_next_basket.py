"""Next basket and next novel basket on bases small enough to work out by hand."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from recsys.errors import ImportRefused
from recsys.evaluation.baskets_data import Baskets, Keyset, read_baskets, read_keyset
from recsys.evaluation.bootstrap import Interval
from recsys.evaluation.next_basket import (
    Lists,
    Measured,
    difference_over,
    final_problem,
    lists_by,
    mean_over,
    measure,
    open_users,
    problem_of,
)

THREE = Baskets.of({"ann": [[0, 1], [0], [0, 2]], "bob": [[3], [1, 3]], "cat": [[2], [2], [1, 0]]})
"""Targets: ann 0 and 2 (2 is new), bob 1 and 3 (1 is new), cat 1 and 0 (both new)."""


def places(*users: int) -> np.ndarray:
    return np.array(users, np.int64)


def lists(*rows: list[int]) -> Lists:
    padded = np.array([row + [-1] * (20 - len(row)) for row in rows], np.int32)
    return Lists(padded, padded)


def test_last_basket_of_asked_users_is_hidden() -> None:
    """Only cat's target can be learned from when ann and bob are asked, even if bob is listed as a train user."""
    problem, _ = problem_of(THREE, places(1, 2), places(0, 1))
    assert np.diff(problem.targets.basket_start).tolist() == [0, 0, 1]


def test_history_ends_before_the_target() -> None:
    """Histories keep every basket but the last."""
    problem, _ = problem_of(THREE, places(2), places(0))
    assert problem.history.item.tolist() == [0, 1, 0, 3, 2, 2]


def test_truth_is_the_last_basket_of_the_asked() -> None:
    """Truth stands in the order of the asked users, items ascending."""
    _, truth = problem_of(THREE, places(1), places(0, 2))
    assert (truth.start.tolist(), truth.item.tolist()) == ([0, 2, 4], [0, 2, 0, 1])


def test_new_figures_count_only_items_outside_the_history() -> None:
    """Ann's only new target item is 2: found at rank 2 of [1, 2] it gives recall 1 and NDCG 1 / log2(3)."""
    problem, truth = problem_of(THREE, places(2), places(0))
    measured = measure(lists([1, 2]), problem, truth)
    assert (measured.new["recall@10"][0], measured.new["ndcg@10"][0]) == (1.0, pytest.approx(1 / np.log2(3)))


def test_users_without_a_new_item_are_left_out() -> None:
    """Who buys again only what is known has no figure for new items."""
    problem, truth = problem_of(Baskets.of({"ann": [[0], [0]], "bob": [[0], [1]]}), places(1), places(0))
    assert np.isnan(measure(lists([0]), problem, truth).new["recall@10"]).tolist() == [True]


def test_lists_order_by_score_then_item() -> None:
    """Equal scores go to the smaller item; minus infinity is never shown."""
    problem, _ = problem_of(THREE, places(2), places(0))
    found = lists_by(lambda users: np.array([[1.0, 2.0, 2.0, -np.inf]] * len(users)), problem)
    assert found.mixed[0, :4].tolist() == [1, 2, 0, -1]


def test_new_lists_leave_the_history_out() -> None:
    """Ann knows 0 and 1: only 2 and 3 can be new to her."""
    problem, _ = problem_of(THREE, places(2), places(0))
    assert lists_by(lambda users: np.zeros((len(users), 4)), problem).new[0, :3].tolist() == [2, 3, -1]


def test_lists_are_the_largest_scores() -> None:
    """Against a sort of all scores, for more items than a list holds."""
    scores = np.random.default_rng(3).normal(size=(5, 300))
    baskets = Baskets.of({str(user): [[0], [1]] for user in range(5)}, 300)
    problem, _ = problem_of(baskets, places(), places(0, 1, 2, 3, 4))
    assert (lists_by(lambda users: scores[users], problem).mixed == np.argsort(-scores, axis=1)[:, :20]).all()


def test_open_users_are_in_no_test_part() -> None:
    """Choices are made on users that no keyset tests."""
    keysets = [Keyset(places(0, 1), places(), places(2)), Keyset(places(1, 2), places(), places(0))]
    assert open_users(THREE, keysets).tolist() == [1]


def test_final_problem_asks_the_test_users() -> None:
    """Train users are learned from, test users are asked, validation users are neither."""
    problem, _ = final_problem(THREE, Keyset(places(0), places(1), places(2)))
    assert (problem.learn.tolist(), problem.asked.tolist()) == ([0], [2])


def test_mean_over_keysets_weighs_keysets_equally() -> None:
    """(1 + 0) / 2 and 1 give .75, however many users each keyset asks; users left out don't count."""
    keysets = [(places(0, 1), np.array([1.0, 0.0])), (places(2, 3), np.array([1.0, np.nan]))]
    assert mean_over(keysets, 4).mean == 0.75


def test_interval_of_one_user_asked_in_all_keysets_has_the_width_of_one_keyset() -> None:
    """Users are drawn once: the same users in three keysets carry no more evidence than in one."""
    figure = np.random.default_rng(0).normal(size=400)
    once, thrice = (mean_over([(np.arange(400), figure)] * n, 400) for n in (1, 3))
    assert thrice == pytest.approx(once)


def test_interval_agrees_with_the_normal_distribution() -> None:
    """One keyset: ± 1.96 standard errors."""
    figure = np.random.default_rng(1).normal(size=900)
    found = mean_over([(np.arange(900), figure)], 900)
    assert found.high - found.low == pytest.approx(2 * 1.96 * figure.std() / 30, rel=0.08)


def test_difference_is_paired() -> None:
    """A method that is better by .1 for everybody is better by exactly .1 in every resample."""
    figure = np.random.default_rng(2).normal(size=50)
    one, other = (Measured(np.arange(50), {"recall@10": figure + plus}, {}) for plus in (0.1, 0.0))
    assert difference_over([one], [other], "mixed", "recall@10", 50) == pytest.approx(Interval(0.1, 0.1, 0.1))


def test_files_are_read_as_written(tmp_path: Path) -> None:
    """Baskets and keysets come from JSON, gzipped or not; users keep the order of the file."""
    (tmp_path / "baskets.json.gz").write_bytes(gzip.compress(json.dumps({"7": [[2, 0]], "3": [[1], [2]]}).encode()))
    (tmp_path / "keyset.json").write_text(json.dumps({"train": ["3"], "val": [], "test": ["7"]}))
    baskets = read_baskets(tmp_path / "baskets.json.gz")
    keyset = read_keyset(tmp_path / "keyset.json", baskets)
    assert (baskets.users, baskets.item.tolist(), keyset.test.tolist()) == (("7", "3"), [2, 0, 1, 2], [0])


@pytest.mark.parametrize("content", ["no json", "[1, 2]", '{"ann": 3}', '{"ann": [["latte"]]}'])
def test_other_files_are_refused(content: str, tmp_path: Path) -> None:
    """What is not a mapping of users to baskets of numbers is refused by name."""
    (tmp_path / "baskets.json").write_text(content)
    with pytest.raises(ImportRefused, match=r"found 'baskets\.json'"):
        read_baskets(tmp_path / "baskets.json")


def test_keyset_of_strangers_is_refused(tmp_path: Path) -> None:
    """A user without baskets has no target."""
    (tmp_path / "keyset.json").write_text(json.dumps({"train": ["zoe"], "val": [], "test": []}))
    with pytest.raises(ImportRefused, match="zoe"):
        read_keyset(tmp_path / "keyset.json", THREE)
