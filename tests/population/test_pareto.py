"""Pareto/NBD: the published formulas with 2F1, adaptive quadrature, simulated customers, and fits with known truth."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special
from scipy.optimize import approx_fprime

from recsys.errors import NotEnoughData
from recsys.population.btyd import mbgnbd_alive, mbgnbd_expected
from recsys.population.btyd_fit import _loss as mbg_loss
from recsys.population.btyd_fit import compressed, fit_bgnbd, fit_mbgnbd
from recsys.population.pareto import (
    integral,
    pareto_active,
    pareto_alive,
    pareto_discounted,
    pareto_expected,
    pareto_living,
    pareto_unconditional,
)
from recsys.population.pareto_fit import _loss, fit_pareto

CDNOW = (0.553, 10.578, 0.606, 11.669)
"""r, alpha, s, beta published for the CDNOW sample [weeks]; alpha < beta."""

OTHER = (0.9, 30.0, 1.0, 4.0)
"""alpha > beta, and s = 1 where the closed form of the expectation divides by 0."""


def a0(r, alpha, s, beta, x, t_x, T):
    """A0 of Fader & Hardie (2005), equations 20 and 21, by scipy's 2F1."""
    most, b = max(alpha, beta), s + 1 if alpha >= beta else r + x
    k = r + s + x
    first = special.hyp2f1(k, b, k + 1, abs(alpha - beta) / (most + t_x)) / (most + t_x) ** k
    second = special.hyp2f1(k, b, k + 1, abs(alpha - beta) / (most + T)) / (most + T) ** k
    return first - second


def simulated(parameters, n, T, t, seed=2):
    """x, t_x, and purchases in (T, T + t], of n customers who follow the model."""
    r, alpha, s, beta = parameters
    rng = np.random.default_rng(seed)
    rate, life = rng.gamma(r, 1 / alpha, n), rng.exponential(1, n) / rng.gamma(s, 1 / beta, n)
    seen, ahead = np.minimum(life, T), np.clip(life - T, 0, t)
    x = rng.poisson(rate * seen).astype(np.float64)
    t_x = np.where(x > 0, seen * rng.random(n) ** (1 / np.maximum(x, 1)), 0.0)
    return x, t_x, rng.poisson(rate * ahead)


@pytest.mark.parametrize("parameters", [CDNOW, OTHER])
@pytest.mark.parametrize(("x", "t_x"), [(0, 0.0), (1, 5.0), (6, 30.0), (25, 38.0)])
def test_alive_equals_the_published_formula(parameters, x: int, t_x: float) -> None:
    """P(alive) equals the formula with scipy's 2F1 on both sides of alpha = beta."""
    r, alpha, s, beta = parameters
    odds = s / (r + s + x) * (alpha + 39.0) ** (r + x) * (beta + 39.0) ** s * a0(*parameters, x, t_x, 39.0)
    assert pareto_alive(*parameters, float(x), t_x, 39.0) == pytest.approx(1 / (1 + odds), rel=1e-7)


@given(st.floats(-3, 8), st.floats(-6, 6), st.floats(-6, 4), st.floats(-6, 6), st.floats(0, 0.99))
@settings(deadline=None, max_examples=80)
def test_integral_equals_adaptive_quadrature(k: float, alpha: float, s: float, beta: float, low: float) -> None:
    """The panels equal scipy's adaptive quadrature in τ's logarithm, from tiny shapes to thousands of purchases."""
    k, alpha, s, beta = (math.exp(each) for each in (k, alpha, s, beta))
    found = integral(k, alpha, s, beta, low, 1.0)
    m = min(alpha, beta)
    exponent = lambda y: (  # noqa: E731
        y - k * np.log(np.exp(y) + alpha - m) - (s + 1) * np.log(np.exp(y) + beta - m)
    )
    y = np.linspace(math.log(m + low), math.log(m + 1.0), 100_001)
    values = exponent(y)
    by_simpson = integrate.simpson(np.exp(values - values.max()), x=y)
    assert found.log == pytest.approx(math.log(by_simpson) + values.max(), rel=1e-9, abs=1e-6)


def test_expected_means_what_customers_do() -> None:
    """Over 400,000 simulated customers the expectations sum to what they bought later (within 2%)."""
    x, t_x, later = simulated(CDNOW, 400_000, 39.0, 39.0)
    some = slice(0, 60_000)
    expected = np.mean([pareto_expected(*CDNOW, *each, 39.0, 39.0) for each in zip(x[some], t_x[some], strict=True)])
    assert expected == pytest.approx(later.mean(), rel=0.02)


