"""Figure files: what a benchmark measured, as data in docs/figures, and the tables rendered from them."""

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).parents[2] / "docs" / "figures"

KEYS = ("name", "value", "unit", "asked", "holds", "command", "date", "versions", "split")
"""What each figure says. asked: the bound it is held against, in words, or null; holds: whether it keeps it, or null;
split: the part of the data it was read on (`validation`, `test`) or null where no data were split."""


def write_figures(name: str, figures: Iterable[dict[str, Any]], directory: Path = FIGURES) -> Path:
    """Write docs/figures/<name>.json and return its path.

    Raises:
        ValueError: a figure lacks a key, has an unknown one or a value of the wrong kind.
    """
    listed = list(figures)
    faults = [fault for figure in listed for fault in faults_of(figure)]
    if faults:
        raise ValueError(f"{name}: {faults}")
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.json"
    path.write_text(json.dumps(listed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def read_figures(path: Path) -> list[dict[str, Any]]:
    """Figures of a file."""
    figures: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return figures


def log_look(methods: Sequence[str], rows: Mapping[str, str]) -> None:
    """Add to the log of looks at test targets: when, at which commit, by which methods, what was read."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    look = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit, "methods": list(methods)}
    with (FIGURES / "looks.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(look | {"rows": dict(rows)}, ensure_ascii=False) + "\n")


def faults_of(figure: dict[str, Any]) -> list[str]:
    """What is wrong with a figure, in words; nothing if it is well formed."""
    faults = [f"no {key}" for key in KEYS if key not in figure] + [
        f"unknown {key}" for key in figure if key not in KEYS
    ]
    if faults:
        return faults
    kinds: dict[str, tuple[type, ...]] = {
        "name": (str,),
        "value": (int, float, str),
        "unit": (str,),
        "asked": (str, type(None)),
        "holds": (bool, type(None)),
        "command": (str,),
        "date": (str,),
        "versions": (dict,),
        "split": (str, type(None)),
    }
    wrong = [f"{key} is {figure[key]!r}" for key, kind in kinds.items() if not isinstance(figure[key], kind)]
    if (figure["asked"] is None) != (figure["holds"] is None):
        wrong.append("asked and holds go together")
    return wrong


def table(figures: Iterable[dict[str, Any]]) -> str:
    """Markdown table of figures."""
    rows = ["| figure | measured | asked | holds | data | date |", "|---|---|---|---|---|---|"]
    for figure in figures:
        holds = {True: "yes", False: "**no**", None: ""}[figure["holds"]]
        measured = f"{_number(figure['value'])} {figure['unit']}".strip()
        cells = (figure["name"], measured, figure["asked"] or "", holds, figure["split"] or "", figure["date"])
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _number(value: float | str) -> str:
    """Three significant digits, thousands apart; texts as they are."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
