"""The next order after each order: answers with the purchases since the night folded in, beside yesterday's answer.

At each cut the model is trained and the night's facts are fitted, as a nightly run would. Then the orders of the weeks
after it arrive one by one: the service's own code answers just before each, knowing the customer's orders so far as
events. Purchases of one customer are resampled together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY, to_iso
from recsys.data.snapshot import Snapshot
from recsys.data.tail import EventLine, OrderEvent
from recsys.data.truncate import until
from recsys.decisioning.answers import OfferRequest
from recsys.decisioning.recommend import recommend
from recsys.decisioning.serving import Serving
from recsys.evaluation import metrics
from recsys.evaluation.offers_baselines import Known, baskets_of, known_of
from recsys.evaluation.ranking import truth_of
from tests.benchmarks.offers_cases import MODEL, Meter, OfferCase, metered, table_of
from tests.benchmarks.offers_data import Question, cuts_of
from tests.benchmarks.offers_windows import fit_at, model_of
from training.backtesting import SEED
from training.tables import Pasts
from training.windows import uniform

YESTERDAY, LAST, OWN = "yesterday's answer", "last basket", "own most frequent"
TOP, KS = 10, (1, 10)
SHOWN = ("hit rate@1", "recall@10", "ndcg@10")

MOST_CUSTOMERS = 1_500
"""Customers followed after a cut; larger bases give a share of them, chosen by hash."""


@dataclass(frozen=True)
class Step:
    """An order to be foreseen: the customer, when, what it held, and the events since the night."""

    customer: str
    at: int
    items: tuple[int, ...]
    before: tuple[OrderEvent, ...]
    past: tuple[tuple[int, ...], ...]


def cases(question: Question, snapshot: Snapshot, *, final: bool) -> Iterator[OfferCase]:
    """One case over all cuts, then one over the steps where something was folded in."""
    cuts, end = cuts_of(question, snapshot, final=final)
    pasts, split = Pasts(until(snapshot, end).snapshot, threads=2), "test" if final else "validation"
    found = [answered(pasts, cut, min(cut + question.horizon_days * DAY, end), question) for cut in cuts]
    zone = snapshot.facts.timezone
    days = f"{len(cuts)} windows from {to_iso(cuts[0] + 1, zone)[:10]}"
    yield case_of(question, split, days, found)


@dataclass(frozen=True, eq=False)
class Answered:
    """Lists (n_steps, 10) by contender, what was bought, whose step it is, whether events had been folded in."""

    lists: dict[str, npt.NDArray[np.int32]]
    bought: list[set[int]]
    owner: npt.NDArray[np.int64]
    folded: npt.NDArray[np.bool_]
    ms: float


def answered(pasts: Pasts, cut: int, end: int, question: Question) -> Answered:
    """All steps from the cut to `end` [s]."""
    model, past = model_of(fit_at(pasts, cut, question.horizon_days)), pasts.at(cut)
    serving, known = Serving.of(past.snapshot, past.population, model), known_of(past.snapshot)
    followed = steps(pasts.snapshot, past.snapshot, cut, end)
    lists: dict[str, list[list[int]]] = {name: [] for name in (MODEL, YESTERDAY, LAST, OWN)}
    meter = Meter()
    for step in followed:
        if model is not None:
            with_events = list_of(serving, step, step.before, meter)
            lists[MODEL].append(with_events)
            lists[YESTERDAY].append(list_of(serving, step, (), meter) if step.before else with_events)
        lists[LAST].append(filled(list(step.past[-1]), known))
        lists[OWN].append(filled(most_frequent(step.past), known))
    arrays = {name: np.array(each, np.int32).reshape(-1, TOP) for name, each in lists.items() if len(each)}
    owner = np.array([hash_of(step.customer) for step in followed], np.int64)
    folded = np.array([bool(step.before) for step in followed])
    return Answered(arrays, [set(s.items) for s in followed], owner, folded, 1e3 * meter.seconds / max(1, len(owner)))


def list_of(serving: Serving, step: Step, events: Sequence[OrderEvent], meter: Meter) -> list[int]:
    """The service's ten items one second before the order."""
    with metered(meter):
        answer = recommend(serving, OfferRequest(step.customer, n=TOP), events, step.at - 1)
    items = [serving.snapshot.catalogue.items.index(offer.item_id) for offer in answer.offers]
    return [*items, *[-1] * TOP][:TOP]


def steps(whole: Snapshot, past: Snapshot, cut: int, end: int) -> list[Step]:
    """Orders with an item in (cut, end] of customers who had bought before, oldest first within a customer.

    Items are coded as at the cut; orders at the same second are not told of each other.
    """
    customers = np.array([whole.customers.index(each) for each in past.customers])
    history = whole.history
    keys = np.asarray(history.order_key[history.order_start[:-1][customers]])
    share = MOST_CUSTOMERS / max(1, active(whole, customers, cut, end))
    followed = customers[uniform(keys, SEED + 5) < share]
    baskets = baskets_of(past, cut)
    found = []
    for customer in followed:
        mine = past.customers.index(whole.customers[customer])
        low, high = baskets.basket_start[mine : mine + 2]
        known = [
            tuple(baskets.item[baskets.item_start[b] : baskets.item_start[b + 1]].tolist()) for b in range(low, high)
        ]
        found += list(of_customer(whole, past, int(customer), known, cut, end))
    return found


