"""Assembling at scale equals the definition written down plainly."""

from itertools import product
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data import columns as c
from recsys.data.assemble import assemble, assemble_coded
from recsys.data.coding import Coder
from recsys.data.history import UNKNOWN_CODE, order_key
from recsys.data.snapshot import SnapshotFacts

ids = st.sampled_from(["a", "b", "ж", "aa", "10", "9"])
places = st.one_of(st.none(), st.sampled_from(["s1", "s2", "s3"]))
rows = st.lists(
    st.fixed_dictionaries(
        {
            c.CUSTOMER: ids,
            c.PRODUCT: ids,
            c.ORDER: st.one_of(st.none(), st.sampled_from(["o1", "o2"])),
            c.STORE: places,
            c.CHANNEL: places,
            c.TIME: st.integers(0, 3),
            c.QUANTITY: st.sampled_from([-1.0, -0.0, 0.0, 1.0, 2.5]),
            c.AMOUNT: st.integers(-2, 2),
            c.DISCOUNT: st.integers(0, 1),
        }
    ),
    min_size=1,
    max_size=60,
)
SCHEMA: dict[str, Any] = {
    **dict.fromkeys((c.CUSTOMER, c.PRODUCT, c.ORDER, c.STORE, c.CHANNEL), pl.String),
    c.TIME: pl.Int64,
    c.QUANTITY: pl.Float64,
    c.AMOUNT: pl.Int64,
    c.DISCOUNT: pl.Int64,
}


def arrays_of(snapshot: Any) -> dict[str, list[Any]]:
    """Ids and arrays of a snapshot as plain lists."""
    history = snapshot.history
    found = {name: getattr(history, name).tolist() for name in ("order_start", *history.arrays()._fields)}
    lists = {"customers": snapshot.customers, "stores": snapshot.stores, "channels": snapshot.channels}
    return {
        **found,
        **{name: list(each) for name, each in lists.items()},
        "products": list(snapshot.catalogue.products),
    }


def twin(table: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """`PurchaseHistory` as its docstring defines it, with dictionaries and sorts."""
    customers = sorted({row[c.CUSTOMER] for row in table}, key=str.encode)
    products = sorted({row[c.PRODUCT] for row in table}, key=str.encode)
    key = {id(row): order_key(row[c.CUSTOMER], row[c.ORDER] or f"@{row[c.TIME]}") for row in table}
    orders: dict[tuple[int, int, int], list[tuple[Any, ...]]] = {}
    far = "\U0010ffff"  # unknown places sort last
    for row in table:
        line = (products.index(row[c.PRODUCT]), row[c.QUANTITY] + 0.0, row[c.AMOUNT], row[c.DISCOUNT])
        owner = (customers.index(row[c.CUSTOMER]), row[c.TIME], key[id(row)])
        orders.setdefault(owner, []).append((*line, row[c.STORE] or far, row[c.CHANNEL] or far))
    sequence = sorted(orders)
    lines = {owner: sorted(orders[owner]) for owner in sequence}
    first = [lines[owner][0] for owner in sequence]
    stores = sorted({line[4] for line in first} - {far})
    channels = sorted({line[5] for line in first} - {far})
    flat = [line for owner in sequence for line in lines[owner]]
    counts = [sum(owner[0] == customer for owner in sequence) for customer in range(len(customers))]
    return {
        "order_start": [0, *np.cumsum(counts).tolist()],
        "order_time": [owner[1] for owner in sequence],
        "order_key": [owner[2] for owner in sequence],
        "order_store": [stores.index(line[4]) if line[4] != far else UNKNOWN_CODE for line in first],
        "order_channel": [channels.index(line[5]) if line[5] != far else UNKNOWN_CODE for line in first],
        "line_start": [0, *np.cumsum([len(lines[owner]) for owner in sequence]).tolist()],
        "line_product": [line[0] for line in flat],
        "line_quantity": [line[1] for line in flat],
        "line_amount": [line[2] for line in flat],
        "line_discount": [line[3] for line in flat],
        "customers": customers,
        "stores": stores,
        "channels": channels,
        "products": products,
    }


@settings(max_examples=150, deadline=None)
@given(rows)
def test_arrays_equal_the_plain_definition(table: list[dict[str, Any]]) -> None:
    """Coding, counting sort and kernels give what dictionaries and sorts give."""
    snapshot = assemble(pl.DataFrame(table, schema=SCHEMA), SnapshotFacts(0))
    assert arrays_of(snapshot) == twin(table)


def test_lines_of_one_order_are_sorted_by_every_column() -> None:
    """All combinations of two values a column, shuffled within one order, come out as the definition sorts them."""
    pairs = [("p", "q"), (1.0, 2.0), (1, 2), (0, 1), ("s1", "s2", None), ("c1", "c2", None)]
    columns = (c.PRODUCT, c.QUANTITY, c.AMOUNT, c.DISCOUNT, c.STORE, c.CHANNEL)
    table = [
        {c.CUSTOMER: "a", c.TIME: 0, c.ORDER: "o", **dict(zip(columns, values, strict=True))}
        for values in product(*pairs)
    ]
    shuffled = [table[i] for i in np.random.default_rng(3).permutation(len(table))]
    assert arrays_of(assemble(pl.DataFrame(shuffled, schema=SCHEMA), SnapshotFacts(0))) == twin(table)


@settings(max_examples=30, deadline=None)
@given(rows, st.integers(1, 7), st.randoms(use_true_random=False))
def test_chunks_and_row_order_change_nothing(table: list[dict[str, Any]], size: int, random: Any) -> None:
    """Shuffled rows in chunks of any size give the arrays of the whole table."""
    whole = assemble(pl.DataFrame(table, schema=SCHEMA), SnapshotFacts(0))
    shuffled = random.sample(table, len(table))
    coder = Coder()
    for start in range(0, len(shuffled), size):
        coder.add(pl.DataFrame(shuffled[start : start + size], schema=SCHEMA))
    assert arrays_of(assemble_coded(coder, SnapshotFacts(0))) == arrays_of(whole)


def test_a_customer_of_many_lines_is_sorted() -> None:
    """More lines than a run of the merge sort holds come out by time, whatever order they came in."""
    times = np.random.default_rng(7).permutation(5_000)
    table = pl.DataFrame(
        {c.CUSTOMER: "a", c.PRODUCT: "p", c.TIME: times, c.QUANTITY: 1.0, c.AMOUNT: times.astype(np.int64)}
    )
    history = assemble(table, SnapshotFacts(0)).history
    assert history.line_amount.tolist() == list(range(5_000))
