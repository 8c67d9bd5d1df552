"""Metrics of predicted probabilities: discrimination, calibration, lift. `label` is 0 or 1, shapes (n_customers,)."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SMALLEST = 1e-15
"""Probabilities are kept this far from 0 and 1 inside logarithms."""

BINS = 15
"""Equal-mass bins of the calibration error."""


class Line(NamedTuple):
    """Calibration line: logit P(label = 1) = intercept + slope · logit(predicted), with standard errors."""

    intercept: float
    slope: float
    intercept_error: float
    slope_error: float


UNDEFINED_LINE = Line(float("nan"), float("nan"), float("nan"), float("nan"))


class Reliability(NamedTuple):
    """Per bin of equal mass, ascending: mean predicted, observed rate, number of customers; shapes (n_bins,)."""

    predicted: Floats
    observed: Floats
    customers: Floats


def auc(label: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """P(score of a positive > score of a negative) + half of P(equal); NaN if there is only one class.

    Mann & Whitney (1947); Hanley & McNeil (1982), Radiology 143(1).
    """
    positive = np.asarray(label).astype(bool)
    ranks = average_ranks(np.asarray(score, np.float64))
    n, m = int(positive.sum()), int((~positive).sum())
    if n == 0 or m == 0:
        return float("nan")
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def gini(label: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """2 · AUC - 1: 0 for chance, 1 for a perfect order."""
    return 2.0 * auc(label, score) - 1.0


def log_losses(label: npt.ArrayLike, probability: npt.ArrayLike) -> Floats:
    """-y ln p - (1 - y) ln(1 - p) per customer [nats]; its mean is the log loss."""
    y = np.asarray(label, np.float64)
    p = np.clip(np.asarray(probability, np.float64), SMALLEST, 1.0 - SMALLEST)
    losses: Floats = -y * np.log(p) - (1.0 - y) * np.log1p(-p)
    return losses


def brier_losses(label: npt.ArrayLike, probability: npt.ArrayLike) -> Floats:
    """(p - y)² per customer; its mean is the Brier score (1950)."""
    losses: Floats = (np.asarray(probability, np.float64) - np.asarray(label, np.float64)) ** 2
    return losses


def reliability(label: npt.ArrayLike, probability: npt.ArrayLike, bins: int = BINS) -> Reliability:
    """Predicted against observed in `bins` bins of equal mass (their sizes differ by one at most).

    Equal predictions share their mean label, so that no order among them can move the bins.
    """
    p = np.asarray(probability, np.float64)
    order = np.argsort(p, kind="stable")
    y = tie_means(p, np.asarray(label, np.float64))[order]
    bounds, count = _bounds(len(p), bins)
    if len(bounds) == 0:
        return Reliability(np.zeros(0), np.zeros(0), np.zeros(0))
    return Reliability(np.add.reduceat(p[order], bounds) / count, np.add.reduceat(y, bounds) / count, count)


def ece(label: npt.ArrayLike, probability: npt.ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error: Σ_b (n_b / n) |observed_b - predicted_b| over equal-mass bins; NaN without customers.

    Naeini, Cooper, Hauskrecht (2015), AAAI; equal mass as in Nixon et al. (2019). Above zero even for a perfect model:
    see `ece_null_quantile`.
    """
    table = reliability(label, probability, bins)
    if len(table.customers) == 0:
        return float("nan")
    return float((table.customers * np.abs(table.observed - table.predicted)).sum() / table.customers.sum())


