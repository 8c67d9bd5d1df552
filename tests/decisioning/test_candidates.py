"""Every candidate source keeps the same promises, and what each is made for comes out of it."""

from functools import cache

import numpy as np
import polars as pl
import pytest

from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.data.tail import rows_at
from recsys.data.truncate import until
from recsys.decisioning.candidates import MIXED, SOURCES, candidates, new_lists
from recsys.decisioning.gather import catalogue_arrays, scratch_for
from recsys.features.personal import clean, own_items, point_to_items
from recsys.population.facts import Population, PopulationSpec
from recsys.population.fit import fit_population
from recsys.testing.builders import lines, products, random_lines, snapshot

CATALOGUE = products(*(f"p{i:03d} G{i % 2}>F{i % 4} 2.50" for i in range(40)))
BOUGHT = pl.concat(
    [random_lines(31, 40, n_products=38), lines("late p038 2024-12-28", "late p039 2024-12-29 order=o2")]
)
SPEC = PopulationSpec(factors=8, iterations=4)
CUSTOMERS = range(0, 40, 3)
LIMIT = 12
ORDERED_BY = {
    "bought together": "near",
    "next basket": "next",
    "taste": "als",
    "customers like this one": "peers",
    "baskets of neighbours": "votes",
}
"""Sources with a score a customer, and where it stands in the scratch."""
NEW_SOURCES = SOURCES[1:]
NAMED = np.array([range(5, 35), [*range(39, 10, -1), -1]], np.int64)
"""What attributes and looks point to, as requests bring it."""


@cache
def whole() -> Snapshot:
    return snapshot(BOUGHT, catalogue=CATALOGUE)


@cache
def facts() -> Population:
    return fit_population(whole(), SPEC)


def allowed(base: Snapshot) -> np.ndarray:
    """Every third item may not be offered."""
    return (np.arange(base.catalogue.n_items) % 3 != 0).astype(np.uint8)


def proposed(
    customer: int, population: Population | None = None, base: Snapshot | None = None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Lists of all sources for new items (n_sources, LIMIT), and the scores behind them by name."""
    base = base or whole()
    rows = rows_at(base, customer, base.as_of)
    cat, scratch = catalogue_arrays(base.catalogue), scratch_for(base.catalogue)
    arrays = (population or facts()).arrays
    own = own_items(rows.arrays, rows.low, rows.high, rows.as_of, cat, scratch)
    point_to_items(own, cat, arrays, scratch)
    lists = np.full((len(NEW_SOURCES), LIMIT), -1, np.int64)
    there = NAMED[:, (base.catalogue.n_items > NAMED).all(axis=0)]  # an earlier catalogue is smaller
    new_lists(own, arrays, allowed(base), scratch, there, lists)
    scores = {name: np.array(getattr(scratch, field)) for name, field in ORDERED_BY.items()}
    scores["bought"] = np.array(scratch.slot) >= 0
    clean(own, cat, scratch)
    return lists, scores


def listed(lists: np.ndarray, source: str) -> np.ndarray:
    """Items of one source."""
    row = lists[NEW_SOURCES.index(source)]
    return row[row >= 0]


@pytest.mark.parametrize("source", NEW_SOURCES)
def test_a_source_proposes_allowed_new_items_once(source: str) -> None:
    """No item that may not be offered, none bought before, none twice."""
    for customer in CUSTOMERS:
        lists, scores = proposed(customer)
        items = listed(lists, source)
        assert [allowed(whole())[items].all(), scores["bought"][items].any(), len(set(items))] == [
            True,
            False,
            len(items),
        ]


@pytest.mark.parametrize("source", NEW_SOURCES)
def test_a_source_proposes_something(source: str) -> None:
    """Somebody gets an item from it."""
    assert any(len(listed(proposed(customer)[0], source)) for customer in CUSTOMERS)


@pytest.mark.parametrize("source", NEW_SOURCES)
def test_a_source_repeats_itself(source: str) -> None:
    """Asked again it answers the same."""
    for customer in CUSTOMERS:
        assert listed(proposed(customer)[0], source).tolist() == listed(proposed(customer)[0], source).tolist()


@pytest.mark.parametrize("source", ORDERED_BY)
def test_a_source_is_sorted_by_its_score_then_item(source: str) -> None:
    """The list is the head of a full sort of all items that may be proposed and have a positive score."""
    for customer in CUSTOMERS:
        lists, scores = proposed(customer)
        score = np.where((allowed(whole()) == 1) & ~scores["bought"], scores[source], 0)
        order = np.lexsort((np.arange(len(score)), -score))
        wanted = [item for item in order.tolist() if score[item] > 0][:LIMIT]
        assert listed(lists, source).tolist() == wanted


@pytest.mark.parametrize("field", ["order", "adopted"])
def test_sequences_shared_by_all_are_sorted(field: str) -> None:
    """Popular items fall in rate_28, taken up ones in adoption_now."""
    items = facts().arrays.items
    key = {"order": items.rate_28, "adopted": items.adoption_now}[field]
    assert (np.diff(key[getattr(facts().arrays.popular, field)]) <= 0).all()


def test_arrivals_are_items_first_sold_lately() -> None:
    """All of them, none else."""
    popular, age = facts().arrays.popular, facts().arrays.items.age
    assert sorted(popular.arrivals.tolist()) == np.flatnonzero(age < 28).tolist()


@pytest.mark.parametrize(("source", "row"), [("lookalikes", 0), ("viewed, not bought", 1)])
def test_what_a_request_points_to_is_proposed_in_its_sequence(source: str, row: int) -> None:
    """Of what attributes or looks name, all that is allowed and never bought, best first, up to the limit."""
    for customer in CUSTOMERS:
        lists, scores = proposed(customer)
        wanted = [item for item in NAMED[row] if item >= 0 and allowed(whole())[item] and not scores["bought"][item]]
        assert listed(lists, source).tolist() == wanted[:LIMIT]


def names_at(base: Snapshot, customer: str, as_of: int) -> list[list[str]]:
    """Ids each source proposes to a customer on facts of what is known at `as_of`."""
    known = until(base, as_of).snapshot
    lists, _ = proposed(known.customers.index(customer), fit_population(known, SPEC), known)
    return [[known.catalogue.items[item] for item in row if item >= 0] for row in lists]


def test_sources_see_no_future() -> None:
    """At an earlier day the same is proposed whether or not the file goes on after it."""
    cut = whole().as_of - 60 * DAY
    early = snapshot(BOUGHT.filter(BOUGHT["occurred_at"] <= cut), catalogue=CATALOGUE)
    assert names_at(whole(), "c0003", cut) == names_at(early, "c0003", cut)


def test_together_they_fill_the_table_without_doubles() -> None:
    """Candidates of all sources: allowed, at most the limit, each once, each with a source."""
    cat, scratch, arrays = catalogue_arrays(whole().catalogue), scratch_for(whole().catalogue), facts().arrays
    for customer in CUSTOMERS:
        rows = rows_at(whole(), customer, whole().as_of)
        own = own_items(rows.arrays, rows.low, rows.high, rows.as_of, cat, scratch)
        point_to_items(own, cat, arrays, scratch)
        out, marks = np.zeros(20, np.int64), np.zeros(20, np.uint16)
        n = candidates(own, arrays, allowed(whole()), scratch, NAMED, MIXED, 20, out, marks)
        clean(own, cat, scratch)
        assert [n <= 20, len(set(out[:n])) == n, allowed(whole())[out[:n]].all(), (marks[:n] > 0).all()] == [True] * 4
