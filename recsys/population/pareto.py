r"""Pareto/NBD for one customer, as kernels other kernels call.

Schmittlein, Morrison, Colombo (1987), Counting Your Customers, Management Science 33(1): while alive a customer buys
at rate λ ~ Gamma(r, α); the lifetime is exponential with rate μ ~ Gamma(s, β), so that customers may also leave before
a second purchase. The literature writes the likelihood with ₂F₁, which cancels and overflows for active customers.
Here it stays the integral it comes from (Fader & Hardie 2005, "A Note on Deriving the Pareto/NBD Model", section 3),

    I(low, high) = ∫ (α + τ)^-(r + x) (β + τ)^-(s + 1) dτ.

In y = log(min(α, β) + τ) the integrand is log-concave with singularities no nearer than π, so a few Gauss-Legendre
panels reach 13 digits, and every term is positive. All times in one unit [days inside the product].
"""

import math
from typing import NamedTuple

import numba
import numpy as np

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)

DROP = 42.0
"""Where the logarithm of the integrand has fallen this far below its peak, the rest is below rounding."""

MOST_PANELS = 400
"""Panels an integral may take; reached by no parameters within the bounds of the fit."""


class Integral(NamedTuple):
    """log I and the means of log(α + τ), log(β + τ), 1 / (α + τ), 1 / (β + τ) under its integrand."""

    log: float
    log_alpha: float
    log_beta: float
    inverse_alpha: float
    inverse_beta: float


