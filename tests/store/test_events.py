"""The event store keeps each event once and gives a customer's orders back as they were reported."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from threading import Barrier, Thread

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from recsys.data.history import order_key
from recsys.data.looks import MOST_LOOKS
from recsys.data.tail import EventLine, OrderEvent
from recsys.errors import SettingsError, StoreError, StoreUnavailable
from recsys.store import KINDS, Database, ErasureStore, Event, EventStore

LATTE = EventLine("latte", 2.0, 700, 50)


@pytest.fixture
def store(database_address: str) -> Iterator[EventStore]:
    store = EventStore(Database.open(database_address))
    yield store
    store.close()


def purchase(event_id: str = "e1", customer_id: str = "anna", **changes) -> Event:
    return replace(Event(event_id, customer_id, "purchase", 1_000, (LATTE,), "o1", "s1", "web", "d1"), **changes)


def test_an_appended_purchase_comes_back_as_the_same_order(store):
    """What was reported is what a history gets."""
    store.append([purchase()])
    assert store.orders_of("anna") == (OrderEvent("e1", "anna", 1_000, (LATTE,), "o1", "s1", "web"),)


def test_outcomes_tell_new_repeated_and_conflicting_events_apart(store):
    """A repeated id with the same body is a repetition, with another body a conflict."""
    store.append([purchase()])
    outcomes = store.append([purchase(), purchase(occurred_at=1_001), purchase("e2"), purchase("e2"), purchase("e3")])
    assert outcomes == ["repeated", "conflicting", "accepted", "repeated", "accepted"]


@pytest.mark.parametrize(
    "changes",
    [
        {"customer_id": "ben"},
        {"kind": "refund"},
        {"occurred_at": 999},
        {"lines": (structs.replace(LATTE, discount=51),)},
        {"lines": ()},
        {"order_id": None},
        {"store_id": "s2"},
        {"channel": None},
        {"decision_id": "d2"},
    ],
)
def test_every_field_counts_when_two_events_share_an_id(store, changes):
    """No difference is lost silently."""
    store.append([purchase()])
    assert store.append([purchase(**changes)]) == ["conflicting"]


def test_a_conflicting_event_changes_nothing(store):
    """The first report stands."""
    store.append([purchase()])
    store.append([purchase(lines=())])
    assert store.orders_of("anna")[0].lines == (LATTE,)


def test_only_purchases_and_refunds_are_orders(store):
    """Views, carts and outcomes are kept but never enter a history."""
    store.append([purchase(kind, kind=kind) for kind in sorted(KINDS)])
    assert [(order.event_id, order.refund) for order in store.orders_of("anna")] == [
        ("purchase", False),
        ("refund", True),
    ]


def test_orders_come_in_the_sequence_they_were_received(store):
    """The first of two reports of one order wins later on, so the sequence is part of the answer."""
    store.append([purchase("z", occurred_at=5), purchase("a", occurred_at=9)])
    store.append([purchase("m", occurred_at=1)])
    assert [order.event_id for order in store.orders_of("anna")] == ["z", "a", "m"]


def test_one_read_of_everybody_equals_the_reads_of_each(store):
    """A night's batch sees what requests see."""
    store.append([purchase(f"e{i}", f"c{i % 7}", occurred_at=i) for i in range(50)])
    assert store.orders_by_customer() == {f"c{i}": store.orders_of(f"c{i}") for i in range(7)}


def test_a_read_between_two_sequence_numbers_leaves_out_what_came_before_and_after(store):
    """A batch that runs while events arrive stays with what it started from."""
    store.append([purchase("e1")])
    first = store.last_sequence()
    store.append([purchase("e2")])
    second = store.last_sequence()
    store.append([purchase("e3")])
    assert [order.event_id for order in store.orders_by_customer(first, second)["anna"]] == ["e2"]


def test_last_sequence_of_a_customer_ignores_others(store):
    """A decision names the last event of its own customer."""
    store.append([purchase("e1"), purchase("e2", "ben")])
    assert (store.last_sequence("anna"), store.last_sequence("ben"), store.last_sequence("nobody")) == (1, 2, 0)


def test_an_erased_customer_is_gone_and_others_stay(store):
    """Erasure takes one customer only."""
    store.append([purchase("e1"), purchase("e2"), purchase("e3", "ben")])
    receipt = ErasureStore(store._database).erase("anna", 0)
    assert (receipt.events, store.orders_of("anna"), len(store.orders_of("ben"))) == (2, (), 1)


def test_sequence_numbers_are_never_used_again(store):
    """A watermark taken before an erasure still separates old from new."""
    store.append([purchase("e1")])
    ErasureStore(store._database).erase("anna", 0)
    store.append([purchase("e2", occurred_at=2_000)])
    assert store.last_sequence() == 2


