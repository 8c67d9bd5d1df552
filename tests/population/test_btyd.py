"""BG/NBD and Gamma-Gamma for one customer: published examples, the paper's formula, integrals and simulations."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from recsys.population.btyd import (
    _expected_by_integral,
    _expected_by_sum,
    bgnbd_active,
    bgnbd_alive,
    bgnbd_expected,
    bgnbd_unconditional,
    gamma_gamma_mean,
)

CDNOW = (0.243, 4.414, 0.793, 2.426)
"""r, alpha, a, b of the paper's table 1 [weeks]."""

parameter = st.floats(1e-5, 1e5)


def paper_expected(r, alpha, a, b, x, t_x, T, t):
    """Equation 10 of Fader, Hardie & Lee (2005), letter by letter."""
    total = a + b + x - 1
    hyper = special.hyp2f1(r + x, b + x, total, t / (alpha + T + t))
    top = total / (a - 1) * (1 - ((alpha + T) / (alpha + T + t)) ** (r + x) * hyper)
    return top / (1 + (x > 0) * a / (b + x - 1) * ((alpha + T) / (alpha + t_x)) ** (r + x))


def simulated(n, T, t, seed=1):
    """x, t_x and later purchases in (T, T + t] of n customers who follow the model with the CDNOW parameters."""
    r, alpha, a, b = CDNOW
    rng = np.random.default_rng(seed)
    rate, dropout = rng.gamma(r, 1 / alpha, n), rng.beta(a, b, n)
    x, t_x, later, clock = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    living = np.arange(n)
    while len(living):
        clock[living] += rng.exponential(1, len(living)) / rate[living]
        living = living[clock[living] <= T + t]
        early = living[clock[living] <= T]
        x[early] += 1
        t_x[early] = clock[early]
        later[living[clock[living] > T]] += 1
        living = living[rng.random(len(living)) > dropout[living]]
    return x, t_x, later


def test_published_customer() -> None:
    """The paper's worked customer (x = 2, t_x = 30.43, T = 38.86) is expected to buy 1.226 times in 39 weeks."""
    assert bgnbd_expected(*CDNOW, 2.0, 30.43, 38.86, 39.0) == pytest.approx(1.226, abs=5e-4)


@pytest.mark.parametrize("x", [0, 1, 2, 7, 40, 300])
@pytest.mark.parametrize("t", [0.5, 39.0, 400.0])
def test_expected_equals_equation_10(x: int, t: float) -> None:
    """The positive series equals the paper's formula with scipy's 2F1 where that is well conditioned."""
    assert bgnbd_expected(*CDNOW, float(x), 20.0, 38.86, t) == pytest.approx(
        paper_expected(*CDNOW, x, 20.0, 38.86, t), rel=1e-9
    )


@pytest.mark.parametrize(
    ("shape", "tau", "a", "b"), [(0.2, 9.0, 1.0, 2.4), (3.0, 0.5, 0.01, 30.0), (90.0, 2.0, 1.0, 1.0)]
)
def test_sum_equals_adaptive_quadrature(shape: float, tau: float, a: float, b: float) -> None:
    """The sum equals scipy's adaptive quadrature over p, at a = 1 too, where the paper's formula divides by 0."""
    purchases = lambda p: (1 - (1 + p * tau) ** -shape) / p if p > 0 else shape * tau  # noqa: E731
    density = integrate.quad(
        lambda p: purchases(p) * (1 - p) ** (b - 1), 0, 1, weight="alg", wvar=(a - 1, 0), limit=500
    )[0]
    assert _expected_by_sum(shape, tau, a, b) == pytest.approx(density / special.beta(a, b), rel=1e-7)


@given(st.floats(-4, 5), st.floats(-6, 2), st.floats(-4, 5), st.floats(-4, 7))
@settings(deadline=None, max_examples=300)
def test_sum_equals_integral(shape: float, tau: float, a: float, b: float) -> None:
    """Both ways of computing give the same number, so switching between them leaves no step."""
    arguments = [math.exp(each) for each in (shape, tau, a, b)]
    assert _expected_by_sum(*arguments) == pytest.approx(_expected_by_integral(*arguments), rel=1e-8)


def test_expected_means_what_customers_do() -> None:
    """Over 200,000 simulated customers the expectations sum to what they bought later (within 3%)."""
    x, t_x, later = simulated(200_000, 39.0, 39.0)
    expected = sum(bgnbd_expected(*CDNOW, *each, 39.0, 39.0) for each in zip(x, t_x, strict=True))
    assert expected == pytest.approx(later.sum(), rel=0.03)


