"""Metrics of amounts against scipy, brute force and figures worked out by hand."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from recsys.evaluation import money

ACTUAL, PREDICTED = np.array([0.0, 0.0, 4.0, 10.0]), np.array([1.0, 1.0, 3.0, 5.0])


def test_errors_by_hand() -> None:
    """MAE, RMSE, bias and sum ratio of four customers."""
    found = (
        money.absolute_errors(ACTUAL, PREDICTED).mean(),
        money.rmse(ACTUAL, PREDICTED),
        money.bias(ACTUAL, PREDICTED),
        money.sum_ratio(ACTUAL, PREDICTED),
    )
    assert found == pytest.approx((2.0, math.sqrt(7.0), -1.0, 10 / 14))


def test_spearman_equals_scipy() -> None:
    """With many ties the rank correlation equals scipy's."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 6, 300), rng.integers(0, 9, 300)
    b += a
    assert money.spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)


def test_normalised_gini_by_pairs() -> None:
    """Equals Σ over pairs of (y_i - y_j) sign(p_i - p_j), divided by the same for the perfect order."""
    rng = np.random.default_rng(1)
    y, p = rng.integers(0, 8, 80).astype(float), rng.integers(0, 8, 80).astype(float)
    pairs = lambda key: ((y[:, None] - y) * np.sign(key[:, None] - key)).sum()  # noqa: E731
    assert money.normalised_gini(y, p) == pytest.approx(pairs(p) / pairs(y))


@pytest.mark.parametrize(("key", "expected"), [(ACTUAL, 1.0), (-ACTUAL, -1.0), (np.ones(4), 0.0)])
def test_normalised_gini_of_known_orders(key, expected) -> None:
    """Perfect, reversed and constant orders."""
    assert money.normalised_gini(ACTUAL, key) == pytest.approx(expected)


def test_decile_error_by_hand() -> None:
    """Twenty customers in ten pairs, all predicted one too high: error 1 over a mean of 9.5."""
    y = np.arange(20.0)
    assert money.decile_error(y, y + 1) == pytest.approx(1 / 9.5)


def test_deciles_share_ties() -> None:
    """With one prediction for all every decile's actual is the overall mean."""
    assert money.deciles(np.arange(20.0), np.ones(20)).actual == pytest.approx(np.full(10, 9.5))


def test_interval_score_by_hand() -> None:
    """Inside: the width; below or above: width plus ten times the miss at 80%."""
    found = money.interval_scores([2.0, 0.0, 7.0], [1.0] * 3, [5.0] * 3)
    assert found == pytest.approx([4.0, 4.0 + 10.0, 4.0 + 20.0])


def test_coverage_counts_the_borders() -> None:
    """A value on the border is covered."""
    assert money.covered([1.0, 5.0, 5.1], [1.0] * 3, [5.0] * 3).tolist() == [1, 1, 0]


def test_nothing_bought_is_undefined() -> None:
    """Where nothing was bought, ratios to the total are NaN rather than infinite."""
    zero = np.zeros(5)
    figures = (money.sum_ratio, money.normalised_gini, money.decile_error, money.spearman)
    assert all(math.isnan(of(zero, np.arange(5.0))) for of in figures)


def test_deviance_equals_scikit_learn() -> None:
    """Mean Poisson deviance of counts with zeros equals scikit-learn's."""
    from sklearn.metrics import mean_poisson_deviance

    y, p = np.random.default_rng(0).poisson(0.7, 200), np.random.default_rng(1).gamma(2.0, 0.4, 200)
    assert money.deviances(y, p).mean() == pytest.approx(mean_poisson_deviance(y, p))


def test_deviance_of_a_zero_forecast_is_finite() -> None:
    """Who was expected to buy nothing and bought costs much but not infinitely much; refunds count as nothing."""
    assert np.isfinite(money.deviances([3.0, -2.0, 0.0], [0.0, 1.0, 0.0])).all()
