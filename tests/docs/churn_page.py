"""Tables of docs/churn.md and docs/quality-timing.md, from what the benchmarks keep in docs/figures/scores."""

import json
from typing import Any

from tests.benchmarks.bench_churn import FILE as CALIBRATION
from tests.benchmarks.bench_timing import FILE as TIMING
from tests.benchmarks.figures import FIGURES, read_figures

Row = dict[str, Any]


def calibration_section(split: str) -> str:
    """Ways of calibrating churn: a way a row, means over all cuts of a split.

    The last column of figures tells at how many cuts the calibration error lies within what a perfect model shows.
    """
    rows = [row for row in _read(CALIBRATION) if row["split"] == split]
    if not rows:
        return "Not measured."
    lines = ["| way | log loss | AUC | ECE | of the cuts within chance |", "|---|---|---|---|---|"]
    for way in dict.fromkeys(row["way"] for row in rows):
        mine = [row for row in rows if row["way"] == way]
        held = sum(row["ece"] <= row["null"] for row in mine)
        means = (sum(row[name] for row in mine) / len(mine) for name in ("log loss", "auc", "ece"))
        lines.append(f"| {way} | " + " | ".join(f"{mean:.4f}" for mean in means) + f" | {held} of {len(mine)} |")
    return "\n".join([*lines, "", *_by_cut(rows)])


def _by_cut(rows: list[Row]) -> list[str]:
    """The default at each cut, and what is left of its error once the true level is known."""
    default, level = (next(row["way"] for row in rows if mark in row["way"]) for mark in ("(default)", "true level"))
    found = {(row["way"], row["data"], row["cut"]): row for row in rows}
    lines = [
        "| data, cut | share that left | predicted | ECE | of a perfect model, 95% | ECE, true level known |",
        "|---|---|---|---|---|---|",
    ]
    for (way, data, cut), row in found.items():
        if way == default:
            figures = (row["happened"], row["predicted"], row["ece"], row["null"], found[level, data, cut]["ece"])
            lines.append(f"| {data}, {cut} | " + " | ".join(f"{value:.4f}" for value in figures) + " |")
    return lines


def horizon_section() -> str:
    """A group of customers a row: its own horizon, what was told of the one horizon and what happened."""
    path = FIGURES / "horizon.json"
    found: dict[str, dict[str, float]] = {}
    for each in read_figures(path) if path.exists() else []:
        head, _, what = each["name"].partition(": ")
        found.setdefault(head, {})[what] = each["value"]
    columns = ("own horizon by the base's rule", "left, actual", "left, told at the base's level", "AUC within")
    lines = ["| customers | " + " | ".join(columns) + " |", "|---|---|---|---|---|"]
    for head, values in found.items():
        told = (values.get(column) for column in columns)
        lines.append(f"| {head} | " + " | ".join("" if each is None else f"{each:.3g}" for each in told) + " |")
    return "\n".join(lines)


def timing_section(split: str) -> str:
    """The forecast beside both rules, a row a data set, cut and kind."""
    rows = [row for row in _read(TIMING) if row["split"] == split]
    if not rows:
        return "Not measured."
    lines = [
        "| data, cut + days | what | judged | not bought | error [days] | last gap | mean gap "
        "| difference to the better | coverage of 80% | too early |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        errors = (row[f"error, {name}"] for name in ("forecast", "last gap", "mean gap"))
        lines.append(
            f"| {row['data']}, {row['cut']} + {row['days']:.0f} | {row['what']} | {row['judged']:,} "
            f"| {row['not bought']:.0%} | "
            + " | ".join(f"{error:.2f}" for error in errors)
            + f" | {row['difference']:.2f} (≤ {row['difference high']:.2f}) | {row['coverage']:.3f} "
            f"| {row['too early']:.3f} |"
        )
    return "\n".join(lines)


def _read(path: Any) -> list[Row]:
    rows: list[Row] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return rows
