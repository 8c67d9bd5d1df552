"""Remembered orders are those the database holds, whoever changed it, and take a bounded room."""

from collections.abc import Iterator

import pytest

from recsys.data.tail import EventLine, OrderEvent, PackedOrders
from recsys.store import Database, ErasureStore, Event, EventStore
from recsys.store.lately import OVERHEAD, Lately


@pytest.fixture
def stores(database_address: str) -> Iterator[tuple[EventStore, EventStore]]:
    """Two workers over one database."""
    both = EventStore(Database.open(database_address)), EventStore(Database.open(database_address))
    yield both
    for each in both:
        each.close()


def bought(event_id: str, customer_id: str = "anna", kind: str = "purchase", at: int = 1_000) -> Event:
    return Event(event_id, customer_id, kind, at, (EventLine("latte"),))


def ids_of(store: EventStore, customer_id: str = "anna") -> list[str]:
    return [order.event_id for order in store.orders_of(customer_id)]


def test_a_purchase_kept_by_another_worker_is_in_the_next_answer(stores):
    """Who remembers does not miss it."""
    one, other = stores
    one.append([bought("a")])
    ids_of(one)
    other.append([bought("b")])
    assert ids_of(one) == ["a", "b"]


def test_an_erasure_by_another_worker_counts_at_once(stores):
    """Neither the orders nor the memory of them are left."""
    one, other = stores
    one.append([bought("a")])
    ids_of(one)
    ErasureStore(other._database).erase("anna", 0)
    assert (ids_of(one), "anna" in one._lately) == ([], False)


def test_what_was_bought_after_an_erasure_comes_alone(stores):
    """As many orders as before the erasure, but others."""
    one, other = stores
    one.append([bought("a")])
    ids_of(one)
    ErasureStore(other._database).erase("anna", 0)
    other.append([bought("b", at=2_000)])
    assert ids_of(one) == ["b"]


def test_remembered_orders_are_those_that_were_read(stores):
    """The second answer is the first, looks beside them or not."""
    one, _ = stores
    one.append([bought("a"), bought("v", kind="view"), bought("b", kind="refund")])
    first = one.tail_with_looks("anna", 0)
    second = one.tail_with_looks("anna", 0)
    assert (tuple(second.orders), second[1:]) == (tuple(first.orders), first[1:])


def test_orders_up_to_a_number_are_read_as_they_were(stores):
    """A replay sees no later order, though it is remembered."""
    one, _ = stores
    one.append([bought("a"), bought("b")])
    ids_of(one)
    assert [order.event_id for order in one.tail_with_looks("anna", 0, 1).orders] == ["a"]


def test_what_was_read_longest_ago_makes_room():
    """Memory is bounded in bytes."""
    orders = [PackedOrders.of([OrderEvent(str(k), str(k), 0, ())]) for k in range(3)]
    kept = Lately(2 * (orders[0].nbytes + OVERHEAD))
    for each in orders:
        kept.keep(each[0].customer_id, 1, each)
    assert [str(k) in kept for k in range(3)] == [False, True, True]


def test_orders_read_before_an_erasure_are_not_remembered_after_it(stores, monkeypatch):
    """The thread that read them was held up until the memory was emptied."""
    one, other = stores
    one.append([bought("a")])
    erasures, read = ErasureStore(other._database), one._read_orders

    def late(*arguments):
        tail = read(*arguments)
        erasures.erase("anna", 2_000)
        one.forget_erased(erasures.tombstones())
        return tail

    monkeypatch.setattr(one, "_read_orders", late)
    assert (ids_of(one), one._lately.customers()) == (["a"], [])