def active(whole: Snapshot, customers: npt.NDArray[np.int64], cut: int, end: int) -> int:
    """How many of `customers` order in (cut, end]."""
    history = whole.history
    inside = (history.order_time > cut) & (history.order_time <= end)
    owner = np.repeat(np.arange(history.n_customers), np.diff(history.order_start))
    return int(np.isin(customers, owner[inside]).sum())


def of_customer(
    whole: Snapshot, past: Snapshot, customer: int, known: list[tuple[int, ...]], cut: int, end: int
) -> Iterator[Step]:
    """Steps of one customer; `known`: baskets up to the cut."""
    history, catalogue = whole.history, whole.catalogue
    low, high = history.span(customer)
    name, events, baskets = whole.customers[customer], list[OrderEvent](), list(known)
    for order in range(low, high):
        at = int(history.order_time[order])
        if at <= cut or at > end:
            continue
        lines = range(int(history.line_start[order]), int(history.line_start[order + 1]))
        bought = [line for line in lines if history.line_quantity[line] > 0 and history.line_product[line] >= 0]
        ids = [
            catalogue.items[item]
            for line in bought
            if (item := catalogue.product_item[history.line_product[line]]) >= 0
        ]
        items = tuple(dict.fromkeys(past.catalogue.items.index(each) for each in ids))
        before = tuple(event for event in events if event.occurred_at < at)
        if items and baskets:
            yield Step(name, at, items, before, tuple(baskets))
        if items:
            baskets.append(items)
        events.append(event_of(whole, order, name, at, lines))


def event_of(whole: Snapshot, order: int, customer: str, at: int, lines: range) -> OrderEvent:
    """An order as a channel would report it."""
    history, products = whole.history, whole.catalogue.products
    told = tuple(
        EventLine(
            products[history.line_product[line]],
            float(history.line_quantity[line]),
            int(history.line_amount[line]),
            int(history.line_discount[line]),
        )
        for line in lines
        if history.line_product[line] >= 0
    )
    return OrderEvent(f"order-{order}", customer, at, told)


def most_frequent(baskets: Sequence[Sequence[int]]) -> list[int]:
    """Items by number of baskets, ties to the more recent."""
    items, inverse = np.unique([item for basket in baskets for item in basket], return_inverse=True)
    last = np.zeros(len(items))
    last[inverse] = np.arange(len(inverse))
    order = np.lexsort((-last, -np.bincount(inverse)))
    return [int(item) for item in items[order]]


def filled(items: list[int], known: Known) -> list[int]:
    """Ten items: those given that were sold before the cut, then the most popular."""
    wanted = [item for item in items if item >= 0][:TOP]
    for item in known.order:
        if len(wanted) == TOP:
            break
        if known.offerable[item] and item not in wanted:
            wanted.append(int(item))
    return [*wanted, *[-1] * TOP][:TOP]


def hash_of(customer: str) -> int:
    """A number that stands for the customer in all cuts."""
    return int.from_bytes(customer.encode()[-7:], "big") ^ (len(customer) << 56)


def case_of(question: Question, split: str, days: str, found: Sequence[Answered]) -> OfferCase:
    """Hit at 1 and recall at 10 of all steps, and of those with something folded in."""
    names = [name for name in found[0].lists if all(name in each.lists for each in found)]
    bought = [each for part in found for each in part.bought]
    truth, owner = truth_of([{i for i in each if i >= 0} or {10**6} for each in bought]), joined(found, "owner")
    folded = joined(found, "folded")
    tables = []
    for part, mask in (("all steps", np.ones(len(folded), np.bool_)), ("steps with purchases folded in", folded)):
        vectors = {}
        for name in names:
            lists = np.concatenate([each.lists[name] for each in found])
            measured = metrics.ranking_vectors(lists, truth, KS)
            vectors[name] = {
                key: np.where(mask, measured[key], np.nan) for key in ("hit rate@1", "recall@10", "ndcg@10")
            }
        tables.append(table_of(part, vectors, owner))
    facts = {"steps": float(len(folded)), "share folded": float(folded.mean()), "CPU ms a step": found[0].ms}
    return OfferCase(
        "next_purchase",
        question.data,
        question.item_level,
        days,
        question.horizon_days,
        split,
        tuple(tables),
        {},
        facts,
    )


def joined(found: Sequence[Answered], name: str) -> npt.NDArray[np.int64]:
    """One array of all cuts."""
    return np.concatenate([getattr(each, name) for each in found])
