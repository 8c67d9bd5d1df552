"""Links are elementwise and exact."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import BundleError
from recsys.models.links import apply_link
from tests.models.forests import trained_model

raws = st.lists(st.floats(-700, 700), min_size=1, max_size=50)


@given(raws)
def test_exp_is_the_c_librarys(raw):
    """Each value equals `math.exp` to the last bit, whatever stands beside it."""
    assert apply_link(np.array(raw), "exp").tolist() == [math.exp(value) for value in raw]


@given(raws)
def test_sigmoid_lies_between_0_and_1_and_is_symmetric(raw):
    """σ(x) + σ(−x) = 1 up to rounding."""
    total = apply_link(np.array(raw), "sigmoid") + apply_link(-np.array(raw), "sigmoid")

    np.testing.assert_allclose(total, 1.0, rtol=1e-15)


@pytest.mark.parametrize(("objective", "link"), [("tweedie", "exp"), ("binary", "sigmoid"), ("regression", "identity")])
def test_links_are_lightgbms(objective, link):
    """A Booster's own prediction is the link of its raw score, bit for bit."""
    booster = trained_model(2, objective=objective)
    X = np.random.default_rng(0).normal(size=(500, 5))

    found = apply_link(booster.predict(X, raw_score=True, num_threads=1), link)

    np.testing.assert_array_equal(found, booster.predict(X, num_threads=1))


def test_the_scale_multiplies():
    """2 · identity(3) = 6."""
    assert apply_link(np.array([3.0]), "identity", 2.0).tolist() == [6.0]


def test_an_unknown_link_is_refused():
    """A misspelt link is named with the known ones."""
    with pytest.raises(BundleError, match="logit"):
        apply_link(np.array([0.0]), "logit")
