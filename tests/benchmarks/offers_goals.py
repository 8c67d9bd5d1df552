"""What is asked of the offers model, held against the cases that were measured: rows of docs/figures/offers.json."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from recsys.evaluation.offers_baselines import OWN_FREQUENCY, POPULARITY, TIFU_KNN, UP_CF
from recsys.evaluation.results import MetricTable
from tests.benchmarks.measure import figure
from tests.benchmarks.offers_cases import MODEL, OfferCase, gap, read_cases
from tests.benchmarks.offers_data import questions_of
from tests.benchmarks.offers_purchases import LAST, OWN, YESTERDAY

Figure = dict[str, Any]

NEXT_BASKET = {
    ("mixed", "recall@10"): 0.200,
    ("mixed", "ndcg@10"): 0.178,
    ("mixed", "PHR@10"): 0.525,
    ("new", "recall@10"): 0.118,
    ("new", "ndcg@10"): 0.100,
}
LAST_BASKET = {
    ("mixed", "recall@10"): 0.190,
    ("mixed", "ndcg@10"): 0.190,
    ("mixed", "PHR@10"): 0.61,
    ("new", "recall@10"): 0.033,
}
FIELD = (POPULARITY, OWN_FREQUENCY, TIFU_KNN, UP_CF)
"""Baselines that products are held against at a cut in time."""

MORE = {"mixed": 1.25, "new": 1.5}
"""Times the recall of the best of them."""

NOT_WORSE = -0.003
"""Recall a cold segment may lose to popularity at worst."""

LEAST_SEGMENT = 200
"""Customers of a segment below which its interval says nothing."""

SUM_EACH, SUM_MEAN, DECILE, LEAST_BOUGHT = 0.10, 0.05, 0.10, 100
"""Bounds of calibration; deciles with fewer purchases say nothing and are left out."""


def all_goals(command: str) -> list[Figure]:
    """Every figure that something is asked of, validation first."""
    found: list[Figure] = []
    for split in ("validation", "test"):
        for protocol, of in (("next_basket", NEXT_BASKET), ("last_basket", LAST_BASKET)):
            for case in read_cases(protocol, split):
                found += list(reached(case, of, command))
        windows = read_cases("window", split)
        for case in windows:
            found += [*ahead(case, command), *cold(case, command), *calibrated(case, command)]
        found += list(calibrated_in_mean(windows, command))
        for case in read_cases("next_purchase", split):
            found += list(next_purchase(case, command))
    for case in read_cases("training", "validation"):
        found += list(training(case, command))
    return found


def reached(case: OfferCase, bounds: dict[tuple[str, str], float], command: str) -> Iterator[Figure]:
    """Published goals of a next-basket protocol."""
    for (part, metric), bound in bounds.items():
        contender = case.table(part).contender(MODEL)
        value = contender.value(metric) if contender else None
        if value is not None:
            name = f"{label(case)}: {'novel ' * (part == 'new')}{metric}"
            yield figure(name, value, "", told(command, case), at_least=bound, split=case.split)


def ahead(case: OfferCase, command: str) -> Iterator[Figure]:
    """Products: so much more than the best of the field. Broader items: ahead of each, with the whole interval."""
    if case.level == "product":
        for part, factor in MORE.items():
            table = case.table(part)
            best = max(value_of(table, name) for name in FIELD)
            ratio = value_of(table, MODEL) / best if best else float("nan")
            name = f"{label(case)}: {part}, recall@10 over the best of the field"
            yield figure(name, ratio, "", told(command, case), at_least=factor, split=case.split)
        return
    for part in ("repeat", "new"):
        bounds = [
            each.low for each in case.table(part).differences if each.metric == "recall@10" and each.low is not None
        ]
        if bounds:
            name = f"{label(case)}: {part}, recall@10 − each baseline, smallest lower bound"
            yield figure(name, min(bounds), "", told(command, case), at_least=0.0, split=case.split)


def cold(case: OfferCase, command: str) -> Iterator[Figure]:
    """Segments with little evidence: not worse than popularity."""
    for table in case.tables:
        if table.part in ("mixed", "repeat", "new") or table.customers < LEAST_SEGMENT:
            continue
        found = gap(table, "recall@10", POPULARITY)
        if found is not None and found.low is not None:
            name = f"{label(case)}: {table.part}, recall@10 − popularity, lower bound"
            yield figure(name, found.low, "", told(command, case), at_least=NOT_WORSE, split=case.split)


def calibrated(case: OfferCase, command: str) -> Iterator[Figure]:
    """Sum of probabilities over purchases, and the largest relative error of a decile."""
    ratio = case.facts.get("sum of probabilities / purchases")
    if ratio is None:
        return
    name = f"{label(case)}: sum of probabilities / purchases, distance from 1"
    yield figure(name, abs(ratio - 1), "", told(command, case), at_most=SUM_EACH, split=case.split)
    errors = [
        abs(float(row["relative error"] or 0))
        for row in case.lists.get("deciles", [])
        if float(row["bought"] or 0) >= LEAST_BOUGHT
    ]
    if errors:
        name = f"{label(case)}: largest relative error of a decile with {LEAST_BOUGHT} purchases"
        yield figure(name, max(errors), "", told(command, case), at_most=DECILE, split=case.split)


def calibrated_in_mean(cases: list[OfferCase], command: str) -> Iterator[Figure]:
    """Sums of probabilities over purchases, mean over the cuts of a data set."""
    for key in dict.fromkeys((case.data, case.level) for case in cases):
        mine = [case for case in cases if (case.data, case.level) == key]
        ratios = [ratio for each in mine if (ratio := each.facts.get("sum of probabilities / purchases")) is not None]
        if len(ratios) > 1:
            name = f"{key[0]}, {key[1]}: sum of probabilities / purchases, mean of {len(ratios)} cuts, distance from 1"
            value = abs(float(np.mean(ratios)) - 1)
            yield figure(name, value, "", told(command, mine[0]), at_most=SUM_MEAN, split=mine[0].split)


def next_purchase(case: OfferCase, command: str) -> Iterator[Figure]:
    """The first item against the simple rules; folding in against yesterday's answer."""
    for part, baseline in (("all steps", LAST), ("all steps", OWN), ("steps with purchases folded in", YESTERDAY)):
        found = gap(case.table(part), "hit rate@1", baseline)
        if found is not None and found.low is not None:
            name = f"{label(case)}: {part}, first item right − {baseline}, lower bound"
            yield figure(name, found.low, "", told(command, case), at_least=0.0, split=case.split)


def training(case: OfferCase, command: str) -> Iterator[Figure]:
    """Seconds against what the question allows, and memory."""
    allowed = next((each.train_seconds for each in questions_of(case.data) if each.item_level == case.level), 0)
    cost, command = case.costs[MODEL], f"{command} ONLY='--only training'"
    seconds, peak = float(cost["CPU s to train"] or 0), float(cost["peak MB"] or 0)
    bound = {"at_most": float(allowed)} if allowed else {}
    yield figure(f"{label(case)}: training with both judgements", seconds, "CPU s", command, **bound)  # type: ignore[arg-type]
    yield figure(f"{label(case)}: peak memory of training", peak, "MB", command, at_most=4096)


def value_of(table: MetricTable, name: str) -> float:
    """Recall at 10 of a contender, 0 where it has none."""
    contender = table.contender(name)
    return (contender.value("recall@10") or 0.0) if contender else 0.0


def label(case: OfferCase) -> str:
    """How the goals call a case."""
    return f"{case.protocol.replace('_', ' ')}, {case.name}"


def told(command: str, case: OfferCase) -> str:
    """The command that measured it."""
    return f"{command}{' FINAL=--final' if case.split == 'test' else ''} ONLY='--only {case.protocol}'"
