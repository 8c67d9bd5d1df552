"""Metrics of predicted amounts or counts, and of their intervals; all shapes (n_customers,)."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.evaluation.probability import average_ranks, tie_means

Floats = npt.NDArray[np.float64]


class Deciles(NamedTuple):
    """Mean predicted and actual per decile of the prediction, lowest first; shapes (10,), fewer for < 10 customers."""

    predicted: Floats
    actual: Floats


def absolute_errors(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> Floats:
    """|predicted - actual| per customer; the mean is the MAE."""
    errors: Floats = np.abs(_errors(actual, predicted))
    return errors


def squared_errors(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> Floats:
    """(predicted - actual)² per customer; the root of the mean is the RMSE."""
    errors: Floats = _errors(actual, predicted) ** 2
    return errors


def deviances(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> Floats:
    """Poisson deviance 2 (y ln(y / μ) - y + μ) per customer: proper for the mean of any amount >= 0, zeros included.

    Nelder & Wedderburn (1972). Amounts below zero (refunds) count as 0; predictions are kept at a millionth of the mean
    actual or more.
    """
    y = np.maximum(np.asarray(actual, np.float64), 0.0)
    floor = max(float(y.mean()) if len(y) else 0.0, 1e-9) * 1e-6
    mu = np.maximum(np.asarray(predicted, np.float64), floor)
    logs: Floats = np.where(y > 0, y * np.log(np.where(y > 0, y, 1.0) / mu), 0.0)
    return 2.0 * (logs - y + mu)


def rmse(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(squared_errors(actual, predicted).mean()))


def bias(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Mean of predicted - actual: above zero, the model promises too much."""
    return float(_errors(actual, predicted).mean())


def sum_ratio(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Σ predicted / Σ actual; NaN where nothing was bought."""
    total = float(np.sum(actual))
    return float(np.sum(predicted)) / total if total != 0 else float("nan")


def spearman(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Correlation of the ranks, ties averaged (Spearman 1904); NaN where one does not vary."""
    first, second = (average_ranks(np.asarray(each, np.float64)) for each in (actual, predicted))
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / scale if scale > 0 else float("nan")


def normalised_gini(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Gini of the actual amounts ordered by prediction / that of the perfect order; 1 perfect, 0 chance, NaN undefined.

    G = 1 - 2 · area under the Lorenz curve, lowest prediction first; equal predictions share their mean.
    """
    y = np.asarray(actual, np.float64)
    perfect = _lorenz_gini(y, y)
    return _lorenz_gini(y, np.asarray(predicted, np.float64)) / perfect if perfect > 0 else float("nan")


def deciles(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> Deciles:
    """Mean predicted and actual in ten parts of equal size by prediction; equal predictions share their mean actual."""
    y, p = np.asarray(actual, np.float64), np.asarray(predicted, np.float64)
    order = np.argsort(p, kind="stable")
    edges = np.unique(np.linspace(0, len(p), 11).round().astype(np.int64))
    if len(edges) < 2:
        return Deciles(np.zeros(0), np.zeros(0))
    size = np.diff(edges)
    means = (np.add.reduceat(each[order], edges[:-1]) / size for each in (p, tie_means(p, y)))
    return Deciles(*means)


def decile_error(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Mean over deciles of |predicted - actual| / overall mean actual (decile MAPE); NaN where nothing was bought."""
    y = np.asarray(actual, np.float64)
    table, mean = deciles(y, predicted), float(y.mean()) if len(y) else 0.0
    return float(np.abs(table.predicted - table.actual).mean()) / mean if mean > 0 else float("nan")


def covered(actual: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> Floats:
    """1 where low <= actual <= high, else 0; the mean is the coverage."""
    y = np.asarray(actual, np.float64)
    return ((np.asarray(low) <= y) & (y <= np.asarray(high))).astype(np.float64)


def interval_scores(actual: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike, level: float = 0.8) -> Floats:
    """(high - low) + 2/α (low - y)⁺ + 2/α (y - high)⁺ per customer, α = 1 - level; lower is better.

    Gneiting & Raftery (2007), Strictly Proper Scoring Rules, equation 43.
    """
    y, lower, upper = (np.asarray(each, np.float64) for each in (actual, low, high))
    penalty = 2.0 / (1.0 - level)
    scores: Floats = (upper - lower) + penalty * (np.maximum(lower - y, 0.0) + np.maximum(y - upper, 0.0))
    return scores


def _errors(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> Floats:
    errors: Floats = np.asarray(predicted, np.float64) - np.asarray(actual, np.float64)
    return errors


def _lorenz_gini(amount: Floats, key: Floats) -> float:
    """1 - 2 · area under the Lorenz curve of `amount` in ascending order of `key`; 0 where there is no amount."""
    total = float(amount.sum())
    if total <= 0:
        return 0.0
    order = np.argsort(key, kind="stable")
    curve = np.concatenate([[0.0], np.cumsum(tie_means(key, amount)[order])]) / total
    return float(1.0 - (curve[1:] + curve[:-1]).sum() / len(amount))