def test_active_means_who_buys_again() -> None:
    """Among simulated customers with x = 2 the mean probability to buy again is the share that does."""
    x, t_x, later = simulated(CDNOW, 400_000, 39.0, 39.0)
    two = x == 2
    predicted = np.mean([pareto_active(*CDNOW, 2.0, last, 39.0, 39.0) for last in t_x[two]])
    assert predicted == pytest.approx(np.mean(later[two] > 0), abs=0.012)


def test_expected_is_smooth_where_the_formula_divides_by_zero() -> None:
    """At s = 1 the expectation is the mean of its neighbours at s = 1 ± 1e-6."""
    r, alpha, s, beta = OTHER
    beside = [pareto_expected(r, alpha, s + step, beta, 3.0, 20.0, 39.0, 26.0) for step in (-1e-6, 1e-6)]
    assert pareto_expected(*OTHER, 3.0, 20.0, 39.0, 26.0) == pytest.approx(np.mean(beside), rel=1e-9)


def test_unconditional_is_a_new_customer() -> None:
    """A customer at the first purchase is expected to do what the base does: the closed form of the paper."""
    r, alpha, s, beta = CDNOW
    by_hand = r * beta / (alpha * (s - 1)) * (1 - (beta / (beta + 39.0)) ** (s - 1))
    at_once = pareto_expected(*CDNOW, 0.0, 0.0, 0.0, 39.0)
    assert (pareto_unconditional(*CDNOW, 39.0), at_once) == pytest.approx((by_hand, by_hand), rel=1e-12)


def test_likelihood_of_one_customer() -> None:
    """The reported log-likelihood equals the published formula with 2F1 at the estimate."""
    x, t_x, _ = simulated(CDNOW, 300, 39.0, 0.0)
    fit = fit_pareto(x, t_x, np.full(300, 39.0))
    p = (fit.r, fit.alpha, fit.s, fit.beta)
    r, alpha, s, beta = p
    bracket = (alpha + 39.0) ** -(r + x) * (beta + 39.0) ** -s + s / (r + s + x) * a0(*p, x, t_x, 39.0)
    by_hand = special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha) + s * np.log(beta) + np.log(bracket)
    assert fit.log_likelihood == pytest.approx(by_hand.sum(), rel=1e-8)


def test_finds_the_truth() -> None:
    """From 200,000 simulated customers each parameter comes back within 8%."""
    x, t_x, _ = simulated(CDNOW, 200_000, 39.0, 0.0)
    fit = fit_pareto(np.append(x, 0), np.append(t_x, 0), np.full(200_001, 39.0))
    assert (fit.r, fit.alpha, fit.s, fit.beta) == pytest.approx(CDNOW, rel=0.08)


def test_gradient_is_the_slope() -> None:
    """The analytic gradient equals finite differences of the likelihood, prior included."""
    x, t_x, _ = simulated(CDNOW, 400, 39.0, 0.0)
    rows, theta = compressed(x, t_x / 39, np.full(400, 1.0)), np.array([-0.3, 0.2, -0.5, 0.7])
    slope = approx_fprime(theta, lambda at: _loss(at, rows, 1.0)[0], 1e-7)
    assert _loss(theta, rows, 1.0)[1] == pytest.approx(slope, abs=1e-5)


def test_threads_change_no_bit() -> None:
    """One thread and three give the same estimate."""
    x, t_x, _ = simulated(CDNOW, 3_000, 39.0, 0.0)
    one, three = (fit_pareto(x, t_x, np.full(3_000, 39.0), threads=n) for n in (1, 3))
    assert one == three


THIN = [
    ([0] * 10, [0] * 10, [30] * 10),
    ([0], [0], [0]),
    ([5], [10], [10]),
    ([100_000] * 3, [10, 20, 30], [40, 40, 40]),
    ([20, 21, 19] * 50, [364] * 150, [365] * 150),
]


@pytest.mark.parametrize("rows", THIN, ids=["one-time buyers", "today's first", "one", "huge counts", "clockwork"])
def test_thin_data_give_sound_numbers(rows) -> None:
    """Where the data leave parameters open the fit still gives finite ones, and finite expectations."""
    fit = fit_pareto(*rows)
    x, t_x, T = (float(each[0]) for each in rows)
    own = pareto_expected(fit.r, fit.alpha, fit.s, fit.beta, x, t_x, T, 30.0)
    assert np.isfinite([*np.log([fit.r, fit.alpha, fit.s, fit.beta]), fit.log_likelihood, own]).all()


def test_nobody_is_refused() -> None:
    """No customer at all is an error that says so."""
    with pytest.raises(NotEnoughData):
        fit_pareto([], [], [])


