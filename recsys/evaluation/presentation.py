"""How figures read: digits, intervals, who is best, what a difference means. Shared by terminal and report."""

from recsys.evaluation.metrics import WISHED
from recsys.evaluation.results import Better, Contender, Difference, MetricTable

MISSING = "–"

PARTS = {
    "new": "Items the customer never bought",
    "repeat": "Items the customer bought before",
    "mixed": "All items",
    "orders": "Orders within the horizon",
    "spend": "Spend within the horizon",
    "all": "All customers",
}
"""Titles of the parts of a model's question."""

MODELS = {"offers": "Offers", "churn": "Churn", "value": "Lifetime value"}
"""Titles of the models."""

_IDEAL: dict[Better, float] = {"zero": 0.0, "one": 1.0, "level": 0.8}


def number(value: float | None) -> str:
    """A figure with about four significant digits, or a dash."""
    if value is None:
        return MISSING
    size = abs(value)
    digits = 4 if size < 1 else 3 if size < 10 else 2 if size < 100 else 1 if size < 1_000 else 0
    return f"{value:,.{digits}f}".replace("-", "\u2212")


def interval(low: float | None, high: float | None) -> str:
    """`low … high`, or nothing where there is no interval."""
    return "" if low is None or high is None else f"{number(low)} … {number(high)}"


def metric_names(table: MetricTable) -> list[str]:
    """Names of all metrics of a table in order of first appearance."""
    return list(dict.fromkeys(row.name for contender in table.contenders for row in contender.rows))


def best(table: MetricTable, metric: str) -> frozenset[str]:
    """Names of the contenders nobody beats in `metric`; empty where fewer than two were measured."""
    losses = {each.name: loss for each in table.contenders if (loss := _loss(each, metric)) is not None}
    return frozenset(name for name, loss in losses.items() if loss == min(losses.values()) and len(losses) > 1)


def _loss(contender: Contender, metric: str) -> float | None:
    """How far from what is wished for, lower is better."""
    row = next((each for each in contender.rows if each.name == metric), None)
    if row is None or row.value is None:
        return None
    if row.better in _IDEAL:
        return abs(row.value - _IDEAL[row.better])
    return row.value if row.better == "lower" else -row.value


def reading(difference: Difference) -> str:
    """What a paired difference says of its first contender: `ahead`, `behind` or `no clear difference`."""
    lower_wins = WISHED.get(difference.metric) == "lower"
    if difference.is_above_zero:
        return "behind" if lower_wins else "ahead"
    if difference.is_below_zero:
        return "ahead" if lower_wins else "behind"
    return "no clear difference"
