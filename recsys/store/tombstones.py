"""Tombstones: who was erased, up to when, as keyed digests that name nobody.

A tombstone holds no id: it is the HMAC-SHA-256 of the id under a secret of this database, with the instant up to which
everything is gone. Erasures are numbered in the sequence they ended, so that what was computed can say which of them it
knew, whatever the clocks of several machines say.
"""

import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, String, Table, func, select, update

from recsys.store.schema import GATE, METADATA

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
    Column("number", BigInteger, nullable=False, server_default="0"),
    Index("erasures_of_subject", "subject", "erased_at"),
)
"""Receipts, which are the tombstones too; `subject` is the keyed digest of the id, instants [s], counts of rows.

`number` counts them from 1 in the sequence they ended.
"""

SECRET = Table(
    "erasure_secret",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("secret", String(64), nullable=False),
)
"""One row: the secret of the digests, made with the first erasure."""

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Tombstones:
    """Who is erased up to when [s], as read at one instant; no id can be read from it.

    `known` is how many erasures there were at least: those with a higher number may be missing.
    """

    secret: str | None = None
    instants: Mapping[str, int] | None = None
    known: int = 0

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


def read_tombstones(connection: Connection) -> Tombstones:
    """Everybody erased so far, within a transaction."""
    known = count_erasures(connection)  # before the tombstones: one that comes between is in them and not counted
    secret = read_secret(connection)
    if secret is None:
        return Tombstones(known=known)
    query = select(ERASURES.c.subject, func.max(ERASURES.c.erased_at)).group_by(ERASURES.c.subject)
    return Tombstones(secret, {subject: int(at) for subject, at in connection.execute(query)}, known)


def count_erasures(connection: Connection) -> int:
    """How many erasures there were, within a transaction."""
    return int(connection.execute(select(GATE.c.erasures)).scalar() or 0)


def next_number(connection: Connection) -> int:
    """The number of the erasure whose transaction this is.

    From here to its end nobody writes a decision: those under way are waited for, later ones wait.
    """
    counted = update(GATE).values(erasures=GATE.c.erasures + 1).returning(GATE.c.erasures)
    return int(connection.execute(counted).scalar_one())


def erased_among(connection: Connection, customer_ids: Iterable[str]) -> dict[str, int]:
    """Those of a few customers that are erased, and up to when [s], within a transaction."""
    found: dict[str, int] = {}
    for customer, at, _, _ in _erasures_of(connection, customer_ids):
        found[customer] = max(at, found.get(customer, at))
    return found


def names_since(connection: Connection, known: Mapping[str, int]) -> dict[str, str]:
    """Pseudonyms of those of a few customers that were erased since, within a transaction.

    `known` says by customer how many erasures what is told of them knew; the first one after those gives the name.
    """
    rows = sorted(_erasures_of(connection, known), key=lambda row: row[2], reverse=True)
    return {customer: PSEUDONYM + receipt for customer, _, number, receipt in rows if number > known[customer]}


def _erasures_of(connection: Connection, customer_ids: Iterable[str]) -> list[tuple[str, int, int, str]]:
    """Customer, instant [s], number and receipt of each erasure of a few customers."""
    secret = read_secret(connection)
    if secret is None:
        return []
    subjects = {subject_of(each, secret): each for each in customer_ids}
    names, found = sorted(subjects), []
    chosen = (ERASURES.c.subject, ERASURES.c.erased_at, ERASURES.c.number, ERASURES.c.receipt_id)
    for start in range(0, len(names), _CHUNK):
        rows = connection.execute(select(*chosen).where(ERASURES.c.subject.in_(names[start : start + _CHUNK])))
        found += [(subjects[subject], int(at), int(number), str(receipt)) for subject, at, number, receipt in rows]
    return found


def read_secret(connection: Connection) -> str | None:
    """The secret of the digests, within a transaction; None before the first erasure."""
    found = connection.execute(select(SECRET.c.secret)).scalar()
    return None if found is None else str(found)


def new_secret(connection: Connection) -> str:
    """The secret of the digests, made within the transaction of the first erasure."""
    made = secrets.token_hex(32)
    connection.execute(SECRET.insert().values(number=1, secret=made))
    return made
