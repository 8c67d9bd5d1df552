"""Labels against a count by hand."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.features.labels import outcomes
from recsys.testing.builders import at, snapshot
from recsys.testing.strategies import snapshots
from tests.features.twin import orders_of


def test_window_is_open_at_its_start_and_closed_at_its_end() -> None:
    """An order at as_of is known, one exactly a horizon later is an outcome, one second later is not."""
    whole = snapshot(
        "ann latte 2024-01-10 1x1.00 order=a",
        "ann latte 2024-01-17 1x2.00 order=b",
        "ann latte 2024-01-17T00:00:01 1x4.00 order=c",
    )
    found = outcomes(whole, np.array([0]), at("2024-01-10"), 7)
    assert (found.orders[0], found.spend[0], found.next_days[0]) == (1, 200, 7.0)


@given(whole=snapshots(), back=st.integers(1, 50), horizon=st.sampled_from([1, 10, 30]))
@settings(max_examples=60, deadline=None)
def test_outcomes_equal_a_count_by_hand(whole: Snapshot, back: int, horizon: int) -> None:
    """Orders, spend and items of the window equal what reading its orders one by one gives."""
    as_of = whole.as_of - back * DAY
    found = outcomes(whole, np.arange(whole.history.n_customers), as_of, horizon)
    for customer in range(whole.history.n_customers):
        inside = [o for o in orders_of(whole, customer, as_of + horizon * DAY) if o.time > as_of]
        items = sorted({item for o in inside for item, quantity, _, _ in o.lines if quantity > 0})
        part = found.items[found.item_start[customer] : found.item_start[customer + 1]]
        assert (found.orders[customer], found.spend[customer], part.tolist()) == (
            sum(o.bought for o in inside),
            sum(o.spend for o in inside),
            items,
        )
