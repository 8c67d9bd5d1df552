"""Erasure of a customer: one transaction over every table, a receipt, and a tombstone against what comes back later.

A tombstone holds no id: it is the HMAC-SHA-256 of the id under a secret of this database, with the instant up to which
everything is gone. Purchases after that instant are a new acquaintance and are kept.
"""

import hmac
import secrets
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, String, Table, delete, func, or_, select, update

from recsys.decisioning.record import TELLING, without_attributes
from recsys.store.database import Database
from recsys.store.idempotency import forget_customer
from recsys.store.schema import DECISIONS, EVENTS, METADATA

PSEUDONYM = "erased:"
"""What the customer of a pseudonymised decision begins with; the receipt's id follows."""

ERASURES = Table(
    "erasures",
    METADATA,
    Column("receipt_id", String(32), primary_key=True),
    Column("subject", String(64), nullable=False),
    Column("erased_at", BigInteger, nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("events", Integer, nullable=False),
    Column("decisions", Integer, nullable=False),
    Column("answers", Integer, nullable=False),
    Index("erasures_of_subject", "subject", "erased_at"),
)
"""Receipts, which are the tombstones too; `subject` is the keyed digest of the id, instants [s], counts of rows."""

SECRET = Table(
    "erasure_secret",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("secret", String(64), nullable=False),
)
"""One row: the secret of the digests, made with the first erasure."""


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


@dataclass(frozen=True, slots=True)
class Tombstones:
    """Who is erased up to when [s], as read at one instant; no id can be read from it."""

    secret: str | None = None
    instants: Mapping[str, int] | None = None

    def erased_at(self, customer_id: str) -> int | None:
        """Instant up to which everything of a customer is gone [s]; None if nothing was erased."""
        if self.secret is None or not self.instants:
            return None
        return self.instants.get(subject_of(customer_id, self.secret))

    def among(self, customer_ids: Iterable[str]) -> dict[str, int]:
        """Those of `customer_ids` that are erased, and up to when [s]."""
        if self.secret is None or not self.instants:
            return {}
        found = ((each, self.erased_at(each)) for each in customer_ids)
        return {each: at for each, at in found if at is not None}

    def __len__(self) -> int:
        return len(self.instants or ())


def subject_of(customer_id: str, secret: str) -> str:
    """The keyed digest a tombstone knows a customer by, 64 hexadecimal digits."""
    return hmac.digest(secret.encode(), customer_id.encode(), "sha256").hex()


class ErasureStore:
    """Erasures of one workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._secret: str | None = None
        self._sign = sign = "?" if database.is_sqlite else "%s"
        self._receipt = (
            f"SELECT receipt_id FROM erasures WHERE subject = {sign} AND requested_at >= {sign} "
            "ORDER BY requested_at LIMIT 1"
        )
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
            secret = _secret(connection) or _new_secret(connection)
            last = connection.execute(select(func.max(EVENTS.c.occurred_at)).where(EVENTS.c.customer_id == customer_id))
            upto = max(upto, last.scalar() or 0)
            events = connection.execute(delete(EVENTS).where(EVENTS.c.customer_id == customer_id)).rowcount
            _forget_attributes(connection, customer_id)
            renamed = update(DECISIONS).where(DECISIONS.c.customer_id == customer_id)
            decisions = connection.execute(renamed.values(customer_id=PSEUDONYM + receipt_id)).rowcount
            answers = forget_customer(connection, customer_id)
            receipt = Receipt(receipt_id, upto, at, events, decisions, answers)
            connection.execute(ERASURES.insert().values(subject=subject_of(customer_id, secret), **asdict(receipt)))
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

    def among(self, customer_ids: Collection[str]) -> set[str]:
        """Those of some customers of whom anything was erased: one indexed read for all."""
        if not customer_ids or not self.began():
            return set()
        subjects = {subject_of(each, str(self._secret)): each for each in customer_ids}
        signs = ", ".join([self._sign] * len(subjects))
        rows = self._database.fetch(f"SELECT DISTINCT subject FROM erasures WHERE subject IN ({signs})", [*subjects])
        return {subjects[subject] for (subject,) in rows}

    def pseudonym_of(self, customer_id: str, decided_at: int) -> str | None:
        """What a decision made at an instant [s] names instead of a customer erased since; None for one who is not."""
        if self.erased_at(customer_id) is None:
            return None
        subject = subject_of(customer_id, str(self._secret))
        rows = self._database.fetch(self._receipt, (subject, decided_at))
        return PSEUDONYM + str(rows[0][0]) if rows else None

    def tombstones(self) -> Tombstones:
        """Everybody erased so far."""
        with self._database.reading() as connection:
            return read_tombstones(connection)


def _forget_attributes(connection: Connection, customer_id: str) -> None:
    """Attributes of the customer leave the kept decisions; few hold any."""
    content = DECISIONS.c.content
    telling = or_(*(content.contains(mark) for mark in TELLING))
    query = select(DECISIONS.c.decision_id, content).where(DECISIONS.c.customer_id == customer_id, telling)
    for decision_id, told in connection.execute(query).all():
        kept = without_attributes(told.encode()).decode()
        connection.execute(update(DECISIONS).where(DECISIONS.c.decision_id == decision_id).values(content=kept))


def read_tombstones(connection: Connection) -> Tombstones:
    """Everybody erased so far, within a transaction."""
    secret = _secret(connection)
    if secret is None:
        return Tombstones()
    query = select(ERASURES.c.subject, func.max(ERASURES.c.erased_at)).group_by(ERASURES.c.subject)
    return Tombstones(secret, {subject: int(at) for subject, at in connection.execute(query)})


def erased_among(connection: Connection, customer_ids: Iterable[str]) -> dict[str, int]:
    """Those of a few customers that are erased, and up to when [s], within a transaction."""
    secret = _secret(connection)
    if secret is None:
        return {}
    subjects = {subject_of(each, secret): each for each in customer_ids}
    names = sorted(subjects)
    found: dict[str, int] = {}
    for start in range(0, len(names), 500):
        query = select(ERASURES.c.subject, func.max(ERASURES.c.erased_at)).group_by(ERASURES.c.subject)
        rows = connection.execute(query.where(ERASURES.c.subject.in_(names[start : start + 500])))
        found.update({subjects[subject]: int(at) for subject, at in rows})
    return found


def _secret(connection: Connection) -> str | None:
    found = connection.execute(select(SECRET.c.secret)).scalar()
    return None if found is None else str(found)


def _new_secret(connection: Connection) -> str:
    made = secrets.token_hex(32)
    connection.execute(SECRET.insert().values(number=1, secret=made))
    return made
