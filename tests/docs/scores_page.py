"""Tables of docs/quality.md, from the cases that `make bench-scores` keeps in docs/figures/scores."""

import json
from itertools import groupby

import msgspec

from recsys.evaluation import metrics
from recsys.evaluation.presentation import number
from recsys.evaluation.results import MetricTable
from recsys.models.predictive import LEVELS
from tests.benchmarks.figures import FIGURES, read_figures
from tests.benchmarks.score_cases import ACTIVE, MEDIAN_MAE, NULL_ECE, PIT, Case

CHURN = (
    metrics.AUC,
    metrics.LOG_LOSS,
    metrics.BRIER,
    metrics.ECE,
    NULL_ECE,
    metrics.SLOPE,
    metrics.INTERCEPT,
    metrics.LIFT,
)
VALUE = (
    metrics.MAE,
    MEDIAN_MAE,
    metrics.DEVIANCE,
    metrics.RMSE,
    metrics.SUM_RATIO,
    metrics.NORMALISED_GINI,
    ACTIVE,
    metrics.DECILE_ERROR,
)


BANDS = (*(f"{what} {level:.0%}" for level in LEVELS for what in ("coverage", "score")), PIT)


def cases(split: str, model: str) -> list[Case]:
    """All cases of a model in one split, by data set and cut."""
    paths = sorted((FIGURES / "scores").glob(f"*.{split}.json"))
    found = [case for path in paths for case in msgspec.json.decode(path.read_bytes(), type=list[Case])]
    return [case for case in found if case.model == model]


def scores_section(split: str, model: str) -> str:
    """Contenders beside each other, one table a cut and part."""
    parts = [
        f"**{case.name}, {table.part}** ({table.customers:,} customers; trained for {case.trained_days} days)\n\n"
        + contenders(table, CHURN if model == "churn" else BANDS if "interval" in table.part else VALUE)
        for case in cases(split, model)
        for table in case.tables
    ]
    return "\n\n".join(parts) or "Not measured."


def contenders(table: MetricTable, shown: tuple[str, ...]) -> str:
    """Markdown table: a contender a row, a metric a column."""
    rows = ["| | " + " | ".join(shown) + " |", "|---|" + "---|" * len(shown)]
    for each in table.contenders:
        values = (number(each.value(metric)) if each.value(metric) is not None else "" for metric in shown)
        rows.append(f"| {each.name} | " + " | ".join(values) + " |")
    return "\n".join(rows)


def goals_section(split: str) -> str:
    """How many of the goals hold, by data set and goal, and which do not."""
    path = FIGURES / "scores.json"
    figures = [each for each in (read_figures(path) if path.exists() else []) if each["split"] == split]
    if not figures:
        return "Not measured."
    held = sum(bool(each["holds"]) for each in figures)
    rows = [
        f"{held} of {len(figures)} goals hold. Those that do not:",
        "",
        "| goal | measured | asked |",
        "|---|---|---|",
    ]
    rows += [f"| {each['name']} | {each['value']:.3g} | {each['asked']} |" for each in figures if not each["holds"]]
    return "\n".join(rows)


TOPICS = {
    "forecast": ("deviance", "Pareto/NBD"),
    "interval": ("score 80%", "Pareto/NBD's own"),
    "total": ("sum ratio", ""),
}
"""What an ablation shows of a topic, and the variant it is divided by."""


def ablation_section(topic: str) -> str:
    """Every way that was tried at each cut: one figure, over that of the classic where there is one."""
    path = FIGURES / "scores" / "ablation.json"
    if not path.exists():
        return "Not measured."
    metric, unit = TOPICS[topic]
    rows = [row for row in json.loads(path.read_text(encoding="utf-8")) if row["topic"] == topic]
    cuts = list(dict.fromkeys((row["data"], row["cut"]) for row in rows))
    values = {(row["variant"], row["data"], row["cut"]): row[metric] for row in rows}
    heads = [f"{data} {place}" for data, group in groupby(cuts, lambda cut: cut[0]) for place, _ in enumerate(group, 1)]
    table = ["| | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for variant in dict.fromkeys(row["variant"] for row in rows):
        ratios = [values[variant, *cut] / (values[unit, *cut] if unit else 1.0) for cut in cuts]
        table.append(f"| {variant} | " + " | ".join(f"{ratio:.3f}" for ratio in ratios) + " |")
    return "\n".join(table)