def test_orders_after_an_instant_are_counted(store):
    """Status says how much happened since the data ends."""
    store.append([purchase("e1", occurred_at=10), purchase("e2", occurred_at=11), purchase("v", kind="view")])
    assert (store.count(), store.count_orders(after=10)) == (3, 1)


def test_the_instants_of_kept_events_are_found_by_id(store):
    """A report repeated without an instant takes the one it was kept with."""
    store.append([purchase("e1", occurred_at=10), purchase("e2", occurred_at=11)])
    assert store.instants_of(["e2", "e9", "e1"]) == {"e1": 10, "e2": 11}


def test_the_order_key_is_kept_as_a_signed_number(store):
    """An import finds the events it already has by their key."""
    store.append([purchase()])
    found = store._database.fetch("SELECT order_key FROM events", ())[0][0]
    assert found % 2**64 == order_key("anna", "o1")


def test_events_survive_closing_and_opening_again(database_address):
    """An acknowledged event is on the disk."""
    first = EventStore(Database.open(database_address))
    first.append([purchase()])
    first.close()
    assert len(EventStore(Database.open(database_address)).orders_of("anna")) == 1


def test_threads_appending_at_once_lose_nothing(store):
    """Every event of every thread is kept, under its own sequence number."""

    def add(worker: int) -> None:
        for i in range(20):
            store.append([purchase(f"{worker}-{i}")])

    threads = [Thread(target=add, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(store.orders_of("anna")), store.last_sequence()) == (80, 80)


def test_more_threads_than_pooled_connections_read_at_once(store):
    """Each thread of a busy service has its own reader and none waits for a free one."""
    store.append([purchase()])
    found, barrier = [], Barrier(30, timeout=60)

    def read() -> None:
        found.append(len(store.orders_of("anna")))
        barrier.wait()

    threads = [Thread(target=read) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 30


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(blacklist_categories=["Cs"])), st.floats(-1e6, 1e6), st.integers(-(2**53), 2**53)
        )
    )
)
def test_any_line_comes_back_bit_for_bit(tmp_path_factory, rows):
    """Ids in any script, fractions and large amounts survive the database."""
    store = EventStore(Database.open(tmp_path_factory.mktemp("store") / "events.db"))
    lines = tuple(EventLine(product, quantity, amount) for product, quantity, amount in rows)
    store.append([purchase(lines=lines)])
    assert store.orders_of("anna")[0].lines == lines


def test_a_database_that_can_not_be_opened_is_unavailable(tmp_path):
    """A wrong path is told as such, not as a traceback of a driver."""
    with pytest.raises(StoreUnavailable, match="unable to open"):
        Database.open(tmp_path / "nowhere" / "events.db")


def test_a_server_that_does_not_answer_is_unavailable():
    """Postgres down is trouble of the moment, and the password stays out of the message."""
    with pytest.raises(StoreUnavailable) as caught:
        Database.open("postgresql://barista:secret@127.0.0.1:1/barista")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("ask", [Database.fetch, Database.run])
def test_a_connection_that_breaks_within_an_answer_is_replaced(postgres, ask):
    """Psycopg says it by an error without SQLSTATE, of no class of its own; the statement is asked once more."""
    database = Database.open(postgres.new_database())
    database.fetch("SELECT 1", ())
    cursor = Broken(psycopg.DatabaseError("server closed the connection unexpectedly"))
    database._local.cursor = cursor
    ask(database, "SELECT 1", ())
    assert (cursor.asked, database.fetch("SELECT 1", ())) == (1, [(1,)])
    database.close()


@pytest.mark.parametrize("ask", [Database.fetch, Database.run])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.InsufficientPrivilege("denied to anna"), "InsufficientPrivilege 42501"),
        (psycopg.errors.DataCorrupted("page of anna"), "DataCorrupted XX001"),
        (psycopg.errors.UndefinedTable("no table of anna"), "UndefinedTable 42P01"),
        (psycopg.errors.UntranslatableCharacter("anna"), "UntranslatableCharacter 22P05"),
        (sqlite3.DatabaseError("row of anna"), "DatabaseError"),
    ],
)
def test_what_a_driver_refuses_is_an_error_of_the_store(tmp_path, ask, error, kind):
    """On the fast path as in a transaction; its kind is told, its words are not: they may hold values of rows."""
    database = Database.open(tmp_path / "events.db")
    database.fetch("SELECT 1", ())
    database._local.cursor = Broken(error)
    with pytest.raises(StoreError) as caught:
        ask(database, "SELECT 1", ())
    assert caught.value.message() == f"The database refused; found {kind!r}."


class Broken:
    """A cursor of a connection that breaks."""

    def __init__(self, error: Exception) -> None:
        self._error, self.asked = error, 0

    def execute(self, *_asked: object) -> None:
        self.asked += 1
        raise self._error


