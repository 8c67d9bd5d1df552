"""Tombstones: who was erased, up to when, as keyed digests that name nobody.

A tombstone holds no id: it is the HMAC-SHA-256 of the id under a secret of this database, with the instant up to which
everything is gone. Erasures are numbered in the sequence they ended, so that what was computed can say which of them it
knew, whatever the clocks of several machines say.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

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


class Erasure(NamedTuple):
    """One erasure of a customer: what a decision it took is named by, instants [s], its number; 0 without one."""

    receipt_id: str
    erased_at: int
    requested_at: int
    number: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """All erasures as read at an instant `at` [s], for who takes erased customers out of files.

    `digest` stands for exactly these, whatever their numbers: a database that was restored gives another one. `last` is
    the highest number and the last request [s] by subject.
    """

    tombstones: Tombstones
    at: int
    digest: str
    last: Mapping[str, tuple[int, int]]

    def since(self, known: int, at: int) -> Tombstones:
        """Those of whom an erasure came after the first `known`, or was requested at `at` [s] or later.

        The instant counts where numbers can't: in a restored database, and of versions that gave none.
        """
        instants = self.tombstones.instants or {}
        late = {subject for subject, (number, asked) in self.last.items() if number > known or asked >= at}
        return replace(self.tombstones, instants={each: instants[each] for each in late})

    def mark(self) -> dict[str, int | str]:
        """What a file says of the erasures it knows."""
        return {"known": self.tombstones.known, "at": self.at, "digest": self.digest}


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


def read_ledger(connection: Connection) -> Ledger:
    """All erasures, within a transaction; one that ends meanwhile is missing in the digest at least."""
    at, known = int(time.time()), count_erasures(connection)  # before the rows
    chosen = (ERASURES.c.subject, ERASURES.c.receipt_id, ERASURES.c.erased_at)
    rows = connection.execute(select(*chosen, ERASURES.c.requested_at, ERASURES.c.number)).all()
    secret = read_secret(connection)  # after the rows: whoever is in them has one
    instants: dict[str, int] = {}
    last: dict[str, tuple[int, int]] = {}
    for subject, _, erased_at, asked, number in rows:
        instants[subject] = max(int(erased_at), instants.get(subject, 0))
        highest, latest = last.get(subject, (0, 0))
        last[subject] = max(int(number), highest), max(int(asked), latest)
    digest = hashlib.sha256("\n".join(sorted(str(row[1]) for row in rows)).encode()).hexdigest()
    return Ledger(Tombstones(secret, instants, known), at, digest, last)


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
    found = erasures_of(connection, customer_ids)
    return {customer: max(each.erased_at for each in erasures) for customer, erasures in found.items()}


def any_since(connection: Connection, customer_ids: Iterable[str], known: int) -> bool:
    """Whether one of a few customers was erased after the first `known` erasures, within a transaction."""
    found = erasures_of(connection, customer_ids).values()
    return any(each.number > known for erasures in found for each in erasures)


def first_since(erasures: Iterable[Erasure], known: int, at: int) -> Erasure | None:
    """The first of a customer's erasures that a decision which knew `known` of all, made at `at` [s], did not know.

    One requested at that instant or later counts as well: numbers begin again in a restored database.
    """
    late = (each for each in erasures if each.number > known or each.requested_at >= at)
    return min(late, key=lambda each: each.number, default=None)


def erasures_of(connection: Connection, customer_ids: Iterable[str]) -> dict[str, list[Erasure]]:
    """Every erasure of those of a few customers that were erased, within a transaction."""
    secret = read_secret(connection)
    if secret is None:
        return {}
    subjects = {subject_of(each, secret): each for each in customer_ids}
    names = sorted(subjects)
    found: dict[str, list[Erasure]] = {}
    chosen = (ERASURES.c.subject, ERASURES.c.receipt_id, ERASURES.c.erased_at)
    query = select(*chosen, ERASURES.c.requested_at, ERASURES.c.number)
    for start in range(0, len(names), _CHUNK):
        rows = connection.execute(query.where(ERASURES.c.subject.in_(names[start : start + _CHUNK])))
        for subject, receipt, erased_at, asked, number in rows:
            erasure = Erasure(str(receipt), int(erased_at), int(asked), int(number))
            found.setdefault(subjects[subject], []).append(erasure)
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
