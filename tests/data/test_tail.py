"""Newer orders are packed without loss."""

from hypothesis import given
from hypothesis import strategies as st

from recsys.data.tail import EventLine, OrderEvent, PackedOrders

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
LINES = st.builds(
    EventLine,
    TEXT,
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**62), 2**62),
    st.integers(0, 2**31 - 1),
)
NAMES = (st.none() | TEXT, st.none() | TEXT, st.none() | TEXT)
ORDERS = st.builds(
    OrderEvent, TEXT, st.just("änne"), st.integers(-(2**40), 2**40), st.lists(LINES, max_size=4).map(tuple), *NAMES
)
REFUNDED = st.builds(OrderEvent, TEXT, st.just("änne"), st.integers(0, 9), st.just(()), *NAMES, st.just(True))


@given(st.lists(ORDERS | REFUNDED, max_size=5))
def test_packed_orders_are_the_orders(events):
    """Nothing is rounded or mixed up, whatever the texts hold."""
    assert tuple(PackedOrders.of(events)) == tuple(events)


@given(st.lists(ORDERS, min_size=1, max_size=4, unique_by=lambda each: each.event_id))
def test_content_tells_orders_apart(events):
    """Whoever left out the last order says something else."""
    assert PackedOrders.of(events).content != PackedOrders.of(events[:-1]).content
