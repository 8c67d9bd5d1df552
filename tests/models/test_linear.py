"""The linear scorer is the weighted sum it says it is."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recsys.errors import BundleError
from recsys.models.linear import Linear
from recsys.models.scorers import load_scorer

NAMES = ("recency", "orders", "spend")
SCORER = Linear.of(
    NAMES, {"recency": -0.5, "spend": 0.25}, 2.0, missing={"recency": 40.0}, reference={"recency": 10.0, "spend": 8.0}
)


def test_raw_is_the_weighted_sum():
    """2 − 0.5·30 + 0.25·100 = 12."""
    assert SCORER.raw(np.array([[30.0, 7.0, 100.0]], np.float32)).tolist() == [12.0]


def test_a_missing_feature_counts_as_its_fill_value():
    """A NaN recency counts as 40, a NaN spend as 0: 2 − 20 + 0."""
    assert SCORER.raw(np.array([[np.nan, 1.0, np.nan]])).tolist() == [-18.0]


def test_a_feature_without_weight_is_never_read():
    """Infinity times weight 0 is no NaN."""
    assert SCORER.raw(np.array([[30.0, np.inf, 100.0]])).tolist() == [12.0]


def test_contributions_are_distances_from_the_reference():
    """Recency 30 instead of 10 takes 10 off; the bias is the score of the reference."""
    found = SCORER.contributions(np.array([[30.0, 7.0, 100.0]]))

    assert found.tolist() == [[-10.0, 0.0, 23.0, -1.0]]


numbers = st.floats(-1e6, 1e6)


three = st.lists(numbers, min_size=3, max_size=3)


@given(weights=three, intercept=numbers, row=hnp.arrays(np.float32, 3, elements=st.floats(-1e6, 1e6, width=32)))
def test_raw_is_near_the_exact_sum(weights, intercept, row):
    """Rounding stays within a few units in the last place of exact arithmetic."""
    terms = [Fraction(intercept), *(Fraction(w) * Fraction(float(x)) for w, x in zip(weights, row, strict=True))]
    size = float(sum(map(abs, terms)))

    raw = Linear.of(NAMES, dict(zip(NAMES, weights, strict=True)), intercept).raw(row[None, :])

    assert abs(raw[0] - float(sum(terms))) <= 1e-15 * 4 * size


@given(weights=three, intercept=numbers)
def test_text_keeps_every_bit(weights, intercept):
    """Written and read back, a scorer is the same to the last bit."""
    scorer = Linear.of(NAMES, dict(zip(NAMES, weights, strict=True)), intercept)

    assert load_scorer(scorer.to_text()).to_text() == scorer.to_text()


def stored(**changed):
    """JSON of a sound scorer on one feature, with changed fields."""
    sound = {"feature_names": ["a"], "weights": [1], "missing": [0], "reference": [0], "intercept": 0}
    return json.dumps({**sound, **changed})


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        '{"a":' * 9999,
        stored(weights=[1, 2]),
        stored(weights=["x"]),
        stored(weights=None),
        stored(weights=[float("nan")]),
        stored(intercept=float("inf")),
        stored(feature_names=["a", "a"], weights=[1, 1], missing=[0, 0], reference=[0, 0]),
    ],
)
def test_damaged_text_is_refused(text):
    """No damaged text becomes a scorer."""
    with pytest.raises(BundleError):
        load_scorer(text)


def test_a_weight_without_feature_is_refused():
    """A misspelt feature is named."""
    with pytest.raises(BundleError, match="recensy"):
        Linear.of(NAMES, {"recensy": 1.0})
