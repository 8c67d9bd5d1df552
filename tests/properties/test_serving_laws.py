"""Laws of features, population and decisions that hold for every history."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from recsys.data import columns as c
from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.data.tail import PackedOrders
from recsys.data.truncate import until
from recsys.decisioning import OfferRequest, OffersAnswer, ScoresAnswer, Serving, recommend, score
from recsys.decisioning.weighing import Weighing
from recsys.features.customer import customer_table
from recsys.population.facts import Population
from recsys.population.fit import fit_population
from recsys.testing import builders
from recsys.testing.serving import HORIZON, SMALL, linear_serving
from recsys.testing.strategies import catalogue, line_tables
from tests.properties.test_data_laws import as_events

EXAMPLES = settings(max_examples=15, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate))
CUT = builders.START + 40 * DAY
MODES = ("new", "repeat", "mixed")


def scrambled(table: pl.DataFrame, cut: int, seed: int) -> pl.DataFrame:
    """`table` with every row after `cut` given another product, amount, quantity, customer and time after the cut."""
    draw = np.random.default_rng(seed)
    past, later = table.filter(pl.col(c.TIME) <= cut), table.filter(pl.col(c.TIME) > cut)
    n = len(later)
    changed = later.with_columns(
        pl.Series(c.PRODUCT, draw.choice(["latte", "p001", "never seen before"], n), pl.String),
        pl.Series(c.CUSTOMER, draw.choice([*table[c.CUSTOMER].unique().sort(), "a stranger"], n), pl.String),
        pl.Series(c.AMOUNT, draw.integers(0, 99_999, n), pl.Int64),
        pl.Series(c.QUANTITY, draw.integers(1, 9, n).astype(np.float64), pl.Float64),
        pl.Series(c.TIME, cut + 1 + draw.integers(0, 90 * DAY, n), pl.Int64),
        pl.Series(c.ORDER, [f"x{i}" for i in range(n)], pl.String),
    )
    return pl.concat([past, changed])


def assume_purchases(table: pl.DataFrame, until_time: int = 2**62) -> None:
    """Leave out histories in which nobody bought anything (only returns) up to an instant."""
    assume(not table.filter((pl.col(c.TIME) <= until_time) & (pl.col(c.QUANTITY) > 0)).is_empty())


def flat(parts: Any) -> list[bytes]:
    """All arrays of nested tuples, as bytes."""
    return (
        [part.tobytes() for part in parts] if isinstance(parts[0], np.ndarray) else [b for p in parts for b in flat(p)]
    )


def facts(population: Population) -> list[bytes]:
    """Every bit of a population."""
    return flat(population.arrays) + flat(population.assortment)


def table_of(
    snapshot: Snapshot, population: Population, as_of: int, customers: Any = None, threads: int = 1
) -> np.ndarray:
    """Customer features by the batch path."""
    items = snapshot.catalogue
    zone, base = snapshot.zone(), population.arrays.base
    return customer_table(
        snapshot.history,
        items.product_item,
        items.n_items,
        zone,
        base,
        as_of,
        HORIZON,
        customers=customers,
        threads=threads,
    )


def online_rows(serving: Serving, as_of: int, events: Any = ()) -> list[np.ndarray]:
    """Customer features of the churn and of the value model, by the path that answers requests."""
    weighing, found = Weighing.of(serving), []
    for customer in range(len(serving.snapshot.customers)):
        weighing.weigh(customer, as_of, PackedOrders.of(events))
        found.append(weighing.rows.copy())
    return [np.array([rows[which] for rows in found]) for which in (0, 1)]


def answers(serving: Serving, customer: str, as_of: int, events: Any = ()) -> list[OffersAnswer | ScoresAnswer]:
    """Everything the library says about a customer."""
    offers = [recommend(serving, OfferRequest(customer, 5, mode, reasons=True), events, as_of) for mode in MODES]  # type: ignore[arg-type]
    return [*offers, score(serving, customer, events, as_of, reasons=True)]


@EXAMPLES
@given(table=line_tables(max_orders=20), seed=st.integers(0, 1_000))
def test_population_sees_no_future(table: pl.DataFrame, seed: int) -> None:
    """Population facts of a cut are the same bits whatever happened after it."""
    assume_purchases(table, CUT)
    cuts = [until(builders.snapshot(rows), CUT).snapshot for rows in (table, scrambled(table, CUT, seed))]
    assert facts(fit_population(cuts[0], SMALL)) == facts(fit_population(cuts[1], SMALL))


@pytest.mark.parametrize("seed", range(3))
def test_threads_change_no_bit_of_the_population(seed: int) -> None:
    """One thread or two fit the same facts."""
    snapshot = builders.random_snapshot(seed, 60)
    assert facts(fit_population(snapshot, SMALL, threads=1)) == facts(fit_population(snapshot, SMALL, threads=2))


@EXAMPLES
@given(table=line_tables(max_orders=20), seed=st.integers(0, 1_000))
def test_row_order_changes_no_bit_of_the_population(table: pl.DataFrame, seed: int) -> None:
    """Shuffled rows give the same facts."""
    assume_purchases(table)
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=seed)
    snapshots = [builders.snapshot(rows, catalogue=catalogue()) for rows in (table, shuffled)]
    assert facts(fit_population(snapshots[0], SMALL)) == facts(fit_population(snapshots[1], SMALL))


@EXAMPLES
@given(table=line_tables(max_orders=20))
def test_customer_features_see_no_future(table: pl.DataFrame) -> None:
    """Features at an instant, computed over the whole history, are those of the history cut there."""
    assume_purchases(table, CUT)
    whole = builders.snapshot(table, catalogue=catalogue())
    cut = until(whole, CUT)
    population = fit_population(cut.snapshot, SMALL)
    found = table_of(whole, population, CUT, cut.customers.astype(np.int64))
    assert found.tobytes() == table_of(cut.snapshot, population, CUT).tobytes()


@EXAMPLES
@given(table=line_tables(max_orders=20), threads=st.integers(1, 3))
def test_online_features_equal_batch_features(table: pl.DataFrame, threads: int) -> None:
    """One customer's row online is that customer's row of the whole base's table, bit for bit."""
    assume_purchases(table)
    serving = linear_serving(builders.snapshot(table, catalogue=catalogue()))
    snapshot, as_of = serving.snapshot, serving.snapshot.as_of
    batch = table_of(snapshot, serving.population, as_of, threads=threads)
    assert [rows.tobytes() for rows in online_rows(serving, as_of)] == [batch.tobytes()] * 2


