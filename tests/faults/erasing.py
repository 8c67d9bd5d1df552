"""An erasure killed at any of its steps: what is left of the customer, and what comes back later."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from recsys.decisioning.record import DecisionRecord
from recsys.store import AnswerStore, Database, DecisionStore, ErasureStore, Event, EventStore, Journal
from recsys.store.idempotency import Kept
from recsys.store.journal import Journal as _Journal
from tests.faults.stepwise import die_at, steps_of

CANARY = "canary4711"
"""The customer that is erased."""

UPTO = 100


def fill(address: str) -> None:
    """Events, decisions and kept answers of the canary and of somebody else."""
    database = Database.open(address)
    events = [Event(f"{who}-{k}", who, "purchase", 10 + k) for who in (CANARY, "bob") for k in range(5)]
    EventStore(database).append(events)
    DecisionStore(database).append([decision(k, who) for k, who in enumerate((CANARY, "bob", CANARY))])
    answers = AnswerStore(database)
    for who in (CANARY, "bob"):
        answers.begin("o", f"k{len(who)}", "f")
        answers.finish("o", f"k{len(who)}", Kept(200, "application/json", f'{{"of":"{who}"}}'.encode()), [who])
    database.close()


def decision(number: int, customer: str, at: int = 50) -> DecisionRecord:
    """A made-up decision."""
    return DecisionRecord(f"{number:032x}", customer, "s1", at, msgspec.Raw(b"{}"))


def erase(database: Database) -> object:
    """What the service does on `DELETE /v1/customers/{id}`."""
    return ErasureStore(database).erase(CANARY, upto=UPTO, now=UPTO)


def held(database: Database) -> dict[str, int]:
    """Rows of each table that say anything of the canary."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    if not database.is_sqlite:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    found = {}
    for (table,) in database.fetch(query, ()):
        rows = database.fetch(f'SELECT * FROM "{table}"', ())
        count = sum(any(CANARY.encode() in _bytes(value) for value in row) for row in rows)
        found |= {table: count} if count else {}
    return found


def _bytes(value: object) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


WHOLE = {"events": 5, "decisions": 2, "idempotent_answers": 1, "idempotent_customers": 1}
"""What is held before; an erasure leaves all of it or none."""


def comes_back(database: Database, journals: Path) -> bool:
    """Whether anything old of the canary returns by a repeated report, or by a journal that waited meanwhile."""
    outcomes = EventStore(database).append([Event(f"{CANARY}-0", CANARY, "purchase", 10)])
    journal = Journal(journals)
    journal.append([decision(9, CANARY)])
    journal.release()
    upload(journal, database)
    return outcomes != ["erased"] or bool(held(database))


def upload(journal: _Journal, database: Database) -> None:
    """What a worker does with journals."""
    for path in journal.waiting():
        with journal.claimed(path) as records:
            DecisionStore(database).upload(list(records or []))


def killed_at_each_step(addresses: Iterator[str], place: Path) -> list[tuple[int, str]]:
    """Kill an erasure at each of its steps, each time with a database of its own; step and fault of those with one."""
    first = next(addresses)
    fill(first)
    faults: list[tuple[int, str]] = []
    for step in range(1, steps_of(erase, first) + 1):
        address = next(addresses)
        fill(address)
        faults += [(step, fault) for fault in _killed(address, step, place / str(step))]
    return [(0, "no steps")] if not step else faults


def _killed(address: str, step: int, journals: Path) -> list[str]:
    """Faults of one erasure killed at `step` and repeated after a restart."""
    faults = [] if die_at(erase, address, step) else ["it was not killed"]
    database = Database.open(address)
    left = held(database)
    if left not in ({}, WHOLE):
        faults.append(f"half erased: {left}")
    erase(database)
    if held(database):
        faults.append(f"still held: {held(database)}")
    if comes_back(database, journals):
        faults.append("it came back")
    if EventStore(database).count() != 5 or DecisionStore(database).find(decision(1, "bob").decision_id) is None:
        faults.append("others are gone")
    files = database.address.database if database.is_sqlite else None
    database.close()
    return [*faults, *_in_files(files)]


def _in_files(database: str | None) -> list[str]:
    """Files of a SQLite database that hold a byte of it."""
    paths = [Path(database + end) for end in ("", "-wal", "-journal")] if database else []
    return [f"bytes in {path.name}" for path in paths if path.exists() and CANARY.encode() in path.read_bytes()]