def mbg_simulated(n: int, T: float, t: float):
    """x, t_x and later purchases where every purchase, the first too, may be the last; r .8, α 20, a 1, b 2.5."""
    rng = np.random.default_rng(4)
    rate, dropout = rng.gamma(0.8, 1 / 20, n), rng.beta(1.0, 2.5, n)
    x, t_x, later, clock = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    living = np.arange(n)
    while len(living):
        living = living[rng.random(len(living)) > dropout[living]]
        clock[living] += rng.exponential(1, len(living)) / rate[living]
        living = living[clock[living] <= T + t]
        early = living[clock[living] <= T]
        x[early] += 1
        t_x[early] = clock[early]
        later[living[clock[living] > T]] += 1
    return x, t_x, later


def test_mbgnbd_finds_the_truth() -> None:
    """MBG/NBD's parameters come back within 10%."""
    x, t_x, _ = mbg_simulated(200_000, 300.0, 0.0)
    fit = fit_mbgnbd(x, t_x, np.full(200_000, 300.0))
    assert (fit.r, fit.alpha, fit.a, fit.b) == pytest.approx((0.8, 20.0, 1.0, 2.5), rel=0.1)


def test_mbgnbd_expects_what_comes() -> None:
    """Over 100,000 simulated customers MBG/NBD's expectations sum to what was bought later (within 3%)."""
    x, t_x, later = mbg_simulated(100_000, 50.0, 50.0)
    expected = sum(mbgnbd_expected(0.8, 20.0, 1.0, 2.5, *each, 50.0, 50.0) for each in zip(x, t_x, strict=True))
    assert expected == pytest.approx(later.sum(), rel=0.03)


def test_mbgnbd_one_time_buyers_may_be_gone() -> None:
    """Without a repeat purchase P(alive) is 1 / (1 + a / b ((α + T) / α)^r), below 1 and falling."""
    by_hand = 1 / (1 + 1.0 / 2.5 * ((20 + 50) / 20) ** 0.8)
    assert mbgnbd_alive(0.8, 20.0, 1.0, 2.5, 0.0, 0.0, 50.0) == pytest.approx(by_hand, rel=1e-12)


def test_mbgnbd_gradient_is_the_slope() -> None:
    """The analytic gradient equals finite differences where one-time buyers may leave, too."""
    x, t_x, _ = mbg_simulated(300, 50.0, 0.0)
    rows, theta = compressed(x, t_x / 50, np.full(300, 1.0)), np.array([-0.3, 0.2, -0.5, 0.7])
    slope = approx_fprime(theta, lambda at: mbg_loss(at, rows, 1.0, 1.0)[0], 1e-7)
    assert mbg_loss(theta, rows, 1.0, 1.0)[1] == pytest.approx(slope, abs=1e-5)


def test_mbgnbd_differs_from_bgnbd_only_by_the_first_chance() -> None:
    """Where customers may leave at once, MBG/NBD fits better than BG/NBD."""
    x, t_x, _ = mbg_simulated(20_000, 50.0, 0.0)
    T = np.full(20_000, 50.0)
    assert fit_mbgnbd(x, t_x, T).log_likelihood > fit_bgnbd(x, t_x, T).log_likelihood


@pytest.mark.parametrize("parameters", [CDNOW, OTHER, (0.5, 10.0, 3.5, 200.0)])
@pytest.mark.parametrize("rate", [0.0005, 0.0027, 0.1])
def test_discounted_for_ever_is_the_published_closed_form(parameters, rate) -> None:
    """DERT of Fader, Hardie & Lee (2005), given life at T, with the confluent hypergeometric Ψ by scipy."""
    r, alpha, s, beta = parameters
    b = beta + 39.0
    closed = (r + 4.0) / (alpha + 39.0) * b**s * rate ** (s - 1) * special.hyperu(s, s, rate * b)
    found = pareto_discounted(*parameters, 4.0, 39.0, np.inf, rate)
    assert found == pytest.approx(closed, rel=1e-7)


@pytest.mark.parametrize("parameters", [CDNOW, OTHER])
@pytest.mark.parametrize("t", [1.0, 52.0, 520.0])
def test_discounted_is_the_integral_of_the_discounted_rate(parameters, t) -> None:
    """Adaptive quadrature of e^(-rate τ) times the expected rate at τ, up to a finite time."""
    r, alpha, s, beta = parameters
    expected = integrate.quad(
        lambda u: np.exp(-0.01 * u) * (r + 2.0) / (alpha + 39.0) * (1 + u / (beta + 39.0)) ** -s, 0, t, epsrel=1e-12
    )[0]
    assert pareto_discounted(*parameters, 2.0, 39.0, t, 0.01) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("parameters", [CDNOW, OTHER])
def test_nothing_discounted_is_the_plain_expectation(parameters) -> None:
    """At a rate of 0 every purchase counts whole."""
    plain = pareto_living(*parameters, 2.0, 39.0, 52.0)
    assert pareto_discounted(*parameters, 2.0, 39.0, 52.0, 0.0) == pytest.approx(plain, rel=1e-10)
