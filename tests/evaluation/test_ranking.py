"""Ranking metrics per customer against sums written out by hand and a brute-force twin."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.evaluation.ranking import hit_at, ndcg_at, recall_at, truth_of, truth_of_pairs

LISTS = np.array([[3, 1, 9, 4], [7, 8, -1, -1], [1, 2, 3, 4]], np.int32)
TRUTH = truth_of([{1, 4, 5}, {6}, set()])


def test_recall_by_hand() -> None:
    """One of three true items in the first three; none of one; no true item is NaN."""
    assert recall_at(3, LISTS, TRUTH) == pytest.approx([1 / 3, 0.0, math.nan], nan_ok=True)


def test_hit_by_hand() -> None:
    """A hit is one or more true items among the first k."""
    assert hit_at(3, LISTS, TRUTH) == pytest.approx([1.0, 0.0, math.nan], nan_ok=True)


def test_ndcg_by_hand() -> None:
    """Hits at ranks 2 and 4 over the ideal of all three true items."""
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    expected = (1 / math.log2(3) + 1 / math.log2(5)) / ideal
    assert ndcg_at(4, LISTS, TRUTH) == pytest.approx([expected, 0.0, math.nan], nan_ok=True)


def test_ideal_counts_all_true_items() -> None:
    """A perfect first item of two true ones at k = 1 is below 1, because the ideal is not cut at k."""
    assert ndcg_at(1, np.array([[0]], np.int32), truth_of([{0, 1}]))[0] == pytest.approx(1 / (1 + 1 / math.log2(3)))


def test_repeated_item_counts_once() -> None:
    """An item recommended twice is one hit."""
    assert recall_at(2, np.array([[5, 5]], np.int32), truth_of([{5, 6}]))[0] == 0.5


def test_truth_of_pairs_equals_truth_of_sets() -> None:
    """Pairs in any order, repeated, give the same truth as sets."""
    pairs = truth_of_pairs(np.array([1, 0, 0, 1, 0]), np.array([6, 5, 1, 6, 4]), 3)
    assert [each.tolist() for each in pairs] == [each.tolist() for each in TRUTH]


@given(st.lists(st.tuples(st.lists(st.integers(0, 9), min_size=6, max_size=6), st.sets(st.integers(0, 9))), min_size=1))
def test_recall_equals_sets(rows) -> None:
    """Recall equals its definition on Python sets."""
    lists = np.array([row for row, _ in rows], np.int32)
    expected = [len(set(row[:4]) & true) / len(true) if true else math.nan for row, true in rows]
    assert recall_at(4, lists, truth_of([true for _, true in rows])) == pytest.approx(expected, nan_ok=True)
