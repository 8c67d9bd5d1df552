"""The figures of a back-test as rows with intervals, and paired differences: what a table of the report shows.

Names of metrics are spelled once, here.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.evaluation import bootstrap, money, probability, ranking
from recsys.evaluation.bootstrap import Interval, Z
from recsys.evaluation.results import Better, Difference, MetricRow

Floats = npt.NDArray[np.float64]

RECALL, NDCG, HIT = "recall", "ndcg", "hit rate"
AUC, GINI, LOG_LOSS, BRIER, ECE = "auc", "gini", "log loss", "brier", "ece"
SLOPE, INTERCEPT, LIFT = "calibration slope", "calibration intercept", "top-decile lift"
MAE, RMSE, DEVIANCE, BIAS, SUM_RATIO = "mae", "rmse", "deviance", "bias", "sum ratio"
SPEARMAN, NORMALISED_GINI, DECILE_ERROR = "spearman", "normalised gini", "decile error"
COVERAGE, INTERVAL_SCORE = "interval coverage", "interval score"

WISHED: dict[str, Better] = {
    **dict.fromkeys((LOG_LOSS, BRIER, ECE, MAE, RMSE, DEVIANCE, DECILE_ERROR, INTERVAL_SCORE), "lower"),
    **dict.fromkeys((SLOPE, SUM_RATIO), "one"),
    **dict.fromkeys((INTERCEPT, BIAS), "zero"),
    COVERAGE: "level",
}
"""What to wish for; `higher` where a metric is not named."""


class Forecast(NamedTuple):
    """What a contender predicts of an amount or a count; `low` and `high` bound its 80% interval, None without one."""

    mean: Floats
    low: Floats | None = None
    high: Floats | None = None


def ranking_vectors(
    recommended: npt.NDArray[np.int32], truth: ranking.Truth, ks: tuple[int, ...] = (10,)
) -> dict[str, Floats]:
    """Recall, NDCG and hit rate at each k, one figure per customer, NaN without a true item: `recall@10` → (n,)."""
    kinds: dict[str, Callable[[int, npt.NDArray[np.int32], ranking.Truth], Floats]] = {
        RECALL: ranking.recall_at,
        NDCG: ranking.ndcg_at,
        HIT: ranking.hit_at,
    }
    return {f"{name}@{k}": of(k, recommended, truth) for k in ks for name, of in kinds.items()}


def vector_rows(vectors: Mapping[str, Floats], seed: int = 0) -> tuple[MetricRow, ...]:
    """One row per vector of per-customer figures: the mean over customers, with its interval."""
    return tuple(_row(name, bootstrap.mean_interval(values, seed=seed)) for name, values in vectors.items())


def vector_differences(
    first: str, firsts: Mapping[str, Floats], second: str, seconds: Mapping[str, Floats], seed: int = 0
) -> tuple[Difference, ...]:
    """Paired differences `first` - `second` of the vectors both have."""
    return tuple(
        _difference(name, first, second, bootstrap.paired_interval(values, seconds[name], seed=seed))
        for name, values in firsts.items()
        if name in seconds
    )


def probability_rows(label: npt.ArrayLike, predicted: npt.ArrayLike, seed: int = 0) -> tuple[MetricRow, ...]:
    """AUC, Gini, log loss, Brier, ECE, calibration slope and intercept, top-decile lift of predicted probabilities."""
    y, p = np.asarray(label, np.float64), np.asarray(predicted, np.float64)
    area = bootstrap.auc_interval(y, p)
    return (
        _row(AUC, area),
        _row(GINI, Interval(*(2 * each - 1 for each in area))),
        _row(LOG_LOSS, bootstrap.mean_interval(probability.log_losses(y, p), seed=seed)),
        _row(BRIER, bootstrap.mean_interval(probability.brier_losses(y, p), seed=seed)),
        MetricRow(ECE, _defined(probability.ece(y, p)), better="lower"),
        *_calibration_rows(y, p),
        _row(LIFT, bootstrap.statistic_interval(probability.lift, (y, p), seed=seed)),
    )


def score_rows(label: npt.ArrayLike, score: npt.ArrayLike, seed: int = 0) -> tuple[MetricRow, ...]:
    """AUC, Gini and top-decile lift of a score that is no probability (days since the last purchase)."""
    area = bootstrap.auc_interval(label, score)
    return (
        _row(AUC, area),
        _row(GINI, Interval(*(2 * each - 1 for each in area))),
        _row(LIFT, bootstrap.statistic_interval(probability.lift, (label, score), seed=seed)),
    )


def probability_differences(
    label: npt.ArrayLike, first: str, firsts: Floats, second: str, seconds: Floats, seed: int = 0
) -> tuple[Difference, ...]:
    """Paired differences `first` - `second` in AUC, log loss and Brier."""
    log, brier = probability.log_losses, probability.brier_losses
    return (
        _difference(AUC, first, second, bootstrap.auc_difference(label, firsts, seconds)),
        _difference(
            LOG_LOSS, first, second, bootstrap.paired_interval(log(label, firsts), log(label, seconds), seed=seed)
        ),
        _difference(
            BRIER, first, second, bootstrap.paired_interval(brier(label, firsts), brier(label, seconds), seed=seed)
        ),
    )


def money_rows(actual: npt.ArrayLike, forecast: Forecast, seed: int = 0) -> tuple[MetricRow, ...]:
    """MAE, deviance, bias, RMSE, sum ratio, Spearman, normalised Gini, decile error; coverage, score of intervals."""
    y, p = np.asarray(actual, np.float64), forecast.mean
    resampled = {
        RMSE: money.rmse,
        SUM_RATIO: money.sum_ratio,
        SPEARMAN: money.spearman,
        NORMALISED_GINI: money.normalised_gini,
    }
    rows = [
        _row(MAE, bootstrap.mean_interval(money.absolute_errors(y, p), seed=seed)),
        _row(DEVIANCE, bootstrap.mean_interval(money.deviances(y, p), seed=seed)),
        _row(BIAS, bootstrap.mean_interval(p - y, seed=seed)),
        *(_row(name, bootstrap.statistic_interval(of, (y, p), seed=seed)) for name, of in resampled.items()),
        MetricRow(DECILE_ERROR, _defined(money.decile_error(y, p)), better="lower"),
    ]
    if forecast.low is not None and forecast.high is not None:
        bounds = (forecast.low, forecast.high)
        rows.append(_row(COVERAGE, bootstrap.mean_interval(money.covered(y, *bounds), seed=seed)))
        rows.append(_row(INTERVAL_SCORE, bootstrap.mean_interval(money.interval_scores(y, *bounds), seed=seed)))
    return tuple(rows)


def money_differences(
    actual: npt.ArrayLike, first: str, firsts: Floats, second: str, seconds: Floats, seed: int = 0
) -> tuple[Difference, ...]:
    """Paired differences `first` - `second` in MAE, deviance, RMSE, Spearman and normalised Gini."""
    y = np.asarray(actual, np.float64)
    errors = bootstrap.paired_interval(money.absolute_errors(y, firsts), money.absolute_errors(y, seconds), seed=seed)
    deviances = bootstrap.paired_interval(money.deviances(y, firsts), money.deviances(y, seconds), seed=seed)
    resampled = {RMSE: money.rmse, SPEARMAN: money.spearman, NORMALISED_GINI: money.normalised_gini}
    return (
        _difference(MAE, first, second, errors),
        _difference(DEVIANCE, first, second, deviances),
        *(
            _difference(name, first, second, bootstrap.statistic_difference(of, (y, firsts), (y, seconds), seed=seed))
            for name, of in resampled.items()
        ),
    )


def _calibration_rows(y: Floats, p: Floats) -> tuple[MetricRow, MetricRow]:
    """Slope and intercept with the intervals of logistic regression."""
    line = probability.calibration_line(y, p)
    slope, intercept = Z * line.slope_error, Z * line.intercept_error
    return (
        _row(SLOPE, Interval(line.slope, line.slope - slope, line.slope + slope)),
        _row(INTERCEPT, Interval(line.intercept, line.intercept - intercept, line.intercept + intercept)),
    )


def _row(name: str, interval: Interval) -> MetricRow:
    wished: Better = WISHED.get(name, "higher")
    value, low, high = (_defined(each) for each in interval)
    return MetricRow(name, value, low, high, wished)


def _difference(metric: str, first: str, second: str, interval: Interval) -> Difference:
    return Difference(metric, first, second, *(_defined(each) for each in interval))


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
