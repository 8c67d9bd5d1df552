"""BG/NBD's fit finds known truths, and gives sound numbers where the data say little."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from recsys.errors import NotEnoughData
from recsys.population.btyd_fit import _loss, compressed, fit_bgnbd

TRUTH = (0.8, 60.0, 0.9, 3.0)


def base(n: int, seed: int = 3):
    """x, t_x, T of n customers who follow the model with TRUTH [days]."""
    r, alpha, a, b = TRUTH
    rng = np.random.default_rng(seed)
    rate, dropout, T = rng.gamma(r, 1 / alpha, n), rng.beta(a, b, n), rng.uniform(0, 730, n)
    x, t_x, clock, living = np.zeros(n), np.zeros(n), np.zeros(n), np.arange(n)
    while len(living):
        clock[living] += rng.exponential(1, len(living)) / rate[living]
        living = living[clock[living] <= T[living]]
        x[living] += 1
        t_x[living] = clock[living]
        living = living[rng.random(len(living)) > dropout[living]]
    return x, t_x, T


def test_finds_the_truth() -> None:
    """From 60,000 simulated customers each parameter comes back within 6%."""
    fit = fit_bgnbd(*base(60_000))
    assert np.array([fit.r, fit.alpha, fit.a, fit.b]) == pytest.approx(np.array(TRUTH), rel=0.06)


def test_gradient_is_the_slope() -> None:
    """The analytic gradient equals finite differences of the likelihood, prior included."""
    x, t_x, T = base(300)
    rows, theta = compressed(x, t_x / 100, T / 100), np.array([-0.3, 0.2, -0.5, 0.7])
    slope = approx_fprime(theta, lambda at: _loss(at, rows, 1.0)[0], 1e-7)
    assert _loss(theta, rows, 1.0)[1] == pytest.approx(slope, abs=1e-5)


def test_likelihood_of_one_customer() -> None:
    """The reported log-likelihood equals equation 6 of the paper evaluated for each customer."""
    from scipy.special import beta, gamma

    x, t_x, T = base(200)
    fit = fit_bgnbd(x, t_x, T)
    r, alpha, a, b = fit.r, fit.alpha, fit.a, fit.b
    stays = beta(a, b + x) / beta(a, b) * alpha**r / (alpha + T) ** (r + x)
    leaves = (x > 0) * beta(a + 1, b + np.maximum(x, 1) - 1) / beta(a, b) * alpha**r / (alpha + t_x) ** (r + x)
    by_hand = np.log(gamma(r + x) / gamma(r) * (stays + leaves)).sum()
    assert fit.log_likelihood == pytest.approx(by_hand, rel=1e-10)


def test_unit_of_time_only_scales_alpha() -> None:
    """Weeks instead of days divide alpha by seven and leave r, a and b."""
    x, t_x, T = base(2_000)
    days, weeks = fit_bgnbd(x, t_x, T), fit_bgnbd(x, t_x / 7, T / 7)
    assert (weeks.in_unit(7.0).alpha, weeks.r) == pytest.approx((days.alpha, days.r), rel=1e-6)


def test_repeated_rows_weigh_by_their_number() -> None:
    """Every customer three times over gives the same parameters and three times the log-likelihood."""
    x, t_x, T = base(500)
    once, thrice = fit_bgnbd(x, t_x, T), fit_bgnbd(np.tile(x, 3), np.tile(t_x, 3), np.tile(T, 3))
    assert (thrice.r, thrice.log_likelihood) == pytest.approx((once.r, 3 * once.log_likelihood), rel=1e-5)


@pytest.mark.parametrize(
    "rows",
    [
        ([0] * 10, [0] * 10, [30] * 10),
        ([0], [0], [0]),
        ([5], [10], [10]),
        ([100_000] * 3, [10, 20, 30], [40, 40, 40]),
        ([20, 21, 19] * 50, [364] * 150, [365] * 150),
    ],
    ids=["one-time buyers", "today's first customer", "one customer", "huge counts", "clockwork"],
)
def test_thin_data_give_sound_numbers(rows) -> None:
    """Where the data leave parameters open the fit still gives finite positive ones."""
    fit = fit_bgnbd(*rows)
    assert np.isfinite([*np.log([fit.r, fit.alpha, fit.a, fit.b]), fit.log_likelihood]).all()


def test_fallback_is_reported() -> None:
    """A base of one-time buyers says nothing on dropout, so the fit says it leant on its prior."""
    assert fit_bgnbd([0] * 10, [0] * 10, [30] * 10).prior


def test_nobody_is_refused() -> None:
    """No customer at all is an error that says so."""
    with pytest.raises(NotEnoughData):
        fit_bgnbd([], [], [])


def test_purchase_after_the_end_is_refused() -> None:
    """t_x beyond T names the row."""
    with pytest.raises(ValueError, match="row 1"):
        fit_bgnbd([1, 1], [3, 9], [5, 5])
