"""Rows and differences of the back-test's tables."""

import numpy as np
import pytest

from recsys.evaluation import metrics
from recsys.evaluation.metrics import Forecast
from recsys.evaluation.ranking import truth_of


def values(rows) -> dict:
    return {row.name: row.value for row in rows}


def test_ranking_rows_are_means_over_customers_with_truth() -> None:
    """Two of three customers have a true item, one of them is hit: hit rate 0.5."""
    lists = np.array([[1, 2], [3, 4], [5, 6]], np.int32)
    vectors = metrics.ranking_vectors(lists, truth_of([{1}, {9}, set()]), (2,))
    assert values(metrics.vector_rows(vectors)) == {"recall@2": 0.5, "ndcg@2": 0.5, "hit rate@2": 0.5}


def test_differences_name_both_contenders() -> None:
    """A model that hits where the baseline misses is ahead by 1."""
    firsts, seconds = {"recall@10": np.ones(9)}, {"recall@10": np.zeros(9)}
    found = metrics.vector_differences("model", firsts, "popularity", seconds)[0]
    assert (found.first, found.second, found.value, found.is_above_zero) == ("model", "popularity", 1.0, True)


def test_probability_rows_are_complete() -> None:
    """Every figure of a churn table is there, in one fixed order."""
    p = np.random.default_rng(0).random(200)
    rows = metrics.probability_rows(np.random.default_rng(1).random(200) < p, p)
    assert [row.name for row in rows] == [
        *("auc", "gini", "log loss", "brier", "ece"),
        *("calibration slope", "calibration intercept", "top-decile lift"),
    ]


def test_undefined_figures_are_none() -> None:
    """With one class only, AUC and lift are None, and the losses still stand."""
    found = values(metrics.probability_rows(np.zeros(20), np.linspace(0.1, 0.9, 20)))
    assert (found["auc"], found["top-decile lift"], found["brier"] is None) == (None, None, False)


def test_money_rows_cover_intervals() -> None:
    """An interval that always holds has coverage 1 and its width as score."""
    y = np.arange(30.0)
    found = values(metrics.money_rows(y, Forecast(y, y - 1, y + 1)))
    assert (found["interval coverage"], found["interval score"], found["mae"]) == (1.0, 2.0, 0.0)


def test_money_without_interval_has_no_coverage() -> None:
    """A contender without an interval has no coverage row."""
    assert "interval coverage" not in values(metrics.money_rows(np.arange(9.0), Forecast(np.ones(9))))


@pytest.mark.parametrize(
    ("metric", "sign"), [("mae", -1), ("deviance", -1), ("rmse", -1), ("spearman", 1), ("normalised gini", 1)]
)
def test_better_forecast_wins(metric: str, sign: int) -> None:
    """Against a noisy forecast the true one is ahead in every paired difference, with its whole interval."""
    rng = np.random.default_rng(3)
    y = rng.gamma(1.0, 10.0, 300)
    found = {d.metric: d for d in metrics.money_differences(y, "true", y, "noisy", rng.permutation(y))}[metric]
    assert (found.is_above_zero, found.is_below_zero) == (sign > 0, sign < 0)