def test_active_means_who_buys_again() -> None:
    """Among simulated customers with x = 3, the mean probability to buy again is the share that does."""
    x, t_x, later = simulated(400_000, 39.0, 39.0)
    three = x == 3
    predicted = np.mean([bgnbd_active(*CDNOW, 3.0, last, 39.0, 39.0) for last in t_x[three]])
    assert predicted == pytest.approx(np.mean(later[three] > 0), abs=0.015)


def test_unconditional_is_a_new_customer() -> None:
    """Expected repeat purchases in 39 weeks equal equation 9 of the paper."""
    r, alpha, a, b = CDNOW
    hyper = special.hyp2f1(r, b, a + b - 1, 39 / (alpha + 39))
    equation_9 = (a + b - 1) / (a - 1) * (1 - (alpha / (alpha + 39)) ** r * hyper)
    assert bgnbd_unconditional(*CDNOW, 39.0) == pytest.approx(equation_9, rel=1e-10)


def test_alive_by_bayes() -> None:
    """P(alive) equals Bayes' rule over λ and p integrated on a grid."""
    r, alpha, a, b = CDNOW
    x, t_x, T = 3.0, 10.0, 39.0
    rate = np.exp(np.linspace(-25, 4, 4001))
    p = 1 / (1 + np.exp(-np.linspace(-60, 30, 9001)))
    stays = np.mean(rate ** (r + x) * np.exp(-rate * (alpha + T))) * np.mean(p**a * (1 - p) ** (b + x))
    leaves = np.mean(rate ** (r + x) * np.exp(-rate * (alpha + t_x))) * np.mean(p ** (a + 1) * (1 - p) ** (b + x - 1))
    assert bgnbd_alive(r, alpha, a, b, x, t_x, T) == pytest.approx(stays / (stays + leaves), rel=1e-4)


@given(
    parameter,
    parameter,
    parameter,
    parameter,
    st.integers(0, 100_000),
    st.floats(0, 1),
    st.floats(0, 1e5),
    st.floats(0, 1e6),
)
@settings(deadline=None, max_examples=400)
def test_expected_is_always_a_number(r, alpha, a, b, x, share, T, t) -> None:
    """For any parameters, counts up to 100,000 and any horizon the expectation lies in [0, (r + x)t / (α + T)]."""
    expected = bgnbd_expected(r, alpha, a, b, float(x), share * T, T, t)
    assert 0.0 <= expected <= (r + x) * t / (alpha + T) * (1 + 1e-6) + 1e-12


@given(parameter, parameter, parameter, parameter, st.integers(0, 100_000), st.floats(0, 1), st.floats(0, 1e5))
@settings(deadline=None)
def test_alive_is_always_a_probability(r, alpha, a, b, x, share, T) -> None:
    """P(alive) lies in [0, 1] for any parameters and counts up to 100,000."""
    assert 0.0 <= bgnbd_alive(r, alpha, a, b, float(x), share * T, T) <= 1.0


@given(st.integers(0, 200), st.floats(0, 1), st.floats(1, 400), st.floats(1, 400))
@settings(deadline=None)
def test_longer_horizon_expects_more(x, share, t, more) -> None:
    """Expectations never fall as the horizon grows."""
    near = bgnbd_expected(*CDNOW, float(x), share * 50.0, 50.0, t)
    assert bgnbd_expected(*CDNOW, float(x), share * 50.0, 50.0, t + more) >= near


def test_spend_by_bayes() -> None:
    """Expected spend equals the posterior mean of p / ν integrated numerically."""
    p, q, v, x, mean = 6.25, 3.74, 15.44, 3.0, 22.0

    def posterior(nu: float) -> float:
        return float(nu ** (q - 1 + p * x) * np.exp(-nu * (v + x * mean)))

    top = integrate.quad(lambda nu: p / nu * posterior(nu), 0, 3, epsabs=0)[0]
    bottom = integrate.quad(posterior, 0, 3, epsabs=0)[0]
    assert gamma_gamma_mean(p, q, v, x, mean) == pytest.approx(top / bottom, rel=1e-8)


def test_spend_of_a_new_customer_is_the_base() -> None:
    """Without a repeat purchase the expected spend is the base's mean p·v / (q - 1)."""
    assert gamma_gamma_mean(6.25, 3.74, 15.44, 0.0, 0.0) == pytest.approx(6.25 * 15.44 / 2.74)
