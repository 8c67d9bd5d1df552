"""95% intervals over customers: paired bootstrap (Efron & Tibshirani 1993, chapter 13), DeLong's for AUC.

Equal seeds give equal resamples, so that contenders measured on the same customers are paired.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.evaluation.probability import average_ranks

Floats = npt.NDArray[np.float64]
Statistic = Callable[..., float]

LEVEL = 0.95

NORMAL_FROM = 10_000
"""From this many customers on the bootstrap of a mean is the normal distribution it tends to."""

Z = 1.959963984540054
"""97.5% quantile of the normal distribution."""

MOST_ROWS = 50_000
"""Larger bases resample this many customers a draw and shrink the spread by √(rows / customers)."""


class Interval(NamedTuple):
    """A figure and its 95% interval; NaN where it is undefined."""

    mean: float
    low: float
    high: float

    @property
    def is_positive(self) -> bool:
        """The whole interval lies above zero."""
        return self.low > 0


UNDEFINED = Interval(float("nan"), float("nan"), float("nan"))


def mean_interval(values: npt.ArrayLike, draws: int = 2_000, seed: int = 0) -> Interval:
    """Mean of one figure per customer with its interval; NaN figures (customers left out) don't count."""
    finite = np.asarray(values, np.float64)
    finite = finite[~np.isnan(finite)]
    n = len(finite)
    if n == 0:
        return UNDEFINED
    mean = float(finite.mean())
    if n >= NORMAL_FROM:
        margin = Z * float(finite.std(ddof=1)) / np.sqrt(n)
        return Interval(mean, mean - margin, mean + margin)
    return _interval(mean, mean_draws(finite, draws, seed))


def paired_interval(first: npt.ArrayLike, second: npt.ArrayLike, draws: int = 2_000, seed: int = 0) -> Interval:
    """Mean of `first` - `second` over the same customers with its interval."""
    return mean_interval(np.asarray(first, np.float64) - np.asarray(second, np.float64), draws, seed)


def mean_draws(values: Floats, draws: int = 2_000, seed: int = 0) -> Floats:
    """Means of `draws` resamples of the customers, shape (draws,); `values` (n,) or (n, k) without NaN → (draws, k)."""
    rng = np.random.default_rng(seed)
    n = len(values)
    chunk = max(1, 4_000_000 // n)
    parts = []
    for start in range(0, draws, chunk):
        size = min(chunk, draws - start)
        parts.append(values[rng.integers(0, n, (size, n))].mean(axis=1))
    return np.concatenate(parts)


def statistic_draws(
    statistic: Statistic, columns: tuple[npt.ArrayLike, ...], draws: int = 500, seed: int = 0
) -> Floats:
    """`statistic(*columns)` of `draws` resamples of the customers, shape (draws,); columns (n_customers,) each.

    From MOST_ROWS customers on the m-out-of-n bootstrap (Bickel, Götze, van Zwet 1997); fewer draws from 10,000 on.
    """
    arrays = tuple(np.asarray(column) for column in columns)
    n = len(arrays[0])
    rows = min(n, MOST_ROWS)
    rng = np.random.default_rng(seed)
    picks = (rng.integers(0, n, rows) for _ in range(draws if n <= 10_000 else min(draws, 200)))
    found = np.array([statistic(*(array[pick] for array in arrays)) for pick in picks], np.float64)
    if rows == n:
        return found
    shrunk: Floats = statistic(*arrays) + (found - np.nanmean(found)) * np.sqrt(rows / n)
    return shrunk


def statistic_interval(
    statistic: Statistic, columns: tuple[npt.ArrayLike, ...], draws: int = 500, seed: int = 0
) -> Interval:
    """`statistic(*columns)` with its interval, recomputed on every resample."""
    if len(np.asarray(columns[0])) == 0:
        return UNDEFINED
    return _interval(statistic(*columns), statistic_draws(statistic, columns, draws, seed))


def statistic_difference(
    statistic: Statistic,
    first: tuple[npt.ArrayLike, ...],
    second: tuple[npt.ArrayLike, ...],
    draws: int = 500,
    seed: int = 0,
) -> Interval:
    """statistic(*first) - statistic(*second) over the same customers, resampled together."""
    if len(np.asarray(first[0])) == 0:
        return UNDEFINED
    one, other = (statistic_draws(statistic, columns, draws, seed) for columns in (first, second))
    return _interval(statistic(*first) - statistic(*second), one - other)


def auc_interval(label: npt.ArrayLike, score: npt.ArrayLike) -> Interval:
    """AUC with DeLong's interval."""
    values, covariance = delong(label, np.asarray(score, np.float64)[None, :])
    return _normal(float(values[0]), float(covariance[0, 0]))


def auc_difference(label: npt.ArrayLike, first: npt.ArrayLike, second: npt.ArrayLike) -> Interval:
    """AUC of `first` - AUC of `second` on the same customers with DeLong's interval."""
    values, covariance = delong(label, np.stack([np.asarray(first, np.float64), np.asarray(second, np.float64)]))
    variance = covariance[0, 0] + covariance[1, 1] - 2.0 * covariance[0, 1]
    return _normal(float(values[0] - values[1]), float(variance))


def delong(label: npt.ArrayLike, scores: Floats) -> tuple[Floats, Floats]:
    """AUCs (k,) of k scores (k, n_customers) and their covariance (k, k); NaN if there is only one class.

    DeLong, DeLong, Clarke-Pearson (1988), Biometrics 44(3), by the mid-ranks of Sun & Xu (2014).
    """
    positive = np.asarray(label).astype(bool)
    k, n, m = len(scores), int(positive.sum()), int((~positive).sum())
    if n == 0 or m == 0:
        return np.full(k, np.nan), np.full((k, k), np.nan)
    above, below = np.empty((k, n)), np.empty((k, m))
    for row, score in enumerate(scores):
        ranks = average_ranks(score)
        above[row] = (ranks[positive] - average_ranks(score[positive])) / m
        below[row] = 1.0 - (ranks[~positive] - average_ranks(score[~positive])) / n
    covariance = _covariance(above) / n + _covariance(below) / m
    return above.mean(axis=1), covariance


def _covariance(rows: Floats) -> Floats:
    centred = rows - rows.mean(axis=1, keepdims=True)
    covariance: Floats = centred @ centred.T / max(rows.shape[1] - 1, 1)
    return covariance


def _interval(value: float, draws: Floats) -> Interval:
    draws = draws[~np.isnan(draws)]
    if len(draws) == 0:
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(value), float(low), float(high))


def _normal(value: float, variance: float) -> Interval:
    margin = Z * float(np.sqrt(max(variance, 0.0))) if not np.isnan(variance) else float("nan")
    return Interval(value, value - margin, value + margin)
