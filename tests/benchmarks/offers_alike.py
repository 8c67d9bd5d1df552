"""Customers of whom attributes are all that is known: answered as the service answers, beside popularity.

At each cut of `window`: everyone asked has the orders hidden, a fifth at a time, so that nothing of them is in any
fact; and newcomers, who bought nothing by the cut. The customers table has no past: attributes are those imported.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.data.clock import to_iso
from recsys.data.ids import ABSENT
from recsys.data.snapshot import Snapshot
from recsys.data.tail import rows_at
from recsys.data.truncate import until
from recsys.decisioning.answers import OfferRequest
from recsys.decisioning.recommend import rank_rows
from recsys.decisioning.serving import Serving
from recsys.evaluation import metrics
from recsys.evaluation.offers_baselines import POPULARITY
from recsys.population.attributes import read_customers
from recsys.population.facts import Population
from recsys.population.fit import fit_population
from recsys.population.items import fit_items, fit_popular
from recsys.population.lookalikes import Lookalikes
from recsys.population.lookalikes_fit import fit_lookalikes
from recsys.testing.serving import SMALL, linear_serving
from tests.benchmarks.offers_cases import MODEL, OfferCase, Vectors, table_of
from tests.benchmarks.offers_data import Question, cuts_of
from tests.benchmarks.offers_windows import Cut, Lists, newcomers
from training.tables import Pasts

TOP, FOLDS = 10, 5
HIDDEN, NEWCOMERS = "orders hidden, attributes known", "first bought after the cut, attributes known"

Columns = Mapping[str, list[Any]]


def cases(question: Question, snapshot: Snapshot, *, final: bool) -> Iterator[OfferCase]:
    """A case a cut; none where customers have no attributes."""
    columns = read_customers(snapshot.directory)
    cuts, end = cuts_of(question, snapshot, final=final)
    pasts = Pasts(until(snapshot, end).snapshot, threads=2)
    for cut in cuts if columns else ():
        asked = Cut.of(pasts, cut, question.horizon_days, end)
        facts = fit_population(asked.past.snapshot, SMALL)
        parts = {HIDDEN: hidden(asked, facts, columns), NEWCOMERS: unseen(asked, facts, columns)}
        tables = tuple(table_of(name, found) for name, found in parts.items() if counted(found) > 1)
        day = to_iso(cut + 1, snapshot.facts.timezone)[:10]
        split = "test" if final else "validation"
        yield OfferCase(
            "alike", question.data, question.item_level, day, question.horizon_days, split, tables, {}, {}, {}
        )


def counted(found: Mapping[str, Vectors]) -> int:
    """Customers with a figure."""
    return int((~np.isnan(found[MODEL]["recall@10"])).sum())


def hidden(asked: Cut, facts: Population, columns: Columns) -> dict[str, Vectors]:
    """Figures of everyone asked, (n_customers,) each, a fold at a time without its orders."""
    snapshot, n = asked.past.snapshot, len(asked.customers)
    lists = {name: np.full((n, TOP), -1, np.int32) for name in (MODEL, POPULARITY)}
    known = np.zeros(n, np.bool_)
    for fold in range(FOLDS):
        places = np.arange(fold, n, FOLDS)
        serving = without(snapshot, facts, asked.customers[places], columns)
        names = [snapshot.customers[int(each)] for each in asked.customers[places]]
        fill(serving, names, places, lists, known)
    return figures(lists, asked.truth_of("mixed"), known)


def unseen(asked: Cut, facts: Population, columns: Columns) -> dict[str, Vectors]:
    """Figures of the customers who had bought nothing by the cut."""
    whole, truth = asked.pasts.snapshot, newcomers(asked)
    others = np.setdiff1d(np.arange(whole.history.n_customers), asked.past.customers)
    lists = {name: np.full((len(others), TOP), -1, np.int32) for name in (MODEL, POPULARITY)}
    known = np.zeros(len(others), np.bool_)
    serving = without(asked.past.snapshot, facts, np.zeros(0, np.int64), columns)
    bought = np.flatnonzero(truth.sizes > 0)
    fill(serving, [whole.customers[int(each)] for each in others[bought]], bought, lists, known)
    return figures(lists, truth, known)


def figures(lists: Mapping[str, Lists], truth: Any, known: npt.NDArray[np.bool_]) -> dict[str, Vectors]:
    """Recall, NDCG and hits of those with attributes; the others are left out."""
    found = {name: metrics.ranking_vectors(each, truth) for name, each in lists.items()}
    return {name: {key: np.where(known, v, np.nan) for key, v in each.items()} for name, each in found.items()}


def without(snapshot: Snapshot, facts: Population, customers: npt.NDArray[np.int64], columns: Columns) -> Serving:
    """A serving whose popularity and lookalikes saw no purchase of `customers`; its ranker answers nobody here."""
    history = snapshot.history
    hides = np.isin(np.arange(history.n_customers), customers)
    per_order = np.repeat(hides, np.diff(history.order_start).astype(np.int64))
    per_line = np.repeat(per_order, np.diff(history.line_start.astype(np.int64)).astype(np.int64))
    quantity = np.where(per_line, np.float32(0.0), history.line_quantity)
    bare = replace(snapshot, history=replace(history, line_quantity=quantity))
    items = fit_items(bare.history, bare.catalogue, bare.as_of)
    arrays = facts.arrays._replace(items=items, popular=fit_popular(items, bare.catalogue))
    return linear_serving(bare, replace(facts, arrays=arrays, lookalikes=fit_lookalikes(bare, items, columns)))


def fill(
    serving: Serving,
    names: list[str],
    places: npt.NDArray[Any],
    lists: Mapping[str, Lists],
    known: npt.NDArray[np.bool_],
) -> None:
    """Lists of the customers `names`, answered as without any order, into the rows `places`."""
    facts = serving.population.lookalikes
    plain = replace(serving, population=replace(serving.population, lookalikes=Lookalikes.none()))
    popular = best(plain, "somebody new")
    for name, place in zip(names, places.tolist(), strict=True):
        rows = facts.rows_of(name)
        known[place] = rows is not None and (rows >= 0).any()
        if known[place]:
            lists[MODEL][place], lists[POPULARITY][place] = best(serving, name), popular


def best(serving: Serving, name: str) -> npt.NDArray[np.int64]:
    """Ten items for a customer without orders."""
    nothing = rows_at(serving.snapshot, ABSENT, serving.snapshot.as_of)
    return rank_rows(serving, OfferRequest(name, TOP), nothing).items[:TOP]
