"""Modes: what a new import does to what is there, and how the service's events fold in."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data.importing import Folding
from recsys.data.merging import Base, folded_in
from recsys.data.tail import EventLine, OrderEvent, rows_at
from recsys.errors import ImportRefused
from recsys.testing import builders

HEADER = "who,when,what,n,paid,bill\n"
FIRST = "ann,2024-03-01,latte,1,3.50,b1\nann,2024-03-01,muffin,1,2.00,b1\nbob,2024-03-05,tea,1,2.50,b2\n"
SECOND = "ann,2024-04-01,latte,2,7.00,b3\ncleo,2024-04-02,scone,1,3.00,b4\n"
DAY = 86_400
MARCH_1 = 1_709_251_200


def content(snapshot: Any, rows_of: Callable[[Any], Any]) -> tuple[Any, ...]:
    """Everything about a snapshot that does not depend on how it came about."""
    return rows_of(snapshot), list(snapshot.customers), snapshot.as_of, snapshot.history.order_key.tolist()


def test_append_equals_importing_both_files(shop: Any, rows_of: Callable[[Any], Any]) -> None:
    """Two imports one after the other give the snapshot of both files at once."""
    both = shop.sells(HEADER + FIRST + SECOND)
    base = shop.sells(HEADER + FIRST).base
    result = shop.sells(HEADER + SECOND, folding=Folding("append", base))
    assert content(result.snapshot, rows_of) == content(both.snapshot, rows_of)


def test_append_adds_a_known_order_once(shop: Any) -> None:
    """An overlap of two exports, orders with the same lines, does not double anything."""
    base = shop.sells(HEADER + FIRST).base
    report = shop.sells(HEADER + FIRST + SECOND, folding=Folding("append", base)).report
    assert (report.merged, report.counts["lines"]) == ({"orders_already_there": 2, "orders_added": 2}, 5)


def test_append_refuses_a_changed_order(shop: Any) -> None:
    """An order that is there with other lines is a correction, not an addition."""
    base = shop.sells(HEADER + FIRST).base
    with pytest.raises(ImportRefused, match=r"1 orders.*--mode correct"):
        shop.sells(HEADER + FIRST.replace("3.50", "3.60"), folding=Folding("append", base))


def test_correct_replaces_the_same_orders(shop: Any, rows_of: Callable[[Any], Any]) -> None:
    """An order of the new file takes the place of the same one, whole; the others stay."""
    base = shop.sells(HEADER + FIRST + SECOND).base
    correction = "ann,2024-03-02,latte,1,3.60,b1\n"
    result = shop.sells(HEADER + correction, folding=Folding("correct", base))
    expected = shop.sells(HEADER + correction + FIRST.splitlines()[2] + "\n" + SECOND)
    assert content(result.snapshot, rows_of) == content(expected.snapshot, rows_of)


def test_a_period_is_replaced(shop: Any, rows_of: Callable[[Any], Any]) -> None:
    """Orders within the period go, those outside stay, the new file's come in."""
    base = shop.sells(HEADER + FIRST + SECOND).base
    period = (MARCH_1, MARCH_1 + 31 * DAY)
    new = "dora,2024-03-07,latte,1,3.50,b9\n"
    result = shop.sells(HEADER + new, folding=Folding("replace", base, period))
    assert content(result.snapshot, rows_of) == content(shop.sells(HEADER + new + SECOND).snapshot, rows_of)


def test_rows_outside_the_period_are_refused(shop: Any) -> None:
    """A file with more than the period would double the rest."""
    base = shop.sells(HEADER + FIRST).base
    with pytest.raises(ImportRefused, match="outside the period"):
        shop.sells(HEADER + SECOND, folding=Folding("replace", base, (MARCH_1, MARCH_1 + DAY)))


def test_amounts_of_two_currencies_are_not_mixed(shop: Any) -> None:
    """An append in another currency is refused."""
    base = shop.sells(HEADER + FIRST, business={"currency": "EUR"}).base
    with pytest.raises(ImportRefused, match=r"currency.*'USD'.*'EUR'"):
        shop.sells(HEADER + SECOND, business={"currency": "USD"}, folding=Folding("append", base))


