"""Maximum likelihood of Pareto/NBD with analytic gradient, see `recsys.population.pareto` for the integral."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Self

import numba
import numpy as np
import numpy.typing as npt

from recsys.population.btyd_fit import BOUND, Floats, Rows, checked, compressed, penalised, search
from recsys.population.pareto import integral

SKETCH = 20_000
"""A larger base is first fitted on this many of its rows: the search on all of them then starts next to its end."""

STARTS = (np.zeros(4), np.array([-0.5, -1.0, -0.5, -1.0]))


@dataclass(frozen=True, slots=True)
class ParetoNbd:
    """Fitted Pareto/NBD.

    r, alpha        purchase rates λ ~ Gamma(r, α); α in the time unit of the fit
    s, beta         dropout rates μ ~ Gamma(s, β); β in the time unit of the fit
    log_likelihood  of the data at the estimate, without the fallback's prior
    converged       the optimiser found a flat point
    prior           the fallback's weak prior was needed: the data alone leave a parameter at ±infinity
    """

    r: float
    alpha: float
    s: float
    beta: float
    log_likelihood: float
    converged: bool
    prior: bool = False

    def in_unit(self, factor: float) -> Self:
        """The same model with times in a unit `factor` times smaller (weeks → days: 7)."""
        return replace(self, alpha=self.alpha * factor, beta=self.beta * factor)


def fit_pareto(x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, *, threads: int = 1) -> ParetoNbd:
    """Pareto/NBD of customers with x repeat purchases, the last t_x after the first, watched for T; (n_customers,).

    Any time unit; alpha and beta come back in it. L-BFGS on the log-parameters, from two starting points, repeated with
    a weak prior where a parameter runs away (`prior` says so). Threads share nothing and change no bit.

    Raises:
        NotEnoughData: no customer.
        ValueError: arrays differ in length, or not 0 <= t_x <= T, or x < 0, or a value is not finite.
    """
    xs, last, seen = checked(x, t_x, T, "Pareto/NBD")
    unit = float(seen.mean()) or 1.0
    rows = compressed(xs, last / unit, seen / unit)
    theta, converged = _fitted(rows, 0.0, threads)
    prior = not converged or bool(np.abs(theta).max() >= BOUND - 1e-6)
    if prior:
        theta, converged = _fitted(rows, 1.0, threads)
    r, alpha, s, beta = (float(each) for each in np.exp(theta))
    value = -_loss(theta, rows, 0.0, threads)[0] * float(rows.count.sum()) - float(xs.sum()) * np.log(unit)
    return ParetoNbd(r, alpha * unit, s, beta * unit, float(value), converged, prior)


def _fitted(rows: Rows, prior: float, threads: int) -> tuple[Floats, bool]:
    """Best log-parameters and whether the search ended on a flat point."""
    starts: tuple[Floats, ...] = STARTS
    if len(rows.x) > SKETCH:
        sketch = _every(rows, len(rows.x) // SKETCH + 1)
        starts = (search(lambda theta: _loss(theta, sketch, prior, threads), STARTS)[0],)
    return search(lambda theta: _loss(theta, rows, prior, threads), starts)


def _every(rows: Rows, step: int) -> Rows:
    x_values, place = np.unique(rows.x[::step], return_inverse=True)
    return Rows(rows.x[::step], rows.t_x[::step], rows.T[::step], rows.count[::step], x_values, place)


def _loss(theta: Floats, rows: Rows, prior: float, threads: int = 1) -> tuple[float, Floats]:
    """Negative mean log-likelihood plus `prior` times the fallback's penalty; its gradient in the log-parameters."""
    value, gradient = _log_likelihood(np.exp(theta), rows, threads)
    return penalised(theta, value, gradient, float(rows.count.sum()), prior)


def _log_likelihood(parameters: Floats, rows: Rows, threads: int) -> tuple[float, Floats]:
    """Log-likelihood and its gradient in (r, α, s, β).

    ln L = ln Γ(r+x) - ln Γ(r) + r ln α + s ln β + ln((α+T)^-(r+x) (β+T)^-s + s I(t_x, T)).
    """
    from scipy.special import digamma, gammaln

    r, alpha, s, beta = (float(each) for each in parameters)
    values, place, count = rows.x_values, rows.x_place, rows.count
    out = np.empty((len(rows.x), 5))

    def part(some: npt.NDArray[np.intp]) -> None:
        """Fill `out` for neighbouring rows, on a thread."""
        if len(some):
            at = slice(some[0], some[-1] + 1)
            _either(rows.x[at], rows.t_x[at], rows.T[at], r, alpha, s, beta, out[at])

    parts = np.array_split(np.arange(len(rows.x)), max(1, threads))
    with ThreadPoolExecutor(max(1, threads)) as pool:
        list(pool.map(part, parts))
    log, d_r, d_alpha, d_s, d_beta = (np.sum(count * out[:, k]) for k in range(5))
    customers = count.sum()
    by_x = gammaln(r + values) - gammaln(r)
    slopes = digamma(r + values) - digamma(r)
    value = log + np.sum(count * by_x[place]) + customers * (r * np.log(alpha) + s * np.log(beta))
    d_r += np.sum(count * slopes[place]) + customers * np.log(alpha)
    d_alpha += customers * r / alpha
    d_s += customers * np.log(beta)
    d_beta += customers * s / beta
    return float(value), np.array([d_r, d_alpha, d_s, d_beta])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _either(x: Any, t_x: Any, T: Any, r: float, alpha: float, s: float, beta: float, out: Any) -> None:
    """ln((α+T)^-(r+x) (β+T)^-s + s I) of each row and its derivatives, out (n, 5)."""
    for i in range(len(x)):
        k = r + x[i]
        log_a, log_b = np.log(alpha + T[i]), np.log(beta + T[i])
        stayed = -k * log_a - s * log_b
        left = integral(k, alpha, s, beta, t_x[i], T[i])
        gone = np.log(s) + left.log
        most = max(stayed, gone)
        total = most + np.log(np.exp(stayed - most) + np.exp(gone - most))
        alive, dead = np.exp(stayed - total), np.exp(gone - total)
        out[i, 0] = total
        out[i, 1] = -alive * log_a - dead * left.log_alpha
        out[i, 2] = -k * (alive / (alpha + T[i]) + dead * left.inverse_alpha)
        out[i, 3] = -alive * log_b + dead * (1.0 / s - left.log_beta)
        out[i, 4] = -alive * s / (beta + T[i]) - dead * (s + 1.0) * left.inverse_beta