@EXAMPLES
@given(table=line_tables(max_orders=20, named=True), share=st.floats(0.1, 0.9), seed=st.integers(0, 1_000))
def test_answers_with_events_equal_answers_after_an_import(table: pl.DataFrame, share: float, seed: int) -> None:
    """With the same population facts, reported orders and imported orders give the same answers, bit for bit."""
    draw = np.random.default_rng(seed)
    late = [order for order in sorted(set(table[c.ORDER])) if draw.random() < share]
    early = table.filter(~pl.col(c.ORDER).is_in(late))
    assume_purchases(early)
    # A store or channel first named by an event has no code before the next import: it counts as unknown till then.
    assume(all(set(table[name]) == set(early[name]) for name in (c.STORE, c.CHANNEL)))
    listed = pl.concat([catalogue(), builders.products("beans FOOD>BEANS 9.00")])
    whole, before = (builders.snapshot(rows, catalogue=listed) for rows in (table, early))
    as_of = whole.as_of
    population = fit_population(before, SMALL)
    serving = [linear_serving(each, population) for each in (before, whole)]
    for customer in whole.customers:
        own = [e for e in as_events(table.filter(pl.col(c.ORDER).is_in(late))) if e.customer_id == customer]
        assert answers(serving[0], customer, as_of, own) == answers(serving[1], customer, as_of)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_customers_changes_nothing(seed: int) -> None:
    """Answers asked for in another order, and again, are the same bits: no customer leaves a trace for the next."""
    serving = linear_serving(builders.random_snapshot(seed, 40, n_products=30))
    customers, as_of = list(serving.snapshot.customers), serving.snapshot.as_of + DAY
    forward = {customer: answers(serving, customer, as_of) for customer in customers}
    backward = {customer: answers(serving, customer, as_of) for customer in reversed(customers)}
    assert forward == backward


def test_a_fresh_serving_gives_the_same_answers() -> None:
    """Answers do not depend on what was asked before: a serving just opened gives the same."""
    used, fresh = (linear_serving(builders.random_snapshot(5, 40, n_products=30)) for _ in range(2))
    as_of, customers = used.snapshot.as_of, list(used.snapshot.customers)
    for customer in customers:
        answers(used, customer, as_of)
    assert answers(used, customers[7], as_of) == answers(fresh, customers[7], as_of)


def test_answers_see_no_future() -> None:
    """At an instant before some of its orders, a snapshot answers as if they were not there."""
    table = builders.random_lines(8, 40)
    cut = builders.START + 200 * DAY
    listed = builders.products(*(f"p{i:03d} G{i % 2}>F{i % 4}" for i in range(12)))
    whole, past = (builders.snapshot(t, catalogue=listed) for t in (table, table.filter(pl.col(c.TIME) <= cut)))
    population = fit_population(past, SMALL)
    serving = [linear_serving(each, population) for each in (whole, past)]
    assert [answers(serving[0], each, cut) for each in past.customers] == [
        answers(serving[1], each, cut) for each in past.customers
    ]
