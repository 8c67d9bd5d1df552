"""Laws of the data core that hold for every history."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data import columns as c
from recsys.data.clock import DAY
from recsys.data.history import PurchaseHistory
from recsys.data.ids import ABSENT
from recsys.data.snapshot import Snapshot
from recsys.data.tail import EventLine, OrderEvent, rows_at
from recsys.data.truncate import until
from recsys.testing import builders
from recsys.testing.strategies import catalogue, instants, line_tables

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)


def content(snapshot: Snapshot) -> dict[str, object]:
    """Everything a snapshot says, as comparable values."""
    history = {field.name: getattr(snapshot.history, field.name).tolist() for field in fields(PurchaseHistory)}
    items = snapshot.catalogue
    family = [items.families[i] if i != ABSENT else None for i in items.item_family]
    group = [items.groups[i] if i != ABSENT else None for i in items.item_group]
    return history | {
        "customers": list(snapshot.customers),
        "stores": list(snapshot.stores),
        "channels": list(snapshot.channels),
        "products": list(items.products),
        "items": list(items.items),
        "product_item": items.product_item.tolist(),
        "offerable": items.offerable.tolist(),
        "families": family,
        "groups": group,
        "facts": snapshot.facts,
    }


def sold(table: pl.DataFrame) -> pl.DataFrame:
    """The rows of the small catalogue that `table` sells: a product is known from its first purchase on."""
    return catalogue().filter(pl.col(c.PRODUCT).is_in(table[c.PRODUCT].unique().to_list()))


@EXAMPLES
@given(table=line_tables(), cut=instants())
def test_until_equals_assembling_the_rows_up_to_the_cut(table: pl.DataFrame, cut: int) -> None:
    """A snapshot cut at an instant is the snapshot of the rows up to it."""
    past = table.filter(pl.col(c.TIME) <= cut)
    if past.is_empty():
        return
    cut_snapshot = until(builders.snapshot(table, catalogue=sold(table)), cut).snapshot
    expected = builders.snapshot(past, catalogue=sold(past)).with_facts(as_of=cut)
    assert content(cut_snapshot) == content(expected)


@EXAMPLES
@given(table=line_tables(), seed=st.integers(0, 1_000))
def test_row_order_changes_nothing(table: pl.DataFrame, seed: int) -> None:
    """Shuffled rows give the same snapshot."""
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=seed)
    assert content(builders.snapshot(shuffled, catalogue=catalogue())) == content(
        builders.snapshot(table, catalogue=catalogue())
    )


def test_row_order_changes_no_snapshot_id(tmp_path: Path) -> None:
    """Shuffled rows are written under the same snapshot id."""
    table = builders.random_lines(3)
    ids = {builders.snapshot(rows).save(tmp_path).snapshot_id for rows in (table, table.reverse())}
    assert len(ids) == 1


def test_until_keeps_the_snapshot_id(tmp_path: Path) -> None:
    """A cut and an import of the rows up to it are written under the same snapshot id."""
    table = builders.random_lines(5)
    cut = builders.START + 200 * DAY
    past = builders.snapshot(table.filter(pl.col(c.TIME) <= cut)).with_facts(as_of=cut)
    assert until(builders.snapshot(table), cut).snapshot.save(tmp_path).snapshot_id == past.save(tmp_path).snapshot_id


def as_events(table: pl.DataFrame) -> list[OrderEvent]:
    """The orders of `table` (all with an order id) as events."""
    shared = [c.CUSTOMER, c.TIME, c.ORDER, c.STORE, c.CHANNEL]
    return [
        OrderEvent(
            event_id=f"e-{order}",
            customer_id=customer,
            occurred_at=time,
            order_id=order,
            store_id=store,
            channel=channel,
            lines=tuple(
                EventLine(*row) for row in rows.select(c.PRODUCT, c.QUANTITY, c.AMOUNT, c.DISCOUNT).iter_rows()
            ),
        )
        for (customer, time, order, store, channel), rows in table.group_by(shared)
    ]


def customer_rows(snapshot: Snapshot, customer: int, as_of: int, events: list[OrderEvent]) -> dict[str, list[object]]:
    """What kernels see of a customer, codes resolved to names."""
    rows = rows_at(snapshot, customer, as_of, events)
    a, span = rows.arrays, slice(rows.low, rows.high)
    line = slice(int(a.line_start[rows.low]), int(a.line_start[rows.high]))
    products = snapshot.catalogue.products
    return {
        "time": a.order_time[span].tolist(),
        "key": a.order_key[span].tolist(),
        "sizes": np.diff(a.line_start[rows.low : rows.high + 1]).tolist(),
        "product": [products[i] for i in a.line_product[line]],
        "quantity": a.line_quantity[line].tolist(),
        "amount": a.line_amount[line].tolist(),
        "discount": a.line_discount[line].tolist(),
    }


@EXAMPLES
@given(table=line_tables(named=True), seed=st.integers(0, 1_000), share=st.floats(0, 1))
def test_events_equal_an_import_of_the_same_orders(table: pl.DataFrame, seed: int, share: float) -> None:
    """A customer's rows with events folded in are the rows of a snapshot imported with those orders."""
    whole = builders.snapshot(table, catalogue=catalogue())
    draw = np.random.default_rng(seed)
    late = [order for order in sorted(set(table[c.ORDER])) if draw.random() < share]
    known = table.filter(~pl.col(c.ORDER).is_in(late))
    if known.is_empty():
        return
    full_catalogue = pl.concat([catalogue(), builders.products("beans FOOD>BEANS 9.00")])
    before = builders.snapshot(known, catalogue=full_catalogue)
    events = as_events(table.filter(pl.col(c.ORDER).is_in(late)))
    as_of = whole.as_of
    for customer, index in [(name, whole.customers.index(name)) for name in whole.customers]:
        own = [event for event in events if event.customer_id == customer]
        found = customer_rows(before, before.customers.index(customer), as_of, own)
        assert found == customer_rows(whole, index, as_of, [])


@EXAMPLES
@given(table=line_tables(named=True))
def test_an_event_already_in_the_file_counts_once(table: pl.DataFrame) -> None:
    """Events of orders the snapshot has change nothing."""
    whole = builders.snapshot(table, catalogue=catalogue())
    for index, customer in enumerate(whole.customers):
        own = [event for event in as_events(table) if event.customer_id == customer]
        assert customer_rows(whole, index, whole.as_of, own) == customer_rows(whole, index, whole.as_of, [])


@EXAMPLES
@given(table=line_tables(), cut=instants())
def test_rows_at_hides_what_comes_later(table: pl.DataFrame, cut: int) -> None:
    """The rows of a customer at an instant hold no order after it, and every one up to it."""
    whole = builders.snapshot(table, catalogue=catalogue())
    seen = [time for index in range(len(whole.customers)) for time in customer_rows(whole, index, cut, [])["time"]]
    assert sorted(seen) == sorted(whole.history.order_time[whole.history.order_time <= cut].tolist())


@pytest.mark.parametrize("seed", range(3))
def test_a_snapshot_survives_the_disk(seed: int, tmp_path: Path) -> None:
    """A saved and reopened snapshot says the same."""
    built = builders.random_snapshot(seed)
    assert content(built.save(tmp_path)) == content(built)
