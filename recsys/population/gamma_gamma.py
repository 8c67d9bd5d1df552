"""Gamma-Gamma model of spend per purchase: fit by maximum likelihood; the kernel that applies it is in `btyd`.

Fader & Hardie (2013), "The Gamma-Gamma Model of Monetary Value": the amounts of a customer are Gamma(p, ν), ν varies
over customers as Gamma(q, v). Needs mean spend to be unrelated to how often customers buy; `correlation` says whether.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.errors import NotEnoughData

Floats = npt.NDArray[np.float64]

PRIOR_MEAN, PRIOR_SPREAD = np.array([1.0, 1.0, 1.0]), 1.5
"""Fallback only: log p, log(q - 1), log v (spend in units of its mean) are pulled towards this normal."""

BOUND = 9.0
"""A log-parameter that reaches ±BOUND has run away."""


@dataclass(frozen=True, slots=True)
class GammaGamma:
    """Fitted Gamma-Gamma.

    p, q, v         shape of a customer's amounts; shape and scale of their spread over customers; v in spend's unit
    log_likelihood  of the data at the estimate
    converged       the optimiser found a flat point
    correlation     of x and mean spend over customers; the model takes it to be near 0
    customers       how many the fit used
    prior           the fallback's weak prior was needed
    """

    p: float
    q: float
    v: float
    log_likelihood: float
    converged: bool
    correlation: float
    customers: int
    prior: bool = False

    @property
    def mean(self) -> float:
        """Expected spend of a customer nothing is known of, p·v / (q - 1) [unit of the fit]."""
        return self.p * self.v / (self.q - 1.0)


def fit_gamma_gamma(x: npt.ArrayLike, mean_spend: npt.ArrayLike) -> GammaGamma:
    """Gamma-Gamma of customers with x repeat purchases of `mean_spend` on average; shapes (n_customers,).

    Customers with x = 0 or a mean that is not above zero are left out. q is kept above 1: the base's mean exists.

    Raises:
        NotEnoughData: no customer with a repeat purchase and a positive mean.
    """
    counts, means = np.asarray(x, np.float64), np.asarray(mean_spend, np.float64)
    used = (counts > 0) & (means > 0) & np.isfinite(means)
    if not used.any():
        raise NotEnoughData(
            "No customer to fit the Gamma-Gamma model on",
            found=0,
            expected="customers with a repeat purchase of positive amount",
        )
    counts, means = counts[used], means[used]
    unit = float(means.mean())
    theta, converged = _search(counts, means / unit, 0.0)
    prior = not converged or bool(np.abs(theta).max() >= BOUND - 1e-6)
    if prior:
        theta, converged = _search(counts, means / unit, 1.0)
    p, q, v = float(np.exp(theta[0])), float(1.0 + np.exp(theta[1])), float(np.exp(theta[2]))
    value = -_loss(theta, counts, means / unit, 0.0)[0] * len(counts) - len(counts) * np.log(unit)
    return GammaGamma(p, q, v * unit, float(value), converged, _correlation(counts, means), len(counts), prior)


def fit_gamma_gamma_or_mean(x: npt.ArrayLike, mean_spend: npt.ArrayLike, otherwise: float) -> GammaGamma:
    """`fit_gamma_gamma`, or where nobody has bought twice a flat one whose mean is `otherwise` (at least 1)."""
    try:
        return fit_gamma_gamma(x, mean_spend)
    except NotEnoughData:
        return GammaGamma(1.0, 2.0, max(otherwise, 1.0), 0.0, False, 0.0, 0, True)


def _correlation(x: Floats, mean_spend: Floats) -> float:
    if len(x) < 2 or x.std() == 0 or mean_spend.std() == 0:
        return 0.0
    return float(np.corrcoef(x, mean_spend)[0, 1])


def _search(x: Floats, mean: Floats, prior: float) -> tuple[Floats, bool]:
    from scipy.optimize import minimize

    options: dict[str, Any] = {"maxiter": 2_000, "maxfun": 4_000, "ftol": 1e-14, "gtol": 1e-8}
    starts = (np.array([1.0, 1.0, 1.0]), np.array([0.0, 0.0, 0.0]))
    found = [
        minimize(
            _loss, start, (x, mean, prior), jac=True, method="L-BFGS-B", bounds=[(-BOUND, BOUND)] * 3, options=options
        )
        for start in starts
    ]
    best = min(found, key=lambda each: float(each.fun))
    return np.asarray(best.x, np.float64), bool(np.isfinite(best.fun) and np.abs(best.jac).max() < 1e-3)


def _loss(theta: Floats, x: Floats, mean: Floats, prior: float) -> tuple[float, Floats]:
    """Negative mean log-likelihood (paper, equation 1a) in (log p, log(q - 1), log v), with its gradient.

    ln L = ln Γ(px+q) - ln Γ(px) - ln Γ(q) + q ln v + (px-1) ln m + px ln x - (px+q) ln(v + x m).
    """
    from scipy.special import digamma, gammaln

    p, above, v = np.exp(theta)
    q, shape, total = 1.0 + above, p * x, v + x * mean
    value = gammaln(shape + q) - gammaln(shape) - gammaln(q) + q * np.log(v)
    value += (shape - 1.0) * np.log(mean) + shape * np.log(x) - (shape + q) * np.log(total)
    d_p = x * (digamma(shape + q) - digamma(shape) + np.log(x * mean) - np.log(total))
    d_q = digamma(shape + q) - digamma(q) + np.log(v) - np.log(total)
    d_v = q / v - (shape + q) / total
    gradient = np.array([d_p.sum() * p, d_q.sum() * above, d_v.sum() * v])
    distance = (theta - PRIOR_MEAN) / PRIOR_SPREAD
    penalised = float(value.sum()) - prior * 0.5 * float(distance @ distance)
    return -penalised / len(x), -(gradient - prior * distance / PRIOR_SPREAD) / len(x)
