"""Whatever is written while a customer is erased, and in whatever sequence both end: nothing names them afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import msgspec
import pytest
from sqlalchemy import event

from recsys.decisioning.record import DecisionRecord
from recsys.store import AnswerStore, Database, DecisionStore, ErasureStore, Event, EventStore
from recsys.store.idempotency import Kept

STEPS = ("before_cursor_execute", "after_cursor_execute", "commit")
MOMENT = 0.05
"""How long the other writer is given at each step, unless it ends or has to wait for us anyway [s]."""

TELLING = msgspec.Raw(b'{"asked":{"attributes":{"age":"35-44"}},"offers":[]}')


@pytest.fixture(params=[1, 0], ids=["first", "later"])
def database(request: pytest.FixtureRequest, database_address: str) -> Iterator[Database]:
    """A database where nobody was erased yet, and one where somebody was."""
    database = Database.open(database_address)
    if not request.param:
        ErasureStore(database).erase("somebody", 10)
    yield database
    database.close()


def decision(number: int, customer: str, erasures: int = 0, at: int = 2**40) -> DecisionRecord:
    """A decision that knew so many erasures, made ages after any, by its clock."""
    return DecisionRecord(f"{number:032x}", customer, "s1", at, TELLING, erasures)


def known(database: Database) -> int:
    """How many erasures a request that begins now knows."""
    return EventStore(database).tail_with_looks("anybody", 0).erasures


def names(database: Database) -> list[str]:
    """Whom kept decisions name, but for whom a pseudonym stands."""
    found = [row[0] for row in database.fetch("SELECT customer_id FROM decisions", ())]
    return sorted("erased" if name.startswith("erased:") else name for name in found)


def kept(database: Database, records: list[DecisionRecord]) -> Thread:
    """Keep decisions over connections of another process."""
    other = Database.unprepared(database.address.render_as_string(hide_password=False))
    thread = Thread(target=lambda: (DecisionStore(other).append(records), other.close()))
    thread.start()
    return thread


@contextmanager
def at_step(database: Database, step: int, act: object) -> Iterator[list[int]]:
    """Do something at one step of what the block does to a database; gives how many steps it took."""
    passed = [0]

    def seen(*_arguments: object, **_named: object) -> None:
        passed[0] += 1
        if passed[0] == step:
            act()

    for moment in STEPS:
        event.listen(database._engine, moment, seen)
    yield passed
    for moment in STEPS:
        event.remove(database._engine, moment, seen)


def test_a_decision_written_at_any_step_of_an_erasure_names_nobody(database):
    """It was computed before; its row comes before the erasure's transaction, within it or after it."""
    step, steps, threads = 1, 99, []
    while step <= steps:
        customer, knew = f"ann{step}", known(database)

        def write(customer: str = customer, knew: int = knew, step: int = step) -> None:
            threads.append(kept(database, [decision(step, customer, knew), decision(1_000 + step, "bob", knew)]))
            threads[-1].join(MOMENT)

        DecisionStore(database).append([decision(2_000 + step, customer, knew)])
        with at_step(database, step, write) as passed:
            ErasureStore(database).erase(customer, 10)
        threads[-1].join()
        steps, step = passed[0], step + 1
    assert (steps > 8, names(database)) == (True, ["bob"] * steps + ["erased"] * 2 * steps)


def test_an_erasure_waits_for_a_decision_that_is_being_written(database):
    """A row that is written and not committed yet is not overlooked."""
    store, record = DecisionStore(database), decision(1, "ann", known(database))
    values = (record.erasures, record.decision_id, "ann", "s1", record.decided_at, bytes(TELLING).decode())
    other = Database.unprepared(database.address.render_as_string(hide_password=False))
    erasing = Thread(target=lambda: ErasureStore(other).erase("ann", 10))
    with database._engine.begin() as connection:
        connection.exec_driver_sql(store.statement(1), values)
        erasing.start()
        erasing.join(4 * MOMENT)
        waits = erasing.is_alive()
    erasing.join()
    assert (waits, names(database), b"35-44" in bytes(store.find(record.decision_id).content)) == (
        True,
        ["erased"],
        False,
    )


@pytest.mark.parametrize(("erasures", "named"), [(0, "erased"), (1, "erased"), (2, "ann")])
def test_a_decision_names_whom_it_knew_to_be_erased(database_address, erasures, named):
    """Whoever comes back after an erasure is a new acquaintance; clocks have no say in what came first."""
    database = Database.open(database_address)
    for who, now in (("bob", 2**41), ("ann", 5)):
        ErasureStore(database).erase(who, 10, now=now)
    DecisionStore(database).append([decision(1, "ann", erasures)])
    assert names(database) == [named]


