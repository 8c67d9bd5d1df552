"""Cross-fitting: nobody is scored by trees that knew them, and the newest window counts."""

import numpy as np
import pytest

from recsys.evaluation.probability import auc
from training.crossfit import CrossFitted, Keyed, cross_fit
from training.samples import Sample
from training.trees import TreeSettings

NAMES = ("id", "noise")
SETTINGS = TreeSettings("binary", "binary_logloss", 60, None, {"num_leaves": 31, "min_data_in_leaf": 1})


def window(keys: np.ndarray, left: np.ndarray, seed: int) -> Keyed:
    """One window: the first feature is the customer, the second says nothing."""
    noise = np.random.default_rng(seed).random(len(keys))
    X = np.column_stack([keys / keys.max(), noise]).astype(np.float32)
    orders = np.where(left, 0, 1).astype(np.int64)
    return Keyed(Sample(X, orders, orders), keys.astype(np.uint64))


@pytest.fixture(scope="module")
def fates() -> np.ndarray:
    """Who leaves: a coin for each of 300 customers."""
    return np.random.default_rng(1).random(300) < 0.5


def fitted(earlier_left: np.ndarray, newest_left: np.ndarray) -> CrossFitted:
    keys = np.arange(1, 301)
    windows = window(keys, earlier_left, 2), window(keys, newest_left, 3)
    return cross_fit(*windows, NAMES, SETTINGS, seed=1, threads=1)


def test_nobody_is_scored_by_trees_that_knew_them(fates: np.ndarray) -> None:
    """Fates that only the customer's name tells are guessed by chance, though the trees of all rows know them."""
    found = fitted(fates, fates)
    assert 0.4 < auc(found.label, found.raw) < 0.6


def test_the_trees_that_serve_know_all_rows(fates: np.ndarray) -> None:
    """Trees of all rows tell the same fates from the name."""
    keys = np.arange(1, 301)
    rows = window(keys, fates, 3).sample.X
    assert auc(fates, fitted(fates, fates).forest.raw(rows)) > 0.9


def test_every_newest_row_is_scored_once(fates: np.ndarray) -> None:
    """A small newest window gives the curve all its rows."""
    assert len(fitted(fates, fates).raw) == 300


def test_the_newest_window_teaches_the_trees(fates: np.ndarray) -> None:
    """Where everybody's fate turned in the newest window, the trees of all rows no longer repeat the old one."""
    keys = np.arange(1, 301)
    rows = window(keys, fates, 3).sample.X
    assert auc(fates, fitted(fates, ~fates).forest.raw(rows)) < 0.8