@numba.njit(cache=True, nogil=True, error_model="numpy")
def integral(k: float, alpha: float, s: float, beta: float, low: float, high: float) -> Integral:
    """I(low, high) with exponent k = r + x and what its derivatives need; log 0 for an empty range."""
    if not high > low:
        return Integral(-np.inf, 0.0, 0.0, 0.0, 0.0)
    m = min(alpha, beta)
    above_alpha, above_beta = alpha - m, beta - m
    start, stop = math.log(m + low), math.log(m + high)
    peak = _peak(k, above_alpha, s, above_beta, start, stop)
    top = _exponent(k, above_alpha, s, above_beta, peak)
    stop = _cut(k, above_alpha, s, above_beta, peak, stop, top)
    start = _cut(k, above_alpha, s, above_beta, peak, start, top)
    steepest = max(
        abs(_slope(k, above_alpha, s, above_beta, start)),
        abs(_slope(k, above_alpha, s, above_beta, stop)),
    )
    panels = min(max(math.ceil((stop - start) * max(1.0 / 1.5, steepest / 16.0)), 1), MOST_PANELS)
    half = 0.5 * (stop - start) / panels
    total, sum_a, sum_b, inverse_a, inverse_b = 0.0, 0.0, 0.0, 0.0, 0.0
    for panel in range(panels):
        for node in range(len(_NODES)):
            y = start + (2 * panel + 1 + _NODES[node]) * half
            e = math.exp(y)
            log_a = y if above_alpha == 0.0 else math.log(e + above_alpha)
            log_b = y if above_beta == 0.0 else math.log(e + above_beta)
            weight = _WEIGHTS[node] * math.exp(y - k * log_a - (s + 1.0) * log_b - top)
            total += weight
            sum_a += weight * log_a
            sum_b += weight * log_b
            inverse_a += weight / (e + above_alpha)
            inverse_b += weight / (e + above_beta)
    return Integral(math.log(total * half) + top, sum_a / total, sum_b / total, inverse_a / total, inverse_b / total)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def pareto_alive(r: float, alpha: float, s: float, beta: float, x: float, t_x: float, T: float) -> float:
    """P(alive at T | x, t_x, T); Schmittlein, Morrison, Colombo (1987), equation 11."""
    gone = integral(r + x, alpha, s, beta, t_x, T).log
    if gone == -np.inf:
        return 1.0
    odds = math.log(s) + gone + (r + x) * math.log(alpha + T) + s * math.log(beta + T)
    return 1.0 / (1.0 + math.exp(odds))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def pareto_expected(r: float, alpha: float, s: float, beta: float, x: float, t_x: float, T: float, t: float) -> float:
    """Expected purchases in (T, T + t] given x, t_x, T; Fader & Hardie (2005), equation 41, defined at s = 1 too."""
    return float(pareto_alive(r, alpha, s, beta, x, t_x, T) * pareto_living(r, alpha, s, beta, x, T, t))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def pareto_living(r: float, alpha: float, s: float, beta: float, x: float, T: float, t: float) -> float:
    """Expected purchases in (T, T + t] of a customer known to be alive at T."""
    if t <= 0.0:
        return 0.0
    return float((r + x) / (alpha + T) * (beta + T) * _shrinking(s - 1.0, math.log1p(t / (beta + T))))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def pareto_discounted(
    r: float, alpha: float, s: float, beta: float, x: float, T: float, t: float, rate: float
) -> float:
    """Purchases in (T, T + t] of a customer alive at T, one after τ counted e^(-rate · τ).

    With an infinite t (and rate > 0) the discounted expected residual transactions of Fader, Hardie & Lee (2005), "RFM
    and CLV: Using Iso-value Curves for Customer Base Analysis", Journal of Marketing Research 42(4), without P(alive).
    Their confluent hypergeometric Ψ is the integral

        (r + x) / (α + T) ∫ e^(-rate · τ) (1 + τ / (β + T))^-s dτ,

    taken here in y = log(1 + τ / (β + T)) by panels, so that a finite time is as easy and every term positive.
    """
    if t <= 0.0:
        return 0.0
    b = beta + T
    reach = min(t, DROP / rate) if rate > 0.0 else t
    stop = math.log1p(reach / b)
    steepest = abs(1.0 - s) + max(rate, 0.0) * (b + reach)
    panels = min(max(math.ceil(stop * max(1.0 / 1.5, steepest / 16.0)), 1), MOST_PANELS)
    half, total = 0.5 * stop / panels, 0.0
    for panel in range(panels):
        for node in range(len(_NODES)):
            y = (2 * panel + 1 + _NODES[node]) * half
            total += _WEIGHTS[node] * math.exp((1.0 - s) * y - rate * b * math.expm1(y))
    return float((r + x) / (alpha + T) * b * total * half)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def pareto_unconditional(r: float, alpha: float, s: float, beta: float, t: float) -> float:
    """Expected repeat purchases of a customer in the time t after the first purchase."""
    return float(r / alpha * beta * _shrinking(s - 1.0, math.log1p(t / beta))) if t > 0.0 else 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def pareto_active(r: float, alpha: float, s: float, beta: float, x: float, t_x: float, T: float, t: float) -> float:
    """P(at least one purchase in (T, T + t] | x, t_x, T): alive, and neither silent to the end nor gone before.

    Given life at T, λ ~ Gamma(r + x, α + T) and μ ~ Gamma(s, β + T); silence for t has the form of the likelihood.
    """
    return float(pareto_alive(r, alpha, s, beta, x, t_x, T) * pareto_buying(r, alpha, s, beta, x, T, t))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def pareto_buying(r: float, alpha: float, s: float, beta: float, x: float, T: float, t: float) -> float:
    """P(at least one purchase in (T, T + t]) of a customer known to be alive at T."""
    if t <= 0.0:
        return 0.0
    k, a, b = r + x, alpha + T, beta + T
    silent = math.exp(-k * math.log1p(t / a) - s * math.log1p(t / b))
    left = math.exp(math.log(s) + s * math.log(b) + k * math.log(a) + integral(k, a, s, b, 0.0, t).log)
    return max(1.0 - silent - left, 0.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _shrinking(rate: float, time: float) -> float:
    """(1 - e^(-rate · time)) / rate, `time` where the rate is 0."""
    return time if abs(rate) * time < 1e-12 else -math.expm1(-rate * time) / rate


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _exponent(k: float, above_alpha: float, s: float, above_beta: float, y: float) -> float:
    """Logarithm of the integrand in y."""
    e = math.exp(y)
    return y - k * math.log(e + above_alpha) - (s + 1.0) * math.log(e + above_beta)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _slope(k: float, above_alpha: float, s: float, above_beta: float, y: float) -> float:
    """Its derivative, which never rises."""
    e = math.exp(y)
    return 1.0 - k * e / (e + above_alpha) - (s + 1.0) * e / (e + above_beta)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _peak(k: float, above_alpha: float, s: float, above_beta: float, start: float, stop: float) -> float:
    """Where in [start, stop] the integrand is largest."""
    if _slope(k, above_alpha, s, above_beta, start) <= 0.0:
        return start
    if _slope(k, above_alpha, s, above_beta, stop) >= 0.0:
        return stop
    low, high = start, stop
    for _ in range(30):
        middle = 0.5 * (low + high)
        if _slope(k, above_alpha, s, above_beta, middle) > 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _cut(k: float, above_alpha: float, s: float, above_beta: float, peak: float, end: float, top: float) -> float:
    """`end`, or a point nearer the peak beyond which nothing counts."""
    if _exponent(k, above_alpha, s, above_beta, end) >= top - DROP:
        return end
    near, far = peak, end
    for _ in range(60):
        middle = 0.5 * (near + far)
        if _exponent(k, above_alpha, s, above_beta, middle) >= top - DROP:
            near = middle
        else:
            far = middle
        if abs(far - near) <= 0.02 * abs(far - peak):
            break
    return far
