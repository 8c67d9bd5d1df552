"""Metrics of probabilities against scikit-learn, brute force and simulations of known calibration."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.evaluation.probability import (
    auc,
    brier_losses,
    calibration_line,
    ece,
    ece_null_quantile,
    gain_curve,
    gini,
    lift,
    log_losses,
    reliability,
)

labelled = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=2, max_size=40)


def drawn(n: int, seed: int = 2):
    """Predictions and labels of a perfectly calibrated model."""
    rng = np.random.default_rng(seed)
    p = rng.beta(1.0, 3.0, n)
    return (rng.random(n) < p).astype(float), p


@given(labelled)
def test_auc_is_the_share_of_ordered_pairs(rows) -> None:
    """AUC equals counting all pairs of a positive and a negative, ties as a half."""
    above, below = [s for y, s in rows if y], [s for y, s in rows if not y]
    pairs = [(a > b) + 0.5 * (a == b) for a in above for b in below]
    expected = sum(pairs) / len(pairs) if pairs else math.nan
    assert auc([y for y, _ in rows], [s for _, s in rows]) == pytest.approx(expected, nan_ok=True)


def test_gini_of_perfect_order() -> None:
    """A perfect order has Gini 1."""
    assert gini([0, 0, 1], [0.1, 0.2, 0.3]) == 1.0


def test_losses_equal_scikit_learn() -> None:
    """Log loss and Brier score equal scikit-learn's."""
    from sklearn.metrics import brier_score_loss, log_loss

    y, p = drawn(500)
    found = (log_losses(y, p).mean(), brier_losses(y, p).mean())
    assert found == pytest.approx((log_loss(y, p), brier_score_loss(y, p)))


def test_certain_and_wrong_is_finite() -> None:
    """A probability of 0 for what happened costs much but not infinitely much."""
    assert np.isfinite(log_losses([1, 0], [0.0, 1.0])).all()


def test_ece_by_hand() -> None:
    """Two bins of two: |0.5 - 0.2| and |1 - 0.7|, half weight each."""
    assert ece([0, 1, 1, 1], [0.1, 0.3, 0.6, 0.8], bins=2) == pytest.approx(0.3)


def test_ece_ignores_the_order_of_equal_predictions() -> None:
    """Shuffling customers with equal predictions changes nothing."""
    p = np.repeat([0.2, 0.5], 50)
    y = np.tile([0.0, 1.0], 50)
    assert ece(y, p, 7) == pytest.approx(ece(np.sort(y), np.concatenate([p[::2], p[1::2]]), 7))


def test_null_quantile_holds_for_calibrated_models() -> None:
    """Of 200 perfectly calibrated models about 5% exceed the 95% null quantile."""
    _, p = drawn(1_500)
    bound = ece_null_quantile(p)
    labels = np.random.default_rng(9).random((200, len(p))) < p
    assert np.mean([ece(y, p) > bound for y in labels]) == pytest.approx(0.05, abs=0.04)


def test_null_quantile_of_many_customers() -> None:
    """The normal shortcut beyond 200,000 customers agrees with drawing labels just below."""
    p = np.random.default_rng(1).uniform(0.05, 0.95, 200_001)
    assert ece_null_quantile(p) == pytest.approx(ece_null_quantile(p[1:], draws=100), rel=0.15)


def test_calibration_line_of_a_perfect_model() -> None:
    """Labels drawn from the predictions give intercept 0 and slope 1 within three standard errors."""
    line = calibration_line(*drawn(20_000))
    assert (abs(line.intercept) < 3 * line.intercept_error, abs(line.slope - 1) < 3 * line.slope_error) == (True, True)


def test_calibration_line_equals_scikit_learn() -> None:
    """Slope and intercept equal an unpenalised logistic regression on the log-odds."""
    from sklearn.linear_model import LogisticRegression

    y, p = drawn(800)
    p = p**1.5
    x = np.log(p / (1 - p))[:, None]
    fit = LogisticRegression(C=1e10, tol=1e-10, max_iter=1_000).fit(x, y)
    assert calibration_line(y, p)[:2] == pytest.approx((fit.intercept_[0], fit.coef_[0, 0]), abs=1e-4)


@pytest.mark.parametrize(("y", "p"), [([1, 1, 1], [0.2, 0.5, 0.9]), ([0, 1, 0], [0.4, 0.4, 0.4]), ([], [])])
def test_calibration_line_without_information(y, p) -> None:
    """One class, one prediction or nobody leaves the line undefined."""
    assert math.isnan(calibration_line(y, p).slope)


def test_lift_by_hand() -> None:
    """The best of ten customers is the only positive: ten times the base rate."""
    assert lift([1] + [0] * 9, np.arange(10, 0, -1)) == pytest.approx(10.0)


def test_lift_averages_ties() -> None:
    """A constant score has lift 1, wherever the positives stand."""
    assert lift([1, 1] + [0] * 18, np.ones(20)) == pytest.approx(1.0)


def test_gain_curve_by_hand() -> None:
    """Half the customers hold two of three positives."""
    assert gain_curve([1, 1, 0, 1, 0, 0], [6, 5, 4, 3, 2, 1], [0.0, 0.5, 1.0])[1] == pytest.approx([0, 2 / 3, 1])


def test_reliability_bins_have_equal_mass() -> None:
    """A hundred customers in 15 bins: sizes 6 or 7, together a hundred."""
    size = reliability(*drawn(100)).customers
    assert (set(size.tolist()), size.sum()) == ({6.0, 7.0}, 100.0)
