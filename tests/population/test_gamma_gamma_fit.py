"""Gamma-Gamma's fit finds known truths and survives thin data."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from recsys.errors import NotEnoughData
from recsys.population.gamma_gamma import _loss, fit_gamma_gamma, fit_gamma_gamma_or_mean

TRUTH = (6.25, 3.74, 15.44)


def base(n: int, seed: int = 5):
    """x and mean spend of n customers who follow the model with TRUTH."""
    p, q, v = TRUTH
    rng = np.random.default_rng(seed)
    x = rng.integers(1, 12, n)
    return x, rng.gamma(p * x, 1.0) / (rng.gamma(q, 1 / v, n) * x)


def test_finds_the_truth() -> None:
    """From 60,000 simulated customers each parameter comes back within 5%."""
    fit = fit_gamma_gamma(*base(60_000))
    assert np.array([fit.p, fit.q, fit.v]) == pytest.approx(np.array(TRUTH), rel=0.05)


def test_gradient_is_the_slope() -> None:
    """The analytic gradient equals finite differences."""
    x, mean = base(200)
    theta = np.array([0.5, 0.7, -0.2])
    slope = approx_fprime(theta, lambda at: _loss(at, x.astype(float), mean / 35, 1.0)[0], 1e-7)
    assert _loss(theta, x.astype(float), mean / 35, 1.0)[1] == pytest.approx(slope, abs=1e-5)


def test_unit_of_money_only_scales_v() -> None:
    """Cents instead of euros multiply v and the base's mean by a hundred."""
    x, mean = base(2_000)
    euros, cents = fit_gamma_gamma(x, mean), fit_gamma_gamma(x, mean * 100)
    assert (cents.v, cents.mean) == pytest.approx((euros.v * 100, euros.mean * 100), rel=1e-5)


def test_one_time_and_free_customers_are_left_out() -> None:
    """Customers without a repeat purchase or with a mean of zero or less change nothing."""
    x, mean = base(500)
    more = fit_gamma_gamma(np.append(x, [0, 3, 2]), np.append(mean, [0.0, 0.0, -4.0]))
    assert more == fit_gamma_gamma(x, mean)


@pytest.mark.parametrize("spend", [[3.0], [3.0] * 50, [1e-9, 1e9, 5.0]], ids=["one", "all equal", "extremes"])
def test_thin_data_give_sound_numbers(spend) -> None:
    """One customer, equal customers and wild ones give finite positive parameters with a finite mean."""
    fit = fit_gamma_gamma([1] * len(spend), spend)
    assert np.isfinite(np.log([fit.p, fit.q - 1, fit.v, fit.mean])).all()


def test_nobody_is_refused() -> None:
    """A base of one-time buyers is an error that says what is missing."""
    with pytest.raises(NotEnoughData, match="repeat purchase"):
        fit_gamma_gamma([0, 0], [0.0, 0.0])


def test_one_time_buyers_are_worth_the_mean() -> None:
    """Where nobody came back the base's mean is the one given."""
    assert fit_gamma_gamma_or_mean([0, 0], [0.0, 0.0], 350.0).mean == 350.0
