"""Order keys: one hash for one event and for a column of rows."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.history import order_key
from recsys.data.keys import keys_of

WORD = 2**64


def fnv1a(data: bytes, state: int) -> int:
    """FNV-1a as published, in Python integers."""
    for byte in data:
        state = ((state ^ byte) * 0x100000001B3) % WORD
    return state


def finalised(word: int) -> int:
    """The 64-bit finaliser of MurmurHash3 as published."""
    word = ((word ^ (word >> 33)) * 0xFF51AFD7ED558CCD) % WORD
    word = ((word ^ (word >> 33)) * 0xC4CEB9FE1A85EC53) % WORD
    return word ^ (word >> 33)


@given(st.text(max_size=12), st.text(max_size=12))
def test_key_is_the_published_hash(customer: str, order: str) -> None:
    """The kernel computes FNV-1a and MurmurHash3's finaliser, as written down with Python integers."""
    state = finalised(fnv1a(customer.encode(), 0xCBF29CE484222325))
    assert order_key(customer, order) == finalised(fnv1a(order.encode(), state))


@given(st.lists(st.tuples(st.text(max_size=8), st.one_of(st.none(), st.text(max_size=8)), st.integers(-5, 2**40))))
def test_a_column_of_rows_has_the_keys_of_its_events(rows: list[tuple[str, str | None, int]]) -> None:
    """Rows hash as single events do; a row without an order id takes its instant."""
    customers = pl.Series([row[0] for row in rows], dtype=pl.String)
    orders = pl.Series([row[1] for row in rows], dtype=pl.String)
    seconds = np.array([row[2] for row in rows], np.int64)
    expected = [order_key(who, f"@{at}" if order is None else order) for who, order, at in rows]
    assert keys_of(customers, orders, seconds).tolist() == expected


def test_ids_do_not_run_together() -> None:
    """Customer ab with order c is not customer a with order bc."""
    assert order_key("ab", "c") != order_key("a", "bc")