def test_a_decision_between_two_erasures_takes_the_name_of_the_second(database):
    """The receipt it names is the one of the erasure that took it."""
    first, knew = ErasureStore(database).erase("ann", 10), known(database)
    second = ErasureStore(database).erase("ann", 20)
    DecisionStore(database).append([decision(1, "ann", knew), decision(2, "ann", knew - 1)])
    found = [DecisionStore(database).find(f"{number:032x}").customer_id for number in (1, 2)]
    assert found == [f"erased:{second.receipt_id}", f"erased:{first.receipt_id}"]


def test_an_answer_finished_after_an_erasure_is_not_kept(database):
    """It was begun before; a repetition under its key runs anew, an answer begun afterwards is kept."""
    answers, kept_answer = AnswerStore(database), Kept(200, "application/json", b'{"customer_id":"ann"}')
    late = answers.begin("o", "late", "f")
    ErasureStore(database).erase("ann", 10)
    after = answers.begin("o", "after", "f")
    answers.finish("o", "late", kept_answer, ["ann", "bob"], late.erasures)
    answers.finish("o", "after", kept_answer, ["ann", "bob"], after.erasures)
    assert [answers.begin("o", key, "f").state for key in ("late", "after")] == ["run", "kept"]


def test_newer_orders_of_the_erased_leave_the_memory(database):
    """A process that answered for them forgets them with its next reading of the tombstones, and nobody else."""
    events = EventStore(database)
    events.append([Event(who, who, "purchase", 5) for who in ("ann", "bob")])
    for who in ("ann", "bob"):
        events.tail_with_looks(who, 0)
    ErasureStore(database).erase("ann", 10)
    events.forget_erased(ErasureStore(database).tombstones())
    assert events._lately.customers() == ["bob"]


def test_decisions_that_knew_all_erasures_take_one_statement(database):
    """Nobody is asked about single customers, and no transaction is begun that would hold other writers up."""
    records = [decision(number, f"c{number}", known(database)) for number in range(3)]
    with at_step(database, 0, None) as passed:
        DecisionStore(database).append(records)
    assert (passed, names(database)) == ([0], ["c0", "c1", "c2"])


def restored(database: Database) -> None:
    """As a backup of before the first erasure brings it back: numbers begin again."""
    with database.writing() as connection:
        for statement in ("DELETE FROM erasures", "DELETE FROM erasure_secret", "UPDATE erasure_gate SET erasures = 0"):
            connection.exec_driver_sql(statement)


def test_a_journal_from_before_a_restore_names_nobody_erased_after_it(database_address):
    """Its decision knew one erasure of a time that is gone; another customer's has that number again."""
    database = Database.open(database_address)
    ErasureStore(database).erase("bob", 10, now=10)
    waiting = decision(1, "ann", known(database), at=20)
    restored(database)
    ErasureStore(database).erase("ann", 100, now=100)
    DecisionStore(database).upload([waiting])
    assert names(database) == ["erased"]


def test_a_journal_names_nobody_whose_erasure_has_no_number(database_address):
    """A service of a former version erased the customer; one that asked again since is a new acquaintance."""
    database = Database.open(database_address)
    ErasureStore(database).erase("ann", 100, now=100)
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE erasures SET number = 0")
    DecisionStore(database).upload([decision(1, "ann", 1, at=20), decision(2, "ann", 1, at=101)])
    assert names(database) == ["ann", "erased"]


def test_files_know_by_a_digest_which_erasures_there_are(database_address):
    """As many others, in a database that was restored, are not the same ones."""
    database = Database.open(database_address)
    digests = [ErasureStore(database).ledger().digest]
    for who in ("ann", "bob"):
        ErasureStore(database).erase(who, 100)
        digests += [ErasureStore(database).ledger().digest for _ in range(2)]
        restored(database)
    assert ([digests[k] == digests[k + 1] for k in (1, 3)], len(set(digests))) == ([True, True], 3)


@pytest.mark.parametrize(("known_then", "at", "since"), [(0, 60, ["ann"]), (1, 60, []), (1, 50, ["ann"])])
def test_who_was_erased_since_is_told_by_number_or_instant(database_address, known_then, at, since):
    """Whoever's erasure has a higher number, or was requested at that instant or later."""
    database = Database.open(database_address)
    ErasureStore(database).erase("ann", 100, now=50)
    assert [*ErasureStore(database).ledger().since(known_then, at).among(["ann", "bob"])] == since
