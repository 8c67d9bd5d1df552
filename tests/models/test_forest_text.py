"""Damaged or unsupported LightGBM text is refused with a clear error and never crashes."""

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.errors import BundleError, UnsupportedModel
from recsys.models.forest import Forest
from tests.models.forests import random_model, trained_model

TEXT = random_model(7, 3, 6, 3)[0]


def read_and_score(text: str) -> str:
    """`refused`, or `scored` with every kernel having run on the result."""
    try:
        forest = Forest.from_text(text)
    except BundleError:
        return "refused"
    X = np.zeros((20, len(forest.feature_names)), np.float32)
    forest.raw(X)
    forest.raw(X[:1])
    forest.contributions(X)
    return "scored"


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damage_is_refused_or_harmless(data):
    """Bytes changed, removed or repeated anywhere give a BundleError or a forest that scores."""
    start = data.draw(st.integers(0, len(TEXT) - 1))
    length = data.draw(st.integers(0, 60))
    inserted = data.draw(st.text(alphabet="0123456789-=.eE \nabnif~", max_size=12))

    assert read_and_score(TEXT[:start] + inserted + TEXT[start + length :]) in {"refused", "scored"}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_text_that_breaks_off_is_refused(share):
    """A download cut short is named as damage."""
    cut = TEXT[: int(share * TEXT.index("end of trees"))]

    with pytest.raises(BundleError, match="damaged"):
        Forest.from_text(cut)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("left_child", "0"),
        ("left_child", "-1"),
        ("right_child", "99999"),
        ("right_child", "-99999"),
        ("split_feature", "3"),
        ("split_feature", "-1"),
        ("split_feature", "99999999999999999999"),
        ("threshold", "nan"),
        ("leaf_value", "inf"),
        ("leaf_value", "cake"),
        ("decision_type", "12"),
        ("decision_type", "16"),
        ("leaf_count", "-5"),
        ("num_leaves", "2147483647"),
        ("num_leaves", "0"),
        ("Tree", "1"),
    ],
)
def test_a_wrong_number_is_refused(name, value):
    """Indices outside the tree, numbers that are none and impossible sizes never reach a kernel."""
    lines = random_model(7, 1, 30, 3)[0].splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(f"{name}="))
    rest = lines[at].partition(" ")[2]
    lines[at] = f"{name}={value} {rest}".strip()

    with pytest.raises(BundleError, match="damaged"):
        Forest.from_text("\n".join(lines))


def test_a_child_before_its_parent_is_refused():
    """The kernels go through the splits once, in order; a tree numbered otherwise would score wrongly."""
    text = random_model(7, 1, 1, 3)[0].replace("num_leaves=1", "num_leaves=4")
    for name, value in {
        "split_feature": "0 1 2", "threshold": "0 0 0", "decision_type": "2 2 2", "left_child": "2 -3 1",
        "right_child": "-1 -4 -2", "leaf_value": "1 2 3 4", "leaf_count": "1 1 1 1", "internal_count": "4 2 3",
    }.items():  # fmt: skip
        text = "\n".join(f"{name}={value}" if line.startswith(f"{name}=") else line for line in text.splitlines())

    with pytest.raises(BundleError, match="before its parent"):
        Forest.from_text(text)


def test_a_missing_tree_is_refused():
    """The header counts the trees."""
    begin, end = TEXT.index("Tree=2"), TEXT.index("end of trees")

    with pytest.raises(BundleError, match="number of trees"):
        Forest.from_text(TEXT[:begin] + TEXT[end:])


def test_categories_are_refused():
    """A model with categorical splits says which tree and what to do."""
    X = np.random.default_rng(0).integers(0, 6, (400, 2)).astype(float)
    data = lightgbm.Dataset(X, (X[:, 0] % 2), categorical_feature=[0])
    booster = lightgbm.train({"verbose": -1, "min_data_per_group": 1, "cat_smooth": 0}, data, 2)

    with pytest.raises(UnsupportedModel, match="categories"):
        Forest.from_text(booster.model_to_string())


def test_linear_leaves_are_refused():
    """A model with linear leaves is refused by name."""
    with pytest.raises(UnsupportedModel, match="linear leaves"):
        Forest.from_text(trained_model(1, objective="regression", linear_tree=True).model_to_string())


def test_random_forests_are_refused():
    """An averaged model is refused by name."""
    booster = trained_model(1, objective="regression", boosting="rf", bagging_freq=1, bagging_fraction=0.5)

    with pytest.raises(UnsupportedModel, match="random forest"):
        Forest.from_text(booster.model_to_string())


def test_several_classes_are_refused():
    """A model of three classes is refused by name."""
    X = np.random.default_rng(0).normal(size=(90, 2))
    data = lightgbm.Dataset(X, np.arange(90) % 3)
    booster = lightgbm.train({"verbose": -1, "objective": "multiclass", "num_class": 3}, data, 2)

    with pytest.raises(UnsupportedModel, match="several classes"):
        Forest.from_text(booster.model_to_string())


def test_rows_of_another_width_are_refused():
    """Too few columns never reach the kernel."""
    with pytest.raises(BundleError, match="do not fit"):
        Forest.from_text(TEXT).raw(np.zeros((5, 2), np.float32))
