"""A back-test on simulated customers whose truth is known, for the tests of terminal and report."""

import numpy as np

from recsys.evaluation import metrics, pictures
from recsys.evaluation.ranking import truth_of
from recsys.evaluation.results import BacktestResult, Contender, MetricTable, ModelResult, Verdict


def churn() -> ModelResult:
    rng = np.random.default_rng(1)
    p = rng.beta(1, 3, 400)
    y = (rng.random(400) < p).astype(float)
    rule = np.clip(p + rng.normal(0, 0.3, 400), 0.01, 0.99)
    table = MetricTable(
        "all",
        400,
        (
            Contender("LightGBM", "model", metrics.probability_rows(y, p)),
            Contender("recency <rule>", "baseline", metrics.score_rows(y, rule)),
        ),
        metrics.probability_differences(y, "LightGBM", p, "recency <rule>", rule),
    )
    both = {"LightGBM": p, "recency <rule>": rule}
    plots = (pictures.reliability_plot(y, both), pictures.gain_plot(y, both), pictures.lift_plot(y, both))
    return ModelResult("churn", 28, (table,), plots, Verdict("LightGBM", True, "Ahead in AUC."), "", {"trees": 200.0})


def offers() -> ModelResult:
    rng = np.random.default_rng(2)
    truth = truth_of([set(rng.integers(0, 20, 3).tolist()) for _ in range(80)])
    lists = {name: rng.integers(0, 20, (80, 10)).astype(np.int32) for name in ("ranker", "popularity")}
    vectors = {name: metrics.ranking_vectors(each, truth) for name, each in lists.items()}
    contenders = (
        Contender("ranker", "model", metrics.vector_rows(vectors["ranker"])),
        Contender("popularity", "baseline", metrics.vector_rows(vectors["popularity"])),
    )
    ahead = metrics.vector_differences("ranker", vectors["ranker"], "popularity", vectors["popularity"])
    verdict = Verdict("popularity", False, "The ranker is not ahead of popularity.")
    return ModelResult("offers", 28, (MetricTable("new", 80, contenders, ahead),), (), verdict)


def backtest() -> BacktestResult:
    spend = np.random.default_rng(3).gamma(1.0, 20.0, 100)
    value = ModelResult(
        "value",
        28,
        (
            MetricTable(
                "spend", 100, (Contender("BG/NBD", "model", metrics.money_rows(spend, metrics.Forecast(spend))),)
            ),
        ),
        (pictures.decile_plot(spend, spend, unit="[EUR]"),),
    )
    skipped = ModelResult("offers", 0, skipped="The data name no products.")
    return BacktestResult(
        1_500_000_000,
        "Europe/Paris",
        "abc123",
        "café",
        "EUR",
        (offers(), churn(), value, skipped),
        {"orders": 1234},
        ("Small.",),
    )
