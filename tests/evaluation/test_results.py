"""A back-test's result survives JSON and flattens for an experiment tracker."""

import math

import pytest

from recsys.errors import ReportError
from recsys.evaluation.results import (
    BacktestResult,
    Contender,
    Curve,
    Difference,
    MetricRow,
    MetricTable,
    ModelResult,
    Plot,
    Verdict,
    flat_metrics,
)


def backtest(value: float | None = 0.31) -> BacktestResult:
    rows = (MetricRow("recall@10", value, 0.29, 0.33), MetricRow("top decile lift", 2.5))
    table = MetricTable(
        "new",
        1200,
        (Contender("model", "model", rows), Contender("popularity", "baseline", rows)),
        (Difference("recall@10", "model", "popularity", 0.02, 0.01, 0.03),),
    )
    plot = Plot("gain", "Gain", (Curve("model", (0.0, 1.0), (0.0, 1.0)),))
    offers = ModelResult("offers", 28, (table,), (plot,), Verdict("model", True, "Ahead."), facts={"trees": 300.0})
    skipped = ModelResult("churn", 0, skipped="History too short.")
    return BacktestResult(1_500_000_000, "UTC", "abc", "test", "EUR", (offers, skipped), {"customers": 3}, ("Small.",))


def test_json_round_trip() -> None:
    """A result read back from its JSON equals the one written."""
    assert BacktestResult.from_json(backtest().to_json()) == backtest()


def test_undefined_becomes_null() -> None:
    """A NaN figure is written as null, so that any JSON reader takes it."""
    assert BacktestResult.from_json(backtest(math.nan).to_json()) == backtest(None)


def test_flat_metrics_name_part_contender_and_metric() -> None:
    """Flat names use only characters an experiment tracker takes, and undefined figures are left out."""
    assert flat_metrics(backtest(None).models[0]) == {
        "new.model.top_decile_lift": 2.5,
        "new.popularity.top_decile_lift": 2.5,
    }


def test_damaged_json_is_refused() -> None:
    """Text that is no back-test raises an error of the project's own tree."""
    with pytest.raises(ReportError):
        BacktestResult.from_json('{"cut": "soon"}')


def test_lookups() -> None:
    """Model, table, contender and metric are found by name."""
    table = backtest().model("offers").table("new")  # type: ignore[union-attr]
    assert table.contender("popularity").value("recall@10") == 0.31  # type: ignore[union-attr]