def after(first: Exception, error: Exception) -> Exception:
    """`error` as one raised while `first` was dealt with."""
    error.__context__ = first
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (psycopg.DatabaseError("server closed the connection unexpectedly"), StoreUnavailable),
        (psycopg.errors.AdminShutdown("terminating connection"), StoreUnavailable),
        (
            after(psycopg.OperationalError("lost"), psycopg.ProgrammingError("can't change 'autocommit'")),
            StoreUnavailable,
        ),
        (psycopg.ProgrammingError("can't adapt"), StoreError),
        (psycopg.errors.DataException("no such number"), StoreError),
        (sqlite3.DatabaseError("database disk image is malformed"), StoreError),
    ],
)
def test_only_a_connection_that_broke_is_trouble_of_the_moment(tmp_path, error, expected):
    """Whatever else the driver says will not be gone a second later, so nobody is asked to come back."""
    with pytest.raises(StoreError) as caught, Database.open(tmp_path / "events.db").writing():
        raise DBAPIError.instance("INSERT", (), error, type(error).__mro__[-4])
    assert type(caught.value) is expected


@pytest.mark.parametrize("address", ["mysql://localhost/x", "not an address"])
def test_an_address_of_an_unknown_database_is_refused(address):
    """Only SQLite and Postgres are known."""
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        Database.open(address)


def test_a_failed_batch_keeps_nothing(store):
    """All events of one call are kept, or none."""
    with pytest.raises((OverflowError, StoreError)):
        store.append([purchase("e1"), purchase("e2", occurred_at=2**80)])
    assert store.count() == 0


def test_a_commit_waits_for_the_disk_even_where_that_is_off_by_default(postgres):
    """A Postgres whose databases answer commits early is asked to wait; that it never syncs is told once."""
    address = postgres.new_database()
    postgres.run(f"ALTER DATABASE {address.partition('?')[0].rpartition('/')[2]} SET synchronous_commit = off")
    with capture_logs() as lines:
        database = Database.open(address)
        with database.reading() as one, database.reading() as other:
            found = [each.execute(text("SHOW synchronous_commit")).scalar() for each in (one, other)]
        found += database.fetch("SHOW synchronous_commit", ())[0]
    database.close()
    assert (found, [line["event"] for line in lines]) == (["on"] * 3, ["database does not sync"])


def test_a_writer_asks_often_while_another_program_holds_the_lock(tmp_path, monkeypatch):
    """Never more than two milliseconds apart, however long it lasts: a process among busy ones gets its turn."""
    database, pauses = Database.open(tmp_path / "events.db"), []
    with closing(sqlite3.connect(tmp_path / "events.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 50:
                other.execute("COMMIT")

        monkeypatch.setattr("recsys.store.turns.time.sleep", pause)
        outcome = EventStore(database).append([purchase()])
    assert (outcome, len(pauses), max(pauses) <= 0.002) == (["accepted"], 50, True)


def test_writers_of_one_process_wait_for_each_other_no_longer_than_they_are_patient(tmp_path):
    """A turn that does not end is told as a database that can't be reached, not waited for."""
    database = Database.open(tmp_path / "events.db")
    database.answer_within(0.05)
    found = []

    def other() -> None:
        with pytest.raises(StoreUnavailable) as caught:
            EventStore(database).append([purchase()])
        found.append(caught.value.found)

    with database.writing():
        thread = Thread(target=other)
        thread.start()
        thread.join()
    assert (found, EventStore(database).append([purchase()])) == (["database is locked"], ["accepted"])


def viewed(event_id: str, kind: str = "view", at: int = 1_000, customer_id: str = "anna") -> Event:
    return Event(event_id, customer_id, kind, at, (EventLine("latte"), EventLine("tea")))


def test_looks_come_with_the_orders_and_are_none(store):
    """Views, clicks and carts after an instant; what was shown, accepted or declined is not the customer's look."""
    store.append([viewed("v1"), purchase("e1"), viewed("v2", "cart"), viewed("v3", "clicked"), viewed("v4", at=400)])
    store.append([viewed(kind, kind) for kind in ("shown", "accepted", "declined")])
    tail = store.tail_with_looks("anna", 400)
    assert (len(tail.orders), [(look.product_ids[0], look.cart) for look in tail.looks], tail.last_sequence) == (
        1,
        [("latte", False), ("latte", True), ("latte", False)],
        4,
    )
    assert store.tail_of("anna").orders == tail.orders


def test_of_many_looks_the_newest_are_read_now_and_later(store):
    """At a sequence number they are those that were the newest then, for one customer and for all."""
    store.append([viewed(f"v{k}", at=2_000 + k) for k in range(MOST_LOOKS + 30)])
    upto = MOST_LOOKS + 10
    then = store.tail_with_looks("anna", 0, upto)
    assert [look.occurred_at for look in then.looks] == list(range(2_010, 2_010 + MOST_LOOKS))
    assert store.looks_by_customer(0, upto) == {"anna": then.looks}
    assert then.last_sequence == upto