def ece_null_quantile(
    probability: npt.ArrayLike, bins: int = BINS, level: float = 0.95, draws: int = 500, seed: int = 0
) -> float:
    """`level` quantile of the ECE a perfectly calibrated model with these predictions would show.

    Labels are drawn from the predictions themselves: one by one up to 200,000 of them, beyond that each bin's sum as a
    normal with the same mean and variance.
    """
    p = np.sort(np.asarray(probability, np.float64))
    bounds, count = _bounds(len(p), bins)
    if len(bounds) == 0:
        return float("nan")
    rng = np.random.default_rng(seed)
    mean, deviation = np.add.reduceat(p, bounds), np.sqrt(np.add.reduceat(p * (1 - p), bounds))
    if len(p) <= 200_000:
        sums = np.array([np.add.reduceat((rng.random(len(p)) < p).astype(np.float64), bounds) for _ in range(draws)])
    else:
        sums = rng.normal(mean, deviation, (draws, len(bounds)))
    return float(np.quantile(np.abs(sums - mean).sum(axis=1) / count.sum(), level))


def calibration_line(label: npt.ArrayLike, probability: npt.ArrayLike) -> Line:
    """Logistic regression of label on logit(p): (0, 1) is perfect, slope < 1 overconfident. Cox (1958), Biometrika 45.

    NaN where labels or predictions do not vary, or separate perfectly.
    """
    y = np.asarray(label, np.float64)
    p = np.clip(np.asarray(probability, np.float64), SMALLEST, 1.0 - SMALLEST)
    x = np.log(p) - np.log1p(-p)
    if len(y) < 3 or y.min() == y.max() or np.ptp(x) < 1e-9:
        return UNDEFINED_LINE
    beta = np.array([0.0, 1.0])
    for _ in range(100):
        gradient, information = _logistic(beta, x, y)
        step = np.linalg.solve(information, gradient)
        beta = beta + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
        if np.abs(step).max() < 1e-10:
            errors = np.sqrt(np.diag(np.linalg.inv(information)))
            return Line(*(float(each) for each in (*beta, *errors)))
    return UNDEFINED_LINE


def _logistic(beta: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Gradient (2,) and Fisher information (2, 2) of the log-likelihood of y = 1 with log-odds beta[0] + beta[1] x."""
    fitted = 1.0 / (1.0 + np.exp(-np.clip(beta[0] + beta[1] * x, -500, 500)))
    weight = np.maximum(fitted * (1.0 - fitted), 1e-12)
    gradient = np.array([(y - fitted).sum(), ((y - fitted) * x).sum()])
    cross = (weight * x).sum()
    return gradient, np.array([[weight.sum(), cross], [cross, (weight * x * x).sum() + 1e-12]])


def lift(label: npt.ArrayLike, score: npt.ArrayLike, share: float = 0.1) -> float:
    """Rate of positives among the `share` of customers with the highest score / overall rate; NaN without a positive.

    Ties are averaged: of customers with equal scores at the border the expected number of positives counts.
    """
    contacted, captured = gain_curve(label, score, (share,))
    return float(captured[0] / contacted[0])


def gain_curve(label: npt.ArrayLike, score: npt.ArrayLike, shares: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Share of all positives among the best-scored `shares` of customers, ties averaged: (shares, captured)."""
    y, s = np.asarray(label, np.float64), np.asarray(score, np.float64)
    at = np.asarray(shares, np.float64)
    if y.sum() <= 0:
        return at, np.full(len(at), np.nan)
    order = np.argsort(-s, kind="stable")
    captured = np.concatenate([[0.0], np.cumsum(tie_means(s, y)[order])]) / y.sum()
    return at, np.interp(at * len(y), np.arange(len(y) + 1), captured)


def average_ranks(values: Floats) -> Floats:
    """Ranks 1…n, equal values share the mean of theirs."""
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: Floats = (last - (count - 1) / 2.0)[inverse]
    return ranks


def tie_means(key: Floats, values: Floats) -> Floats:
    """`values`, each replaced by the mean over the customers with the same key."""
    _, inverse, count = np.unique(key, return_inverse=True, return_counts=True)
    means: Floats = (np.bincount(inverse, values) / count)[inverse] if len(key) else values
    return means


def _bounds(n: int, bins: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """First row and number of rows of each of at most `bins` equal parts of n sorted rows; empty parts are left out."""
    edges = np.unique(np.linspace(0, n, bins + 1).round().astype(np.int64))
    return edges[:-1], np.diff(edges).astype(np.float64)
