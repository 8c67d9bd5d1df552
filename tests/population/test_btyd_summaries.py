"""Summaries: purchase days, recency, age and repeat spend, for one customer and for the whole base."""

import numpy as np

from recsys.data.clock import DAY
from recsys.data.tail import rows_at
from recsys.population.btyd import Summary, summaries, summary
from recsys.testing.builders import at, event, random_snapshot, snapshot


def seen(whole, as_of: str):
    return summaries(whole.history.arrays(), whole.history.order_start, at(as_of), whole.zone())


def test_summary_by_hand() -> None:
    """Orders of one day merge, the first day is left out of the mean, a refund alone is no purchase."""
    whole = snapshot(
        "ann latte 2024-03-01T08:00 1x9.00 order=a",
        "ann bun 2024-03-11T08:00 1x2.00 order=b",
        "ann latte 2024-03-11T18:00 1x4.00 order=c",
        "ann latte 2024-03-12T09:00 -1x4.00 order=d",
        "ann latte 2024-03-31T08:00 1x8.00 order=e",
    )
    found = seen(whole, "2024-04-10T12:00")
    assert [each[0] for each in found] == [2, 30.0, 40.0, 700.0, 3]


def test_later_orders_are_not_seen() -> None:
    """At an instant between two purchases the customer is a one-time buyer."""
    whole = snapshot("ann latte 2024-03-01 1x9.00 order=a", "ann latte 2024-03-11 1x2.00 order=b")
    assert [each[0] for each in seen(whole, "2024-03-10")] == [0, 0.0, 9.0, 0.0, 1]


def test_days_are_those_of_the_business() -> None:
    """Two orders around midnight in Sydney are two days, though the same day in UTC."""
    whole = snapshot("ann latte 2024-03-01T12:30 order=a", "ann latte 2024-03-01T13:30 order=b")
    assert seen(whole.with_facts(timezone="Australia/Sydney"), "2024-03-02").n[0] == 2


def test_refund_only_customer_has_no_purchase() -> None:
    """A customer with nothing but a return has n = 0 and zeros."""
    assert [each[0] for each in seen(snapshot("ann latte 2024-03-01 -1x9.00 order=a"), "2024-03-10")] == [0] * 5


def test_one_customer_equals_the_base() -> None:
    """The summary of each customer alone equals the row of the whole base, bit for bit."""
    whole = random_snapshot(11)
    arrays, zone, as_of = whole.history.arrays(), whole.zone(), whole.as_of - 10 * DAY
    together = summaries(arrays, whole.history.order_start, as_of, zone)
    alone = [summary(arrays, *whole.history.span(i), as_of, zone) for i in range(whole.history.n_customers)]
    assert all(np.array_equal(column, row) for column, row in zip(together, zip(*alone, strict=True), strict=True))


def test_a_new_purchase_counts_at_once() -> None:
    """A purchase in the tail changes the summary the same kernel gives."""
    whole = snapshot("ann latte 2024-03-01 1x9.00 order=a")
    rows = rows_at(whole, 0, at("2024-03-21"), [event("e1", "ann latte 2024-03-11 1x3.00 order=b")])
    assert summary(rows.arrays, rows.low, rows.high, rows.as_of, whole.zone()) == Summary(1, 10.0, 20.0, 300.0, 2)
