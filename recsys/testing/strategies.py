"""Hypothesis strategies for small purchase histories. Imports hypothesis, so only tests import this module."""

from typing import Any

import polars as pl
from hypothesis import strategies as st

from recsys.data import columns as c
from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.testing.builders import LINE_SCHEMA, START, products, snapshot

CUSTOMERS = ("ann", "bob", "cem", "dörte")
PRODUCTS = ("espresso", "latte", "croissant", "beans", "tea")
CATALOGUE = (
    "espresso DRINKS>COFFEE 2.20",
    "latte DRINKS>COFFEE 3.50",
    "tea DRINKS>TEA 3.00",
    "croissant FOOD>BAKERY 2.80",
)
"""Beans are sold but not listed, as happens."""


def instants(days: int = 60) -> st.SearchStrategy[int]:
    """Seconds within `days` [days] of 2024-01-01; few distinct values, so that orders often share a second."""
    moments = st.integers(0, days * 24 - 1).map(lambda hour: START + hour * 3_600)
    return st.one_of(st.sampled_from([START, START + DAY, START + 30 * DAY]), moments)


@st.composite
def order_rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows of one order: one customer, instant, order id, store and channel; 1 to 3 lines, some returned or free."""
    shared = {
        c.CUSTOMER: draw(st.sampled_from(CUSTOMERS)),
        c.TIME: draw(instants()),
        c.STORE: draw(st.sampled_from([None, "north", "south"])),
        c.CHANNEL: draw(st.sampled_from([None, "till", "web"])),
    }
    line = st.fixed_dictionaries(
        {
            c.PRODUCT: st.sampled_from(PRODUCTS),
            c.QUANTITY: st.sampled_from([1.0, 2.0, 0.5, -1.0]),
            c.AMOUNT: st.integers(-500, 2_000),
            c.DISCOUNT: st.integers(0, 90),
        }
    )
    return [shared | each for each in draw(st.lists(line, min_size=1, max_size=3))]


@st.composite
def line_tables(draw: st.DrawFn, max_orders: int = 12, *, named: bool | None = None) -> pl.DataFrame:
    """Clean transaction table of 1 to `max_orders` orders; order ids differ from order to order.

    `named` True: all have an id, False: none (rows of one customer and second are then one order), None: some have.
    """
    orders = draw(st.lists(order_rows(), min_size=1, max_size=max_orders))
    rows = []
    for number, order in enumerate(orders):
        has_id = draw(st.booleans()) if named is None else named
        rows += [row | {c.ORDER: f"o{number}" if has_id else None} for row in order]
    return pl.DataFrame(rows, schema=LINE_SCHEMA)


def catalogue() -> pl.DataFrame:
    """Products table to go with the tables of this module."""
    return products(*CATALOGUE)


def snapshots(max_orders: int = 12) -> st.SearchStrategy[Snapshot]:
    """Small snapshots with a catalogue."""
    return line_tables(max_orders).map(lambda table: snapshot(table, catalogue=catalogue()))
