"""Reasons of offers on a trained workspace: how many hold when their evidence is really removed, and what they cost."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from recsys.decisioning import OfferRequest, Serving, recommend
from recsys.decisioning.counterfactual import Trials
from recsys.decisioning.offer_reasons import OFFER_CODES
from recsys.settings import load_settings
from recsys.workspace import Workspace
from tests.benchmarks.measure import figure, milliseconds
from tests.decisioning.removing import Removed, removals

COMMAND = "make bench BENCH=reasons"
MODES = ("new", "repeat", "mixed")
CUSTOMERS = 120
OFFERS = 5
ASKED = 0.9


def run(workspace: Path) -> list[dict[str, Any]]:
    """Figures of the reasons on the workspace's snapshot and champion of offers."""
    serving = Workspace.open(load_settings(workspace=workspace, clock="snapshot")).load_serving()
    customers = [serving.snapshot.customers[int(i)] for i in _sample(serving)]
    told = _removed(serving, customers)
    with patch.object(Trials, "falls", lambda _self, wanted: [1.0] * len(wanted)):
        untested = _removed(serving, customers)
    return [
        *_shares("reasons whose removal lowers the item", told),
        *_spread("the same, all items compared, evidence too", told, lambda each: each.strictly),
        *_spread("without the test before telling", untested, lambda each: each.falls),
        *_cost(serving, customers),
    ]


def _sample(serving: Serving) -> Any:
    return np.random.default_rng(3).choice(len(serving.snapshot.customers), CUSTOMERS, replace=False)


def _removed(serving: Serving, customers: list[str]) -> list[Removed]:
    return [each for mode in MODES for customer in customers for each in removals(serving, customer, mode, OFFERS)]


def _shares(name: str, removed: list[Removed]) -> list[dict[str, Any]]:
    """The share of all reasons, of each mode and of each code, with how many were tried."""
    figures = [_share(f"{name}, {len(removed)} tried", removed, asked=True)]
    by_mode = {mode: [each for each in removed if each.mode == mode] for mode in MODES}
    figures += [_share(f"{name}, mode {mode}", each, asked=True) for mode, each in by_mode.items()]
    counts = Counter(each.code for each in removed)
    for code in OFFER_CODES:
        if counts[code]:
            of_code = [each for each in removed if each.code == code]
            figures.append(_share(f"{name}, `{code}`, {counts[code]} tried", of_code, asked=True))
    return figures


def _share(name: str, removed: list[Removed], *, asked: bool) -> dict[str, Any]:
    value = float(np.mean([each.falls for each in removed]))
    return figure(name, value, "of the reasons", COMMAND, at_least=ASKED if asked else None)


def _spread(name: str, removed: list[Removed], holds: Callable[[Removed], bool]) -> list[dict[str, Any]]:
    value = float(np.mean([holds(each) for each in removed]))
    return [figure(f"{name}, {len(removed)} tried", value, "of the reasons", COMMAND)]


def _cost(serving: Serving, customers: list[str]) -> list[dict[str, Any]]:
    """How many offers have a reason, and what asking for reasons adds."""
    as_of, figures = serving.snapshot.as_of, []
    for mode in MODES:
        answers = [recommend(serving, OfferRequest(who, 10, mode, reasons=True), (), as_of) for who in customers]
        counts = [len(offer.reasons) for answer in answers for offer in answer.offers]
        share = float(np.mean(np.array(counts) > 0))
        figures.append(figure(f"offers with at least one reason, mode {mode}", share, "of the offers", COMMAND))
    for reasons in (False, True):
        ids = iter(customers * 4)
        asked = milliseconds(lambda: recommend(serving, OfferRequest(next(ids), 10, reasons=reasons), (), as_of), 400)  # noqa: B023
        name = f"ten offers {'with' if reasons else 'without'} reasons, p50"
        bound = 5.0 if reasons else None
        figures.append(figure(name, float(np.median(asked)), "ms", COMMAND, at_most=bound))
    return figures
