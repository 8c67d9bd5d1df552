"""What everyone buys within a horizon after a cut in time: the model as trained and served, beside all baselines."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.data.clock import to_iso
from recsys.decisioning.answers import OfferRequest
from recsys.decisioning.candidates import MIXED, NEW, REPEAT, SOURCES
from recsys.decisioning.gather import offers_table
from recsys.decisioning.recommend import recommend
from recsys.decisioning.serving import Serving
from recsys.evaluation import metrics
from recsys.evaluation.baskets_data import Scorer
from recsys.evaluation.beyond_accuracy import beyond_accuracy
from recsys.evaluation.offers_baselines import BASELINES, POPULARITY, Known, Mode, known_of, recommend_modes
from recsys.evaluation.ranking import Truth, truth_of_pairs
from recsys.features.labels import outcomes
from recsys.models.offers import OffersModel
from recsys.population.items import fit_items
from tests.benchmarks.offers_cases import MODEL, Meter, OfferCase, Vectors, metered, table_of
from training.backtesting import SEED
from training.fits import MODEL as TREES
from training.fits import ModelFit
from training.judge_offers import truth_of_mode
from training.models import MODELLING, feasible_horizon
from training.pairs import Bought, chosen_customers
from training.served import offers_model
from training.tables import Past, Pasts
from training.windows import first_order, plan_fit

TOP, CHUNK = 10, 2_000
MODES = {"mixed": MIXED, "repeat": REPEAT, "new": NEW}
FRESH_DAYS = 14
"""An item first sold so many days before the cut is a new arrival."""

Lists = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Cut:
    """One cut and who is asked there.

    customers  positions (in the past's snapshot) of those who buy something within the horizon
    truth      what everyone known at the cut buys
    """

    pasts: Pasts
    past: Past
    horizon_days: int
    known_until: int
    customers: npt.NDArray[np.int64]
    truth: Truth
    known: Known

    @classmethod
    def of(cls, pasts: Pasts, cut: int, horizon_days: int, known_until: int) -> "Cut":
        """The question at `cut` [s]."""
        past = pasts.at(cut)
        truth = pasts.truth(cut, horizon_days, known_until=known_until)
        customers = chosen_customers(past, truth.sizes > 0, SEED)
        known = known_of(past.snapshot, pool=customers)
        return cls(pasts, past, horizon_days, known_until, customers, truth, known)

    def truth_of(self, mode: str) -> Truth:
        """What the asked bought of the mode."""
        return truth_of_mode(self.truth, self.known, self.customers, mode)


@dataclass(frozen=True, eq=False)
class Ranked:
    """Candidates of the asked in one mode: position among the asked, item, source marks, probability; all (n,)."""

    customer: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    sources: npt.NDArray[np.integer[Any]]
    raw: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]


def fit_at(pasts: Pasts, cut: int, horizon_days: int) -> ModelFit:
    """The offers model as `barista backtest` fits it at a cut."""
    modelling = MODELLING["offers"]
    trained = feasible_horizon("offers", pasts, cut, horizon_days)
    plan = plan_fit(first_order(pasts.snapshot.history), cut, modelling.rules(trained))
    return modelling.fit(pasts, plan, seed=SEED, threads=pasts.threads)


def model_of(fit: ModelFit) -> OffersModel | None:
    """The trees as serving reads them back; None where the history was too short for them."""
    contender = fit.contender(TREES)
    return None if contender is None else offers_model(contender.content)


def window_case(data: str, level: str, split: str, pasts: Pasts, cut: int, horizon: int, until: int) -> OfferCase:
    """Everything that is measured at one cut."""
    asked, costs = Cut.of(pasts, cut, horizon, until), dict[str, dict[str, float | None]]()
    lists = {name: baseline_lists(asked, name, costs) for name in BASELINES}
    training, asking = Meter(), Meter()
    with metered(training):
        fit = fit_at(pasts, cut, horizon)
        model = model_of(fit)
        asked.past.population  # noqa: B018 - the night's facts are part of what a model costs
    extra: dict[str, list[dict[str, float | str | None]]] = {}
    facts = {"trained for [days]": float(fit.plan.horizon_days), "customers asked": float(len(asked.customers))}
    if model is not None:
        with metered(asking):
            ranked = {mode: rank(model, asked.past, asked.customers, code) for mode, code in MODES.items()}
        lists[MODEL] = {mode: top(each, len(asked.customers)) for mode, each in ranked.items()}
        costs[MODEL] = cost(asked, training, asking, lists[MODEL])
        extra = {"sources": source_recall(asked, ranked)}
        if split:
            found, sums = calibration(asked, model, fit.plan.horizon_days)
            extra |= {"deciles": found}
            facts |= sums
    day = to_iso(cut + 1, pasts.snapshot.facts.timezone)[:10]
    tables = (*mode_tables(asked, lists), *cold_tables(asked, lists), *stranger_tables(asked, model))
    return OfferCase("window", data, level, day, horizon, split, tables, costs, facts, extra)


def baseline_lists(asked: Cut, name: str, costs: dict[str, dict[str, float | None]]) -> dict[str, Lists]:
    """Lists of a baseline in every mode; what it cost goes to `costs`."""
    fitting, asking = Meter(), Meter()
    with metered(fitting):
        scorer = BASELINES[name](asked.known)
    with metered(asking):
        lists = {str(mode): each for mode, each in recommended(asked, scorer).items()}
    costs[name] = cost(asked, fitting, asking, lists)
    return lists


def recommended(asked: Cut, scorer: Scorer) -> dict[Mode, Lists]:
    """Ten items in every mode."""
    return recommend_modes(asked.known, scorer, TOP, customers=asked.customers)


def cost(asked: Cut, fitting: Meter, asking: Meter, lists: Mapping[str, Lists]) -> dict[str, float | None]:
    """Seconds, milliseconds and megabytes, and what the lists look like."""
    buyers = np.bincount(asked.known.bought.indices, minlength=asked.known.baskets.n_items)
    looks = {
        f"{part}{name}": value
        for mode, part in (("mixed", ""), ("new", "new "))
        for name, value in beyond_accuracy(
            lists[mode], buyers, asked.known.baskets.n_users, asked.known.offerable
        ).items()
    }
    per_list = 1e3 * asking.seconds / max(1, len(MODES) * len(asked.customers))
    peak = max(fitting.peak_mb, asking.peak_mb)
    return {"CPU s to train": fitting.seconds, "CPU ms a list": per_list, "peak MB": peak} | looks


def rank(model: OffersModel, past: Past, customers: npt.NDArray[np.int64], mode: int) -> Ranked:
    """Candidates as a request would get them, scored."""
    parts = []
    for start in range(0, len(customers), CHUNK):
        part = customers[start : start + CHUNK]
        table = offers_table(past.snapshot, past.population, past.as_of, part, mode=mode, threads=past.threads)
        raw = model.raw(table.X)
        position = table.customer + np.int32(start)
        parts.append((position, table.item, table.sources, raw, model.probability(raw, ~table.known)))
    return Ranked(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def top(ranked: Ranked, n_customers: int, n: int = TOP) -> Lists:
    """First `n` by raw score, ties by item, (n_customers, n), -1 padded."""
    chosen = np.full((n_customers, n), -1, np.int32)
    order = np.lexsort((ranked.item, -ranked.raw, ranked.customer))
    customer = ranked.customer[order]
    place = np.arange(len(customer)) - np.searchsorted(customer, customer)
    kept = place < n
    chosen[customer[kept], place[kept]] = ranked.item[order][kept]
    return chosen


def mode_tables(asked: Cut, lists: Mapping[str, Mapping[str, Lists]]) -> Iterator[Any]:
    """Recall, NDCG and hit rate at 10 of all contenders, each mode apart."""
    for mode in MODES:
        truth = asked.truth_of(mode)
        yield table_of(mode, {name: metrics.ranking_vectors(each[mode], truth) for name, each in lists.items()})


def cold_tables(asked: Cut, lists: Mapping[str, Mapping[str, Lists]]) -> Iterator[Any]:
    """The mixed lists of customers with one and two orders, and what of them are new arrivals."""
    orders = np.diff(asked.past.snapshot.history.order_start)[asked.customers]
    truth = asked.truth_of("mixed")
    vectors = {name: metrics.ranking_vectors(each["mixed"], truth) for name, each in lists.items()}
    for count in (1, 2):
        if (orders == count).sum() > 1:
            yield table_of(f"customers with {count} order{'s' * (count > 1)}", only(vectors, orders == count))
    snapshot = asked.past.snapshot
    fresh = fit_items(snapshot.history, snapshot.catalogue, asked.past.as_of).age <= FRESH_DAYS
    arrived = kept_items(truth, fresh)
    if (arrived.sizes > 0).sum() > 1:
        found = {name: metrics.ranking_vectors(each["new"], arrived) for name, each in lists.items()}
        yield table_of(f"items first sold in the last {FRESH_DAYS} days", found)


def only(vectors: Mapping[str, Vectors], mask: npt.NDArray[np.bool_]) -> dict[str, Vectors]:
    """The figures of some customers; the others are left out."""
    return {name: {key: np.where(mask, v, np.nan) for key, v in each.items()} for name, each in vectors.items()}


def kept_items(truth: Truth, items: npt.NDArray[np.bool_]) -> Truth:
    """What of the truth is among `items` (n_items,); later items are not."""
    owner = np.repeat(np.arange(len(truth.sizes)), truth.sizes)
    inside = truth.item < len(items)
    kept = inside & items[np.minimum(truth.item, len(items) - 1)]
    return truth_of_pairs(owner[kept], truth.item[kept], len(truth.sizes))


def source_recall(asked: Cut, ranked: Mapping[str, Ranked]) -> list[dict[str, float | str | None]]:
    """Share of the truth that each source named among the candidates, and all of them; means over customers."""
    rows: list[dict[str, float | str | None]] = []
    marks: list[tuple[str, Callable[[Any], Any]]] = [
        (name, lambda sources, bit=bit: (sources >> bit) & 1 > 0) for bit, name in enumerate(SOURCES)
    ]
    for name, named in [*marks, ("all together", lambda sources: sources >= 0)]:
        row: dict[str, float | str | None] = {"source": name}
        for mode, each in ranked.items():
            truth, kept = asked.truth_of(mode), named(each.sources)
            owner = np.repeat(np.arange(len(truth.sizes)), truth.sizes)
            width = max(int(truth.item.max(initial=0)), int(each.item.max(initial=0))) + 1
            candidates = each.customer[kept].astype(np.int64) * width + each.item[kept]
            found = np.bincount(owner, np.isin(owner * width + truth.item, candidates), minlength=len(truth.sizes))
            bought = truth.sizes > 0
            row[f"recall, {mode}"] = float((found[bought] / truth.sizes[bought]).mean()) if bought.any() else None
            row[f"candidates, {mode}"] = float(kept.sum() / max(1, len(asked.customers)))
        rows.append(row)
    return rows


def calibration(
    asked: Cut, model: OffersModel, days: int
) -> tuple[list[dict[str, float | str | None]], dict[str, float]]:
    """Probabilities over all mixed candidates of everyone known at the cut, against purchases in the trained horizon.

    Deciles hold equally many candidates, by probability; the sums are over all, over new and over known items.
    """
    past = asked.past
    customers = chosen_customers(past, np.ones(past.snapshot.history.n_customers, np.bool_), SEED)
    ranked = rank(model, past, customers, MIXED)
    labels = asked.pasts.outcomes(past.as_of, days, known_until=asked.known_until)
    hit = Bought.of(labels, customers, past.snapshot.catalogue.n_items).among(ranked.customer, ranked.item)
    order = np.argsort(ranked.probability, kind="stable")
    deciles = []
    for place, part in enumerate(np.array_split(order, 10), 1):
        expected, bought = float(ranked.probability[part].sum()), float(hit[part].sum())
        deciles.append(
            {"decile": str(place), "candidates": float(len(part)), "expected": expected, "bought": bought,
             "relative error": expected / bought - 1 if bought else None}
        )  # fmt: skip
    own = np.asarray(asked.known.bought[customers[ranked.customer], ranked.item]).ravel() > 0
    sums = {"sum of probabilities / purchases": float(ranked.probability.sum() / max(1, hit.sum()))}
    for name, mask in (("new items", ~own), ("known items", own)):
        sums[f"the same, {name}"] = float(ranked.probability[mask].sum() / max(1, hit[mask].sum()))
    return deciles, sums


def stranger_tables(asked: Cut, model: OffersModel | None) -> Iterator[Any]:
    """What customers buy first who had bought nothing by the cut, answered as the service answers a stranger."""
    truth = newcomers(asked)
    if model is None or (truth.sizes > 0).sum() < 2:
        return
    serving = Serving.of(asked.past.snapshot, asked.past.population, model)
    answer = recommend(serving, OfferRequest("somebody new", n=TOP), (), asked.past.as_of)
    offered = [asked.past.snapshot.catalogue.items.index(offer.item_id) for offer in answer.offers]
    order = asked.known.order
    found = {MODEL: offered, POPULARITY: order[asked.known.offerable[order]][:TOP].tolist()}
    lists = {name: np.tile(np.array(each, np.int32), (len(truth.sizes), 1)) for name, each in found.items()}
    yield table_of("customers with 0 orders", {k: metrics.ranking_vectors(v, truth) for k, v in lists.items()})


def newcomers(asked: Cut) -> Truth:
    """What customers buy within the horizon who had bought nothing by the cut, items coded as in the past."""
    whole, past = asked.pasts.snapshot, asked.past
    others = np.setdiff1d(np.arange(whole.history.n_customers), past.customers)
    labels = outcomes(whole, others, past.as_of, asked.horizon_days)
    code = np.full(whole.catalogue.n_items, -1, np.int64)
    code[past.items] = np.arange(len(past.items))
    owner = np.repeat(np.arange(len(others)), np.diff(labels.item_start).astype(np.int64))
    bought = labels.orders[owner] > 0
    item = code[labels.items]
    item[item < 0] = len(past.items) + labels.items[item < 0]
    return truth_of_pairs(owner[bought], item[bought], len(others))
