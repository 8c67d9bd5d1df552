"""How figures read, and what the terminal prints."""

import pytest
from rich.console import Console

from recsys.evaluation.presentation import best, interval, number, reading
from recsys.evaluation.results import Contender, Difference, MetricRow, MetricTable
from recsys.evaluation.terminal import print_result
from tests.evaluation.examples import backtest


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.12345, "0.1235"), (1.2345, "1.234"), (-12.345, "\u221212.35"), (1234.5, "1,234"), (None, "–")],
)
def test_numbers(value: float | None, expected: str) -> None:
    """About four significant digits, a true minus, thousands apart, a dash for what is undefined."""
    assert number(value) == expected


def test_no_interval_is_empty() -> None:
    """Without bounds nothing is shown."""
    assert interval(None, 1.0) == ""


@pytest.mark.parametrize(
    ("better", "values", "winner"),
    [
        ("higher", (1, 2), "b"),
        ("lower", (1, 2), "a"),
        ("zero", (-1, 2), "a"),
        ("one", (3, 1.5), "b"),
        ("level", (0.9, 0.6), "a"),
        ("higher", (1, 1), "ab"),
    ],
)
def test_best(better, values, winner: str) -> None:
    """Who is best depends on what is wished for; ties share."""
    contenders = [Contender(n, "model", (MetricRow("m", v, better=better),)) for n, v in zip("ab", values, strict=True)]
    assert best(MetricTable("all", 9, tuple(contenders)), "m") == set(winner)


@pytest.mark.parametrize(
    ("metric", "low", "high", "expected"),
    [
        ("auc", 0.1, 0.2, "ahead"),
        ("log loss", 0.1, 0.2, "behind"),
        ("mae", -2, -1, "ahead"),
        ("auc", -1, 1, "no clear difference"),
    ],
)
def test_reading(metric: str, low: float, high: float, expected: str) -> None:
    """An interval above zero is good news for AUC and bad news for a loss; one over zero says nothing."""
    assert reading(Difference(metric, "model", "rule", (low + high) / 2, low, high)) == expected


@pytest.mark.parametrize(
    "words", ["snapshot abc123", "recall@10", "Ahead in AUC.", "The data name no products.", "0.8"]
)
def test_terminal_shows(words: str) -> None:
    """Tables, verdicts and what was skipped are printed."""
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    print_result(backtest(), console)
    assert words in console.export_text()
