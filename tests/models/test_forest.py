"""The forest scores like LightGBM, to the last bit."""

import subprocess
import sys

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.models import forest_kernel
from recsys.models.forest import Forest
from tests.models.forests import delicate_rows, random_model, random_tree, trained_model

seeds = st.integers(0, 2**32 - 1)
boosters = st.builds(
    trained_model,
    seeds,
    objective=st.sampled_from(["binary", "regression", "poisson", "tweedie", "gamma"]),
    boosting=st.sampled_from(["gbdt", "dart"]),
    num_leaves=st.integers(2, 40),
    use_missing=st.booleans(),
    zero_as_missing=st.booleans(),
    max_bin=st.sampled_from([2, 15, 255]),
    boost_from_average=st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(booster=boosters, seed=seeds, n=st.integers(1, 300), dtype=st.sampled_from([np.float32, np.float64]))
def test_a_trained_model_scores_as_in_lightgbm(booster, seed, n, dtype):
    """Whatever LightGBM trained, the raw scores are its own to the last bit."""
    forest = Forest.from_text(booster.model_to_string())
    thresholds = np.concatenate([forest.thresholds(j) for j in range(5)] + [[0.5]])
    X = delicate_rows(seed, n, 5, thresholds, dtype)

    raw = forest.raw(X)

    np.testing.assert_array_equal(raw, booster.predict(X, raw_score=True, num_threads=1))


@settings(max_examples=100, deadline=None)
@given(
    seed=seeds,
    trees=st.integers(1, 8),
    leaves=st.integers(1, 60),
    features=st.integers(1, 6),
    n=st.integers(1, 300),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_any_tree_scores_as_in_lightgbm(seed, trees, leaves, features, n, dtype):
    """Random trees of every decision type, infinite thresholds included, score as LightGBM reads them."""
    text, thresholds = random_model(seed, trees, leaves, features)
    X = delicate_rows(seed, n, features, thresholds, dtype)

    raw = Forest.from_text(text).raw(X)

    np.testing.assert_array_equal(raw, lightgbm.Booster(model_str=text).predict(X, raw_score=True, num_threads=1))


@settings(max_examples=50, deadline=None)
@given(seed=seeds, n=st.integers(1, 600))
def test_all_kernels_agree(seed, n):
    """The bit-sliced kernel, the walk without branches and the plain one give the same bits for any number of rows."""
    text, thresholds = random_model(seed, 6, 40, 4)
    forest = Forest.from_text(text)
    X = delicate_rows(seed, n, 4, thresholds, np.float32)

    cuts = forest.cuts
    sliced = forest_kernel.slice_rows(X, forest.trees, forest.steps, cuts.first, cuts.rounded, forest.nodes)
    stepped = forest_kernel.step(X, forest.steps)

    np.testing.assert_array_equal([sliced, stepped], [forest_kernel.walk(X, forest.trees)] * 2)


@settings(max_examples=50, deadline=None)
@given(seed=seeds, n=st.integers(16, 300), dtype=st.sampled_from([np.float32, np.float64]))
def test_columns_that_are_alike_in_all_rows_score_as_in_lightgbm(seed, n, dtype):
    """Columns of one value in every row, or in all but those where it is missing, change no bit."""
    text, thresholds = random_model(seed, 8, 40, 6)
    X = delicate_rows(seed, n, 6, thresholds, dtype)
    X[:, :4] = X[0, :4]
    X[5::7, 2:4] = np.nan

    raw = Forest.from_text(text).raw(X)

    np.testing.assert_array_equal(raw, lightgbm.Booster(model_str=text).predict(X, raw_score=True, num_threads=1))


@pytest.mark.parametrize("leaves", [255, 256, 257, 400])
def test_trees_of_more_leaves_than_a_byte_numbers_score_as_in_lightgbm(leaves):
    """Trees around 256 leaves score as in LightGBM."""
    tree = random_tree(np.random.default_rng(leaves), 0, leaves, 4)
    text, _ = random_model(0, 1, 1, 4)
    text = text[: text.index("Tree=0")] + tree.text + text[text.index("end of trees") :]
    X = delicate_rows(leaves, 300, 4, np.array(tree.thresholds), np.float32)

    raw = Forest.from_text(text).raw(X)

    np.testing.assert_array_equal(raw, lightgbm.Booster(model_str=text).predict(X, raw_score=True, num_threads=1))


@settings(max_examples=40, deadline=None)
@given(booster=boosters, seed=seeds)
def test_contributions_are_lightgbms(booster, seed):
    """TreeSHAP equals `pred_contrib` within 1e-9 of the largest contribution."""
    X = delicate_rows(seed, 20, 5, np.array([0.5, 0.0]))
    expected = booster.predict(X, pred_contrib=True, num_threads=1)

    found = Forest.from_text(booster.model_to_string()).contributions(X)

    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * max(np.abs(expected).max(), 1e-300))


def test_contributions_of_one_split_are_the_textbook_ones():
    """A stump on f0 with 3/4 of the rows left: bias is the mean, f0 gets the rest, f1 nothing."""
    text, _ = random_model(1, 1, 1, 2)
    stump = text.replace("num_leaves=1", "num_leaves=2")
    for name, value in {
        "split_feature": "0", "threshold": "0.5", "decision_type": "2", "left_child": "-1", "right_child": "-2",
        "leaf_value": "1 5", "leaf_count": "30 10", "internal_count": "40",
    }.items():  # fmt: skip
        stump = "\n".join(f"{name}={value}" if line.startswith(f"{name}=") else line for line in stump.splitlines())

    found = Forest.from_text(stump).contributions(np.array([[0.0, 0.0], [1.0, 0.0]]))

    np.testing.assert_allclose(found, [[-1.0, 0.0, 2.0], [3.0, 0.0, 2.0]], rtol=1e-15)


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_contributions_sum_to_the_raw_score(seed):
    """Every row of contributions sums to its raw score (local accuracy), on long paths too."""
    text, thresholds = random_model(seed, 5, 60, 30)
    forest = Forest.from_text(text)
    X = delicate_rows(seed, 10, 30, thresholds)

    np.testing.assert_allclose(forest.contributions(X).sum(axis=1), forest.raw(X), atol=1e-10)


def test_a_forest_of_no_trees_scores_zero():
    """A model stopped before its first tree gives 0 for every row."""
    text, _ = random_model(0, 0, 1, 3)

    np.testing.assert_array_equal(Forest.from_text(text).raw(np.ones((50, 3))), np.zeros(50))


@pytest.mark.parametrize("n", [0, 1, 7, 8, 63, 64, 65, 255, 256, 257, 1025])
def test_every_block_size_is_covered(n):
    """Row counts around the sizes of words and blocks score as in LightGBM."""
    booster = trained_model(3, objective="binary")
    X = delicate_rows(3, n, 5, np.array([0.5]), np.float32)
    expected = booster.predict(X, raw_score=True) if n else np.empty(0)

    np.testing.assert_array_equal(Forest.from_text(booster.model_to_string()).raw(X), expected)


def test_threads_share_one_forest():
    """Many threads scoring with one forest at once get the bits of one thread alone."""
    from concurrent.futures import ThreadPoolExecutor

    booster = trained_model(4, objective="binary", rounds=50)
    forest = Forest.from_text(booster.model_to_string())
    X = delicate_rows(4, 400, 5, np.array([0.5]), np.float32)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: forest.raw(X), range(100)))

    assert {raw.tobytes() for raw in found} == {booster.predict(X, raw_score=True).tobytes()}


def test_the_text_is_kept():
    """A forest gives back the text it was read from."""
    text, _ = random_model(5, 3, 8, 2)

    assert Forest.from_text(text).to_text() == text


def test_applying_imports_no_training_library():
    """Reading and applying bundles loads neither LightGBM, scikit-learn nor pandas."""
    program = (
        "import sys, recsys.models.offers, recsys.models.churn, recsys.models.value\n"
        "print(sorted({'lightgbm', 'sklearn', 'pandas', 'mlflow'} & set(sys.modules)))"
    )

    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert printed.stdout.strip() == "[]"
