"""Maximum likelihood of BG/NBD and MBG/NBD with analytic gradient; what Pareto/NBD's fit shares with them.

BG/NBD: Fader, Hardie, Lee (2005), Marketing Science 24, equation 6. MBG/NBD: Batislam, Denizel, Filiztekin (2007),
Empirical validation and comparison of models for customer base analysis, IJRM 24: a customer may also leave right
after the first purchase, so that one-time buyers are not alive for ever.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from recsys.errors import NotEnoughData

Floats = npt.NDArray[np.float64]

PRIOR_MEAN, PRIOR_SPREAD = 0.0, 1.5
"""Fallback only: log-parameters (time in units of the mean T) are pulled towards this normal."""

BOUND = 9.0
"""A log-parameter that reaches ±BOUND has run away: the data do not say where it lies."""


STARTS = (np.zeros(4), np.array([-1.0, -2.0, 0.0, 1.0]))


@dataclass(frozen=True, slots=True)
class BgNbd:
    """Fitted BG/NBD, or MBG/NBD.

    r, alpha        purchase rates λ ~ Gamma(r, α); α in the time unit of the fit
    a, b            dropout probabilities p ~ Beta(a, b)
    log_likelihood  of the data at the estimate, without the fallback's prior
    converged       the optimiser found a flat point
    prior           the fallback's weak prior was needed: the data alone leave a parameter at ±infinity
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    converged: bool
    prior: bool = False

    def in_unit(self, factor: float) -> Self:
        """The same model with times in a unit `factor` times smaller (weeks → days: 7).

        The log-likelihood keeps its value in the unit of the fit.
        """
        return replace(self, alpha=self.alpha * factor)


@dataclass(frozen=True, slots=True)
class Rows:
    """Distinct (x, t_x, T) and how many customers share each; terms that depend on x alone are taken per distinct x."""

    x: Floats
    t_x: Floats
    T: Floats
    count: Floats
    x_values: Floats
    x_place: npt.NDArray[np.intp]


def fit_bgnbd(x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> BgNbd:
    """BG/NBD of customers with x repeat purchases, the last t_x after the first, watched for T; shapes (n_customers,).

    Any time unit; alpha comes back in it. L-BFGS on the four log-parameters, from two starting points. Where a
    parameter runs away (no repeat purchase at all, no dropout visible) or the search fails, the fit is repeated with a
    weak prior and `prior` says so.

    Raises:
        NotEnoughData: no customer.
        ValueError: arrays differ in length, or not 0 <= t_x <= T, or x < 0, or a value is not finite.
    """
    return _fit(*checked(x, t_x, T, "BG/NBD"), first=0.0)


def fit_mbgnbd(x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> BgNbd:
    """MBG/NBD of the same summaries; `bgnbd_alive` and its kin do not apply to it, `mbgnbd_alive` does.

    Raises:
        NotEnoughData: no customer.
        ValueError: as `fit_bgnbd`.
    """
    return _fit(*checked(x, t_x, T, "MBG/NBD"), first=1.0)


def _fit(x: Floats, t_x: Floats, T: Floats, first: float) -> BgNbd:
    unit = float(T.mean()) or 1.0
    rows = compressed(x, t_x / unit, T / unit)
    theta, converged = search(lambda at: _loss(at, rows, 0.0, first), STARTS)
    prior = not converged or bool(np.abs(theta).max() >= BOUND - 1e-6)
    if prior:
        theta, converged = search(lambda at: _loss(at, rows, 1.0, first), STARTS)
    r, alpha, a, b = (float(each) for each in np.exp(theta))
    log_likelihood = -_loss(theta, rows, 0.0, first)[0] * float(rows.count.sum()) - float(x.sum()) * np.log(unit)
    return BgNbd(r, alpha * unit, a, b, float(log_likelihood), converged, prior)


def checked(x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, model: str) -> tuple[Floats, Floats, Floats]:
    """x, t_x and T as float64 (n_customers,) each.

    Raises:
        NotEnoughData: no customer.
        ValueError: arrays differ in length, or a row is impossible.
    """
    xs, last, seen = (np.asarray(each, np.float64) for each in (x, t_x, T))
    if len(xs) == 0:
        raise NotEnoughData(f"No customer to fit {model} on", found=0, expected="at least one customer with a purchase")
    if not xs.shape == last.shape == seen.shape:
        raise ValueError(f"x, t_x and T must have equal length; found {xs.shape}, {last.shape}, {seen.shape}")
    sound = (xs >= 0) & (last >= 0) & (last <= seen) & np.isfinite(xs) & np.isfinite(seen)
    if not sound.all():
        i = int(np.argmin(sound))
        raise ValueError(f"Expected x >= 0 and 0 <= t_x <= T; found x={xs[i]}, t_x={last[i]}, T={seen[i]} at row {i}")
    return xs, last, seen


def compressed(x: Floats, t_x: Floats, T: Floats) -> Rows:
    """Distinct rows with their number."""
    order = np.lexsort((T, t_x, x))
    x, t_x, T = x[order], t_x[order], T[order]
    new = np.r_[True, (np.diff(x) != 0) | (np.diff(t_x) != 0) | (np.diff(T) != 0)]
    starts = np.flatnonzero(new)
    count = np.diff(np.append(starts, len(x))).astype(np.float64)
    x_values, x_place = np.unique(x[starts], return_inverse=True)
    return Rows(x[starts], t_x[starts], T[starts], count, x_values, x_place)


def search(loss: Callable[[Floats], tuple[float, Floats]], starts: Sequence[Floats]) -> tuple[Floats, bool]:
    """Best of the searches from `starts`: log-parameters (4,) and whether the optimiser converged."""
    from scipy.optimize import minimize

    options: dict[str, Any] = {"maxiter": 2_000, "maxfun": 4_000, "ftol": 1e-14, "gtol": 1e-8}
    found = [
        minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-BOUND, BOUND)] * 4, options=options)
        for start in starts
    ]
    best = min(found, key=lambda each: float(each.fun))
    return np.asarray(best.x, np.float64), bool(np.isfinite(best.fun) and np.abs(best.jac).max() < 1e-3)