def test_customers_table_is_updated_by_id(shop: Any) -> None:
    """New rows win, old ones stay."""
    customers = {"file": "people.csv", "columns": {"customer_id": "who"}, "attributes": {"city": "city"}}
    shop.write("who,city\nann,Riga\nbob,Oslo\n", "people.csv")
    base = shop.sells(HEADER + FIRST, customers=customers).base
    shop.write("who,city\nbob,Rome\ncleo,Bern\n", "people.csv")
    result = shop.sells(HEADER + SECOND, customers=customers, folding=Folding("append", base))
    assert result.base.customers.rows() == [("ann", "Riga"), ("bob", "Rome"), ("cleo", "Bern")]


def event(name: str, order: str | None, *lines: EventLine, customer: str = "ann", at: int = MARCH_1) -> OrderEvent:
    """A purchase the service was told of."""
    return OrderEvent(name, customer, at, lines, order)


def test_events_new_to_the_file_are_added(shop: Any, rows_of: Callable[[Any], Any]) -> None:
    """An event becomes an order, also of a customer and a product the file does not know."""
    told = event("e1", "b7", EventLine("mocha", 2.0, 800), customer="zoe", at=MARCH_1 + 40 * DAY)
    result = shop.sells(HEADER + FIRST, folding=Folding(events=[told]))
    expected = shop.sells(HEADER + FIRST + "zoe,2024-04-10,mocha,2,8.00,b7\n")
    assert content(result.snapshot, rows_of) == content(expected.snapshot, rows_of)


def test_the_file_wins_over_an_event_of_the_same_order(shop: Any, rows_of: Callable[[Any], Any]) -> None:
    """One order counts once, as the file has it; the difference is reported."""
    told = event("e1", "b1", EventLine("latte", 1.0, 999))
    result = shop.sells(HEADER + FIRST, folding=Folding(events=[told]))
    assert (rows_of(result.snapshot), result.report.merged, result.report.differences) == (
        rows_of(shop.sells(HEADER + FIRST).snapshot),
        {"events_folded": 0, "events_in_source": 1, "events_differing": 1},
        [
            {
                "customer_id": "ann",
                "occurred_at": MARCH_1,
                "source": {"lines": 2, "amount": 550},
                "event": {"lines": 1, "amount": 999},
            }
        ],
    )


def test_two_events_of_one_order_count_once(shop: Any) -> None:
    """The first told counts, as it does in the tail."""
    told = [event("e1", "b7", EventLine("mocha", 1, 400)), event("e2", "b7", EventLine("mocha", 1, 500))]
    report = shop.sells(HEADER + FIRST, folding=Folding(events=told)).report
    assert (report.merged["events_folded"], report.counts["orders"]) == (1, 3)


orders = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "zoe"]),
        st.sampled_from(["b1", "b2", "b7", None]),
        st.integers(0, 40),
        st.lists(st.tuples(st.sampled_from(["latte", "mocha"]), st.integers(1, 3)), min_size=1, max_size=3),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(orders)
def test_folding_gives_the_rows_the_tail_gives(told: list[Any]) -> None:
    """A customer's rows are the same whether events are laid over the snapshot or folded into the next one."""
    base = Base(
        builders.snapshot(
            builders.lines(
                "ann latte 2024-03-01 1x3.50 order=b1",
                "bob mocha 2024-03-05 1x2.50 order=b2",
                "zoe latte 2024-03-06 1x2.50 order=b3",
            )
        )
    )
    events = [
        event(
            f"e{n}", order, *(EventLine(p, float(q), 100 * q) for p, q in lines), customer=who, at=MARCH_1 + day * DAY
        )
        for n, (who, order, day, lines) in enumerate(told)
    ]
    folded, _, _ = folded_in(base, events)
    assert [rows_of_customer(folded, who, []) for who in ("ann", "bob", "zoe")] == [
        rows_of_customer(base.snapshot, who, [each for each in events if each.customer_id == who])
        for who in ("ann", "bob", "zoe")
    ]


def rows_of_customer(snapshot: Any, who: str, events: list[OrderEvent]) -> list[Any]:
    """Arrays of a customer's rows, offsets taken from their first line."""
    arrays, low, high, _ = rows_at(snapshot, snapshot.customers.index(who), 2**40, events)
    bounds = arrays.line_start[low : high + 1].astype(int)
    lines = slice(bounds[0], bounds[-1])
    found = [arrays.order_time[low:high], arrays.order_key[low:high], bounds - bounds[0], arrays.line_product[lines]]
    return [each.tolist() for each in [*found, arrays.line_quantity[lines], arrays.line_amount[lines]]]
