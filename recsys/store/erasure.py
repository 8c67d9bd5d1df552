"""Erasure of a customer: one transaction over every table, a receipt, and a tombstone against what comes back later.

Purchases after the instant of a tombstone are a new acquaintance and are kept.
"""

import secrets
import time
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, func, or_, select, update

from recsys.decisioning.record import TELLING, without_attributes
from recsys.store.database import Database
from recsys.store.idempotency import forget_customer
from recsys.store.schema import DECISIONS, EVENTS
from recsys.store.tombstones import (
    ERASURES,
    PSEUDONYM,
    Ledger,
    Tombstones,
    erasures_of,
    first_since,
    new_secret,
    next_number,
    read_ledger,
    read_secret,
    read_tombstones,
    subject_of,
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an erasure did: rows gone from events and kept answers, decisions that name nobody any more; instants [s].

    Everything up to `erased_at` is gone.
    """

    receipt_id: str
    erased_at: int
    requested_at: int
    events: int
    decisions: int
    answers: int


class ErasureStore:
    """Erasures of one workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._secret: str | None = None
        sign = "?" if database.is_sqlite else "%s"
        self._one = f"SELECT max(erased_at) FROM erasures WHERE subject = {sign}"

    def erase(self, customer_id: str, upto: int, now: int | None = None) -> Receipt:
        """Remove a customer from every table, all or nothing; a second erasure finds nothing left and says so.

        `upto` [s] is the instant up to which nothing may come back; what was kept of the customer moves it to its own
        last instant, which lies later when the clock was set back. Kept decisions name `erased:<receipt>` instead and
        lose attributes of the person.

        Raises:
            StoreUnavailable: nothing was erased.
        """
        receipt_id, at = secrets.token_hex(16), int(time.time()) if now is None else now
        with self._database.writing() as connection:
            secret = read_secret(connection) or new_secret(connection)
            last = connection.execute(select(func.max(EVENTS.c.occurred_at)).where(EVENTS.c.customer_id == customer_id))
            upto = max(upto, last.scalar() or 0)
            events = connection.execute(delete(EVENTS).where(EVENTS.c.customer_id == customer_id)).rowcount
            answers = forget_customer(connection, customer_id)
            decisions = _rename(connection, customer_id, PSEUDONYM + receipt_id)
            number = next_number(connection)
            decisions += _rename(connection, customer_id, PSEUDONYM + receipt_id)  # what was being written meanwhile
            receipt = Receipt(receipt_id, upto, at, events, decisions, answers)
            row = {"subject": subject_of(customer_id, secret), "number": number} | asdict(receipt)
            connection.execute(ERASURES.insert().values(row))
        self._database.forget_log()
        return receipt

    def began(self) -> bool:
        """Whether anybody was ever erased."""
        if self._secret is None:
            rows = self._database.fetch("SELECT secret FROM erasure_secret", ())
            self._secret = str(rows[0][0]) if rows else None
        return self._secret is not None

    def subject(self, customer_id: str) -> str | None:
        """What tombstones know a customer by, without a read; None while this process knows of no erasure."""
        return None if self._secret is None else subject_of(customer_id, self._secret)

    def erased_at(self, customer_id: str) -> int | None:
        """Instant up to which everything of a customer is gone [s]; None if nothing was: one indexed read."""
        if not self.began():
            return None
        found = self._database.fetch(self._one, (subject_of(customer_id, str(self._secret)),))[0][0]
        return None if found is None else int(found)

    def pseudonym_of(self, customer_id: str, known: int, at: int) -> str | None:
        """What a waiting decision, made at `at` [s] by who knew `known` erasures, names instead of one erased since."""
        with self._database.reading() as connection:
            erasures = erasures_of(connection, [customer_id]).get(customer_id, ())
        unknown = first_since(erasures, known, at)
        return None if unknown is None else PSEUDONYM + unknown.receipt_id

    def tombstones(self) -> Tombstones:
        """Everybody erased so far."""
        with self._database.reading() as connection:
            return read_tombstones(connection)

    def ledger(self) -> Ledger:
        """All erasures so far, for who takes erased customers out of files."""
        with self._database.reading() as connection:
            return read_ledger(connection)


def _rename(connection: Connection, customer_id: str, name: str) -> int:
    """Kept decisions name nobody any more and tell no attributes of the person; how many it was."""
    _forget_attributes(connection, customer_id)
    renamed = update(DECISIONS).where(DECISIONS.c.customer_id == customer_id)
    return connection.execute(renamed.values(customer_id=name)).rowcount


def _forget_attributes(connection: Connection, customer_id: str) -> None:
    """Attributes of the customer leave the kept decisions; few hold any."""
    content = DECISIONS.c.content
    telling = or_(*(content.contains(mark) for mark in TELLING))
    query = select(DECISIONS.c.decision_id, content).where(DECISIONS.c.customer_id == customer_id, telling)
    for decision_id, told in connection.execute(query).all():
        kept = without_attributes(told.encode()).decode()
        connection.execute(update(DECISIONS).where(DECISIONS.c.decision_id == decision_id).values(content=kept))
