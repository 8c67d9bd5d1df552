"""Reasons of churn beside the truth: simulated offices that leave for a known cause which shows before they go."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from recsys.decisioning import churn_reasons
from tests.benchmarks.measure import figure
from tests.decisioning.leaving import TRUE, Leaver, leavers

COMMAND = "make bench BENCH=churn_reasons"
SEEDS = (2, 3)
CUSTOMERS = 900
MAJORITY = 0.6


def run(_workspace: Path) -> list[dict[str, Any]]:
    """Figures over bases drawn anew; nothing was chosen by looking at them."""
    told = _told()
    with patch.object(churn_reasons, "SYMPTOMS", ()):
        plain = _told()
    figures = [_share(f"first reason is the true cause, {len(told)} leaving offices", told, at_least=MAJORITY)]
    for cause in TRUE:
        mine = [each for each in told if each.cause == cause]
        figures.append(_share(f"first reason is the true cause, {cause}, {len(mine)} offices", mine, at_least=0.5))
    figures.append(_share("the same with every contribution told where it stands, symptoms too", plain))
    silent = [each for each in told if each.cause == "slower rhythm"]
    share = sum(each.first == "silence" for each in silent) / len(silent)
    figures.append(figure("slower rhythm told as a long silence", share, "of the offices", COMMAND))
    return figures


def _told() -> list[Leaver]:
    return [each for seed in SEEDS for each in leavers(seed, CUSTOMERS)]


def _share(name: str, told: Sequence[Leaver], at_least: float | None = None) -> dict[str, Any]:
    value = sum(each.right for each in told) / len(told)
    return figure(name, value, "of the offices", COMMAND, at_least=at_least)
