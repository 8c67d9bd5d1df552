"""Offers as served against baselines over the full catalogue: recall, NDCG and hit rate at 10 for each mode."""

from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from recsys.decisioning.candidates import MIXED, NEW, REPEAT
from recsys.evaluation import metrics
from recsys.evaluation.offers_baselines import BASELINES, Known, known_of, recommend_modes
from recsys.evaluation.pictures import reliability_plot
from recsys.evaluation.ranking import Truth, truth_of_pairs
from recsys.evaluation.results import Contender, MetricTable, ModelResult, Plot
from training.fits import MODEL, ModelFit
from training.judge import fit_facts_of
from training.pairs import Bought, Indices, Scored, chosen_customers, scored
from training.served import offers_model
from training.tables import Past, Pasts
from training.verdicts import offers_verdict

TOP = 10
MODES: dict[Literal["mixed", "repeat", "new"], int] = {"mixed": MIXED, "repeat": REPEAT, "new": NEW}
NDCG = f"{metrics.NDCG}@{TOP}"

Items = npt.NDArray[np.int32]
Vectors = Mapping[str, npt.NDArray[np.float64]]


def judge_offers(pasts: Pasts, fit: ModelFit, horizon_days: int, known_until: int, *, seed: int) -> ModelResult:
    """The model of `fit` and all baselines against what was bought in the `horizon_days` after the fit's cut.

    Customers who buy nothing are left out of the ranking metrics, not of the calibration plot. The model was fitted for
    its own horizon; the order of its offers is judged on the one asked for.
    """
    past = pasts.at(fit.plan.cut)
    truth = pasts.truth(past.as_of, horizon_days, known_until=known_until)
    customers = chosen_customers(past, truth.sizes > 0, seed)
    known = known_of(past.snapshot, pool=customers)
    vectors = _baseline_vectors(known, truth, customers) | _model_vectors(fit, past, known, truth, customers)
    tables = tuple(_table(mode, {name: each[mode] for name, each in vectors.items()}, seed) for mode in MODES)
    facts = {"trained for [days]": float(fit.plan.horizon_days), **fit_facts_of(fit, fit.plan.horizon_days)}
    plots = _calibration(pasts, fit, known_until, seed) if fit.plan.horizon_days == horizon_days else ()
    return ModelResult("offers", horizon_days, tables, plots, offers_verdict(tables[0], NDCG), facts=facts)


def top_items(parts: Iterable[Scored], n_customers: int, n: int = TOP) -> Items:
    """First `n` items by raw score, ties by item, of each position, (n_customers, n), padded with -1."""
    chosen = np.full((n_customers, n), -1, np.int32)
    for part in parts:
        order = np.lexsort((part.item, -part.raw, part.customer))
        customer = part.customer[order]
        first = np.searchsorted(customer, customer)
        rank = np.arange(len(customer)) - first
        kept = rank < n
        chosen[customer[kept], rank[kept]] = part.item[order][kept]
    return chosen


def truth_of_mode(truth: Truth, known: Known, customers: Indices, mode: str) -> Truth:
    """What `customers` bought of the mode: `repeat` items they had bought before, `new` ones they had not, or all."""
    owner = np.repeat(np.arange(len(truth.start) - 1), truth.sizes)
    inside = truth.item < known.bought.shape[1]
    before = np.zeros(len(truth.item), np.bool_)
    before[inside] = np.asarray(known.bought[owner[inside], truth.item[inside]]).ravel() > 0
    wanted = {"repeat": before, "new": ~before}.get(mode, np.ones(len(before), np.bool_))
    position = np.full(len(truth.start) - 1, -1, np.int64)
    position[customers] = np.arange(len(customers))
    kept = wanted & (position[owner] >= 0)
    return truth_of_pairs(position[owner[kept]], truth.item[kept], len(customers))


def _baseline_vectors(known: Known, truth: Truth, customers: Indices) -> dict[str, dict[str, Vectors]]:
    vectors: dict[str, dict[str, Vectors]] = {}
    for name, baseline in BASELINES.items():
        lists = recommend_modes(known, baseline(known), TOP, tuple(MODES), customers)
        vectors[name] = {
            mode: metrics.ranking_vectors(lists[mode], truth_of_mode(truth, known, customers, mode)) for mode in MODES
        }
    return vectors


def _model_vectors(
    fit: ModelFit, past: Past, known: Known, truth: Truth, customers: Indices
) -> dict[str, dict[str, Vectors]]:
    contender = fit.contender(MODEL)
    if contender is None:
        return {}
    ranker = offers_model(contender.content).ranker
    vectors: dict[str, Vectors] = {}
    for mode, code in MODES.items():
        chosen = top_items(scored(ranker, past, customers, code), len(customers))
        vectors[mode] = metrics.ranking_vectors(chosen, truth_of_mode(truth, known, customers, mode))
    return {MODEL: vectors}


def _table(part: str, vectors: Mapping[str, Vectors], seed: int) -> MetricTable:
    """One mode; the model first."""
    names = sorted(vectors, key=lambda name: name != MODEL)
    contenders = tuple(
        Contender(name, "model" if name == MODEL else "baseline", metrics.vector_rows(vectors[name], seed))
        for name in names
    )
    pairs = [(MODEL, name) for name in names if name != MODEL and MODEL in vectors]
    differences = (metrics.vector_differences(one, vectors[one], two, vectors[two], seed) for one, two in pairs)
    judged = int((~np.isnan(next(iter(vectors.values()))[NDCG])).sum())
    return MetricTable(part, judged, contenders, tuple(each for group in differences for each in group))


def _calibration(pasts: Pasts, fit: ModelFit, known_until: int, seed: int) -> tuple[Plot, ...]:
    """Predicted probability of purchase against what happened, over all candidates of everyone."""
    contender = fit.contender(MODEL)
    if contender is None:
        return ()
    model, past = offers_model(contender.content), pasts.at(fit.plan.cut)
    labels = pasts.outcomes(past.as_of, fit.plan.horizon_days, known_until=known_until)
    customers = chosen_customers(past, np.ones(len(labels.orders), np.bool_), seed)
    bought = Bought.of(labels, customers, past.snapshot.catalogue.n_items)
    parts = [
        (model.probability(each.raw, ~each.known), bought.among(each.customer, each.item))
        for each in scored(model.ranker, past, customers)
    ]
    probability, hit = (np.concatenate(each) for each in zip(*parts, strict=True))
    return (reliability_plot(hit.astype(np.float64), {MODEL: probability}, "Reliability over all candidates"),)
