r"""Buy till you die for one customer: BG/NBD and Gamma-Gamma as kernels other kernels call.

BG/NBD (Fader, Hardie, Lee 2005, "Counting Your Customers" the Easy Way, Marketing Science 24(2)): while a customer
is alive, purchases are Poisson with rate λ ~ Gamma(r, α); after each purchase the customer leaves for good with
probability p ~ Beta(a, b). A customer is summed up by x repeat purchase days, t_x from the first to the last of them,
T from the first to as_of. All times in one unit [days inside the product].

The paper's conditional expectation (equation 10) divides by a - 1 and subtracts a ₂F₁ that overflows for active
customers. Given that the customer is alive, λ ~ Gamma(r + x, α + T) and p ~ Beta(a, b + x), so with τ = t / (α + T)

    E[Y(t) | alive] = E_p[(1 - (1 + pτ)^-(r+x)) / p] = Σ_n P(N = n) Σ_{k<n} (b + x)_k / (a + b + x)_k,

N ~ negative binomial with shape r + x and mean (r + x)τ: the purchases an immortal customer would make, the k-th
counted with the probability that the k before did not end it. Every term is positive, so there is nothing to cancel, at
a = 1 either; where the sum is long the integral over p is taken instead.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.clock import ZoneTable
from recsys.data.history import HistoryArrays
from recsys.population.purchase_days import is_purchase, local_day, order_amount

LONGEST_SUM = 3_000
"""Terms the sum may take before the integral is cheaper."""

LARGEST_EXPONENT = 600.0
"""P(N = 0) = exp(-exponent) must stay a normal float for the sum to start."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


class Summaries(NamedTuple):
    """What BG/NBD and Gamma-Gamma know of each customer; all shapes (n_customers,).

    x           int64    repeat purchase days: distinct local days with a purchase, less the first
    t_x         float64  first to last purchase day [days], 0 for one-time buyers
    T           float64  first purchase day to the day of as_of [days]
    mean_spend  float64  mean amount of the repeat purchase days [minor units], 0.0 for one-time buyers
    n           int64    purchase days; 0 for a customer without a purchase, who belongs in no fit
    """

    x: npt.NDArray[np.int64]
    t_x: npt.NDArray[np.float64]
    T: npt.NDArray[np.float64]
    mean_spend: npt.NDArray[np.float64]
    n: npt.NDArray[np.int64]


class Summary(NamedTuple):
    """`Summaries` of one customer, as numbers."""

    x: int
    t_x: float
    T: float
    mean_spend: float
    n: int


@numba.njit(cache=True, nogil=True, error_model="numpy")
def summary(arrays: HistoryArrays, low: int, high: int, as_of: int, zone: ZoneTable) -> Summary:
    """Summary of the customer who owns the orders `low:high`, seen at `as_of` [s]; later orders are ignored.

    A purchase day's amount is that of all its purchase orders; refunds that stand alone are left out. The first day is
    excluded from the mean, as in Fader & Hardie (2013), "The Gamma-Gamma Model of Monetary Value", section 4.
    """
    n, first, last, repeat_amount = 0, 0, 0, 0
    for order in range(low, high):
        if arrays.order_time[order] > as_of:
            break
        if not is_purchase(arrays, order):
            continue
        day = local_day(zone, arrays.order_time[order])
        if n == 0:
            n, first, last = 1, day, day
        elif day > last:
            n, last = n + 1, day
        if day > first:
            repeat_amount += order_amount(arrays, order)
    own: Summary = summary_of(n, first, last, repeat_amount, local_day(zone, as_of))
    return own


