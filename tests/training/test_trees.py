"""Trees: the same text for the same rows, nothing of the machine in it."""

import lightgbm as lgb
import numpy as np
import pytest

from recsys.models.forest import Forest
from training.trees import Rows, TreeSettings, blended, grow, leafy, without

NAMES = ("a", "b", "c")
SETTINGS = leafy(TreeSettings("binary", "binary_logloss", 30, 5, {"num_leaves": 4}), 400)


@pytest.fixture(scope="module")
def rows() -> Rows:
    draw = np.random.default_rng(2)
    X = draw.normal(size=(400, 3)).astype(np.float32)
    return Rows(X, np.where(X[:, 0] + draw.normal(size=400) > 0, 1.0, 0.0))


def test_equal_rows_give_equal_text(rows: Rows) -> None:
    """Whatever the number of threads."""
    texts = {grow(rows, NAMES, SETTINGS, seed=1, threads=threads).text for threads in (1, 2)}
    assert len(texts) == 1


def test_the_text_is_a_whole_model(rows: Rows) -> None:
    """LightGBM and the forest kernel read the shortened text and agree to the last bit."""
    text = grow(rows, NAMES, SETTINGS, seed=1, threads=1).text
    theirs = lgb.Booster(model_str=text).predict(rows.X, raw_score=True)
    assert np.array_equal(theirs, Forest.from_text(text).raw(rows.X))


def test_held_out_rows_stop_the_growing(rows: Rows) -> None:
    """On labels without a pattern the first trees are the best."""
    noise = Rows(rows.X, np.random.default_rng(4).integers(0, 2, 400).astype(np.float64))
    assert grow(rows, NAMES, SETTINGS, seed=1, threads=1, held_out=noise).trees < 30


def test_features_left_out_are_not_split_on(rows: Rows) -> None:
    """The strongest feature stays unused once it is left out."""
    text = grow(rows, NAMES, without(SETTINGS, NAMES, frozenset({"a"})), seed=1, threads=1).text
    assert lgb.Booster(model_str=text).feature_importance()[0] == 0


def test_a_blend_is_the_weighted_sum_of_its_forests(rows: Rows) -> None:
    """LightGBM itself reads the blend and gives 0.25 of the one raw score and 0.75 of the other."""
    texts = tuple(grow(rows, NAMES, SETTINGS, seed=seed, threads=1).text for seed in (1, 2))
    one, two = (lgb.Booster(model_str=text).predict(rows.X, raw_score=True) for text in texts)
    found = lgb.Booster(model_str=blended(texts, (0.25, 0.75))).predict(rows.X, raw_score=True)
    assert found == pytest.approx(0.25 * one + 0.75 * two, rel=1e-12)


def test_a_blend_explains_itself(rows: Rows) -> None:
    """Shapley values of a blend add up to its raw score."""
    texts = tuple(grow(rows, NAMES, SETTINGS, seed=seed, threads=1).text for seed in (1, 2))
    forest = Forest.from_text(blended(texts, (0.5, 0.5)))
    assert forest.contributions(rows.X).sum(axis=1) == pytest.approx(forest.raw(rows.X), rel=1e-9, abs=1e-12)
