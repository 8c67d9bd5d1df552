"""Baselines: rules of thumb as linear scores over the same features, stored and served like any model."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from recsys.models.linear import Linear

Features = npt.NDArray[np.float32]


def rule(names: tuple[str, ...], weights: Mapping[str, float], X: Features, *, missing: str = "median") -> Linear:
    """Weighted sum of a few features; a missing value counts as the `median`, `largest` or `smallest` of the rows X.

    Compared with the median customer when reasons are given.
    """
    chosen = {name: _column(X, names, name) for name in weights}
    share = {"smallest": 0.0, "median": 0.5, "largest": 1.0}[missing]
    stand_in = {name: float(np.quantile(column, share)) for name, column in chosen.items()}
    middle = {name: float(np.median(column)) for name, column in chosen.items()}
    return Linear.of(names, weights, missing=stand_in, reference=middle)


def logit(names: tuple[str, ...], chosen: tuple[str, ...], X: Features, y: npt.NDArray[np.float64]) -> Linear:
    """Logistic regression of `y` (0 or 1) on the `chosen` features, standardised while fitting, weak ridge (C = 1)."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    medians = {name: float(np.median(_column(X, names, name))) for name in chosen}
    columns = np.column_stack([X[:, names.index(name)].astype(np.float64) for name in chosen])
    columns = np.where(np.isnan(columns), np.array(list(medians.values())), columns)
    mean, spread = columns.mean(axis=0), columns.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    with threadpool_limits(1):
        fitted = LogisticRegression(max_iter=1000).fit((columns - mean) / spread, y)
    slopes = fitted.coef_[0] / spread
    weights = {name: float(slope) for name, slope in zip(chosen, slopes, strict=True)}
    intercept = float(fitted.intercept_[0] - sum(slopes * mean))
    return Linear.of(names, weights, intercept, missing=medians, reference=medians)


def _column(X: Features, names: tuple[str, ...], name: str) -> npt.NDArray[np.float64]:
    """The known values of a feature; a single 0 where none is known."""
    values = X[:, names.index(name)].astype(np.float64)
    known = values[~np.isnan(values)]
    return known if len(known) else np.zeros(1)