@numba.njit(cache=True, nogil=True, error_model="numpy")
def summary_of(n: int, first: int, last: int, repeat_amount: int, today: int) -> Summary:
    """Summary of n purchase days from `first` to `last`, those after the first worth `repeat_amount` [minor units]."""
    if n == 0:
        return Summary(0, 0.0, 0.0, 0.0, 0)
    x = n - 1
    mean = repeat_amount / x if x > 0 else 0.0
    return Summary(x, float(last - first), float(max(today - first, last - first)), mean, n)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def summaries(arrays: HistoryArrays, order_start: npt.NDArray[np.int64], as_of: int, zone: ZoneTable) -> Summaries:
    """Summaries of all customers at `as_of` [s]; customer i owns the orders `order_start[i]:order_start[i + 1]`."""
    customers = len(order_start) - 1
    x = np.zeros(customers, np.int64)
    t_x = np.zeros(customers)
    T = np.zeros(customers)
    mean_spend = np.zeros(customers)
    n = np.zeros(customers, np.int64)
    for i in range(customers):
        one = summary(arrays, order_start[i], order_start[i + 1], as_of, zone)
        x[i], t_x[i], T[i], mean_spend[i], n[i] = one.x, one.t_x, one.T, one.mean_spend, one.n
    return Summaries(x, t_x, T, mean_spend, n)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def bgnbd_alive(r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float) -> float:
    """P(alive at T | x, t_x, T), Fader, Hardie & Lee (2008), "Computing P(alive) Using the BG/NBD Model"; 1 for x = 0.

    Not a churn score: a one-time buyer counts as alive for ever, since only a repeat purchase can end it.
    """
    if x <= 0.0:
        return 1.0
    odds = math.log(a / (b + x - 1.0)) + (r + x) * math.log((alpha + T) / (alpha + t_x))
    return 1.0 / (1.0 + math.exp(odds))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def bgnbd_expected(r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float, t: float) -> float:
    """Expected purchase days in (T, T + t] given x, t_x, T; equation 10 of the paper, computed as the module says."""
    if t <= 0.0:
        return 0.0
    survivors = _expected_alive(r + x, t / (alpha + T), a, b + x)
    return float(bgnbd_alive(r, alpha, a, b, x, t_x, T) * survivors)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def bgnbd_unconditional(r: float, alpha: float, a: float, b: float, t: float) -> float:
    """Expected repeat purchase days of a customer in the time t after the first purchase; equation 9 of the paper."""
    return float(bgnbd_expected(r, alpha, a, b, 0.0, 0.0, 0.0, t))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def bgnbd_active(r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float, t: float) -> float:
    """P(at least one purchase day in (T, T + t]); dropout follows a purchase, so being alive at T is what it takes."""
    if t <= 0.0:
        return 0.0
    buys = -math.expm1(-(r + x) * math.log1p(t / (alpha + T)))
    return float(bgnbd_alive(r, alpha, a, b, x, t_x, T) * buys)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def mbgnbd_alive(r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float) -> float:
    """P(alive at T | x, t_x, T) where the first purchase may end a customer too; Batislam et al. (2007)."""
    odds = math.log(a / (b + x)) + (r + x) * math.log((alpha + T) / (alpha + t_x))
    return 1.0 / (1.0 + math.exp(odds))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def mbgnbd_expected(r: float, alpha: float, a: float, b: float, x: float, t_x: float, T: float, t: float) -> float:
    """Expected purchase days in (T, T + t] by MBG/NBD: one more purchase was survived than BG/NBD counts."""
    if t <= 0.0:
        return 0.0
    survivors = _expected_alive(r + x, t / (alpha + T), a, b + x + 1.0)
    return float(mbgnbd_alive(r, alpha, a, b, x, t_x, T) * survivors)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def gamma_gamma_mean(p: float, q: float, v: float, x: float, mean: float) -> float:
    """Expected spend of one purchase day given the `mean` of x of them; Fader & Hardie (2013), equation 5.

    A weighted mean of what was seen and the base's p·v / (q - 1), which x = 0 gives; a mean below zero counts as zero.
    """
    return p * (v + x * max(mean, 0.0)) / (p * x + q - 1.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _expected_alive(shape: float, tau: float, a: float, b: float) -> float:
    """E_p[(1 - (1 + pτ)^-shape) / p] over p ~ Beta(a, b)."""
    mean = shape * tau
    terms = mean + 9.0 * math.sqrt(mean * (1.0 + tau)) + 40.0 * (1.0 + tau)
    if terms <= LONGEST_SUM and shape * math.log1p(tau) < LARGEST_EXPONENT:
        return float(_expected_by_sum(shape, tau, a, b))
    return float(_expected_by_integral(shape, tau, a, b))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _expected_by_sum(shape: float, tau: float, a: float, b: float) -> float:
    """Σ_n P(N = n) Σ_{k<n} (b)_k / (a + b)_k; stops when what is left is below 1e-15 of the sum."""
    u = tau / (1.0 + tau)
    probability = math.exp(-shape * math.log1p(tau))
    counted, survival, total = 0.0, 1.0, 0.0
    for n in range(2 * LONGEST_SUM):
        probability *= u * (shape + n) / (n + 1.0)
        counted += survival
        survival *= (b + n) / (a + b + n)
        term = probability * counted
        total += term
        ratio = u * (shape + n + 1.0) / (n + 2.0) * (1.0 + survival / counted)
        if ratio < 1.0 and term * ratio <= 1e-15 * (1.0 - ratio) * total:
            break
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _expected_by_integral(shape: float, tau: float, a: float, b: float) -> float:
    """The same expectation by 16-point Gauss-Legendre panels over y = log(p / (1 - p)), both tails in closed form."""
    start, stop = _bounds(shape, tau, a, b)
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    panels = math.ceil((stop - start) / (1.5 * min(1.0, math.sqrt(1.0 / a + 1.0 / b))))
    half = 0.5 * (stop - start) / panels
    total = 0.0
    for panel in range(panels):
        for node in range(len(_NODES)):
            y = start + (2 * panel + 1 + _NODES[node]) * half
            p = 1.0 / (1.0 + math.exp(-y))
            total += half * _WEIGHTS[node] * _logit_density(y, a, b, log_beta) * _purchases_given(shape, tau, p)
    left = _logit_density(start, a, b, log_beta) / a * _purchases_given(shape, tau, math.exp(start))
    right = _logit_density(stop, a, b, log_beta) / b * _purchases_given(shape, tau, 1.0)
    return float(total + left + right)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _bounds(shape: float, tau: float, a: float, b: float) -> tuple[float, float]:
    """Where the panels begin and end: beyond, the integrand is a power of p or 1 - p, or nothing."""
    mode, spread = math.log(a / b), 12.0 * math.sqrt(1.0 / a + 1.0 / b)
    start = math.log(1e-10) - math.log1p(tau * (shape + 1.0) + a + b)
    stop = math.log1p(a) - math.log(1e-10)
    if a > 4.0:
        start = max(start, mode - spread - 60.0 / (a - 1.0))
    if b > 4.0:
        stop = min(stop, mode + spread + 60.0 / b)
    return start, max(stop, start + 1e-3)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _logit_density(y: float, a: float, b: float, log_beta: float) -> float:
    """Density of y = log(p / (1 - p)) where p ~ Beta(a, b)."""
    return math.exp(-a * _softplus(-y) - b * _softplus(y) - log_beta)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _purchases_given(shape: float, tau: float, p: float) -> float:
    """(1 - (1 + pτ)^-shape) / p: purchases expected of a customer alive who leaves with probability p after each."""
    return -math.expm1(-shape * math.log1p(p * tau)) / p


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _softplus(y: float) -> float:
    """log(1 + e^y) without overflow."""
    return max(y, 0.0) + math.log1p(math.exp(-abs(y)))
