"""Forests of small trees, one row at a time: LightGBM's own bits, and None where a byte does not hold a tree."""

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.models.forest import Forest
from recsys.models.small_trees import raw_of, small_trees
from tests.models.forests import random_model, random_tree
from tests.models.test_forest import delicate_rows


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), trees=st.integers(1, 30))
def test_any_row_scores_as_in_lightgbm(seed: int, trees: int) -> None:
    """Random trees of every decision type, values at thresholds, around zero and missing."""
    text, thresholds = random_model(seed, trees, 8, 4)
    X = delicate_rows(seed, 40, 4, thresholds, np.float32)
    tables = small_trees(Forest.from_text(text))

    raw = [raw_of(row, tables) for row in X]

    np.testing.assert_array_equal(raw, lightgbm.Booster(model_str=text).predict(X, raw_score=True, num_threads=1))


@pytest.mark.parametrize(("leaves", "small"), [(8, True), (9, False)])
def test_trees_larger_than_a_byte_are_left_to_the_walk(leaves: int, small: bool) -> None:
    """Eight leaves are the most."""
    tree = random_tree(np.random.default_rng(3), 0, leaves, 4)
    text, _ = random_model(0, 1, 1, 4)
    forest = Forest.from_text(text[: text.index("Tree=0")] + tree.text + text[text.index("end of trees") :])
    assert (small_trees(forest) is not None) is small