def penalised(theta: Floats, value: float, gradient: Floats, customers: float, prior: float) -> tuple[float, Floats]:
    """Negative mean of a log-likelihood plus `prior` times the fallback's penalty, with the gradient in `theta`."""
    distance = (theta - PRIOR_MEAN) / PRIOR_SPREAD
    value -= prior * 0.5 * float(distance @ distance)
    gradient = gradient * np.exp(theta) - prior * distance / PRIOR_SPREAD
    return -value / customers, -gradient / customers


def _loss(theta: Floats, rows: Rows, prior: float, first: float = 0.0) -> tuple[float, Floats]:
    """Negative mean log-likelihood plus `prior` times the fallback's penalty; its gradient in the log-parameters."""
    value, gradient = _log_likelihood(np.exp(theta), rows, first)
    return penalised(theta, value, gradient, float(rows.count.sum()), prior)


def _log_likelihood(parameters: Floats, rows: Rows, first: float) -> tuple[float, Floats]:
    """Log-likelihood and its gradient in (r, α, a, b).

    ln L = A1(x) + A2(x) + ln(exp A3 + [x > 0] exp A4) with
    A1 = ln Γ(r+x) - ln Γ(r) + r ln α,   A2 = ln Γ(a+b) + ln Γ(b+x) - ln Γ(b) - ln Γ(a+b+x),
    A3 = -(r+x) ln(α+T),                 A4 = ln a - ln(b+x-1) - (r+x) ln(α+t_x).
    With `first` = 1 the first purchase may end a customer too (MBG/NBD): x counts one more in A2 and A4, and A4 is
    there for x = 0.
    """
    from scipy.special import digamma, gammaln

    r, alpha, a, b = parameters
    x, values, place = rows.x, rows.x_values, rows.x_place
    chances = values + first
    may_leave = x + first > 0
    below = np.where(may_leave, b + x + first - 1.0, 1.0)
    log_T, log_tx = np.log(alpha + rows.T), np.log(alpha + rows.t_x)
    a3 = -(r + x) * log_T
    a4 = np.where(may_leave, np.log(a) - np.log(below) - (r + x) * log_tx, -np.inf)
    either = np.logaddexp(a3, a4)
    alive, gone = np.exp(a3 - either), np.exp(a4 - either)
    by_x = (
        gammaln(r + values) - gammaln(r) + gammaln(a + b) + gammaln(b + chances) - gammaln(b) - gammaln(a + b + chances)
    )
    value = np.sum(rows.count * (by_x[place] + r * np.log(alpha) + either))
    lost = digamma(a + b) - digamma(a + b + chances)
    d_r = (digamma(r + values) - digamma(r))[place] + np.log(alpha) - alive * log_T - gone * log_tx
    d_alpha = r / alpha - (r + x) * (alive / (alpha + rows.T) + gone / (alpha + rows.t_x))
    d_a = lost[place] + gone / a
    d_b = (lost + digamma(b + chances) - digamma(b))[place] - gone * may_leave / below
    return float(value), np.array([np.sum(rows.count * each) for each in (d_r, d_alpha, d_a, d_b)])
