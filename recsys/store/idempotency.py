"""Answers to writes, kept under the caller's `Idempotency-Key` so that a request repeated gets the answer it had.

Source: IETF draft-ietf-httpapi-idempotency-key-header-07.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, LargeBinary, String, Table, and_, delete, select

from recsys.store.database import Database
from recsys.store.schema import METADATA
from recsys.store.tombstones import any_since, count_erasures

KEPT = 86_400
"""How long an answer is kept [s]."""

LEASE = 60
"""A request that runs longer is taken for lost: its worker died, and the next one with its key runs [s].

So is one that began so long after now: the clock was set back since.
"""

ANSWERS = Table(
    "idempotent_answers",
    METADATA,
    Column("owner", String(32), primary_key=True),
    Column("idempotency_key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("status", Integer),
    Column("media_type", String(100)),
    Column("body", LargeBinary),
)
"""One row a key of one caller: fingerprint of the request, and the answer once there is one (`status` not null)."""

CUSTOMERS = Table(
    "idempotent_customers",
    METADATA,
    Column("owner", String(32), primary_key=True),
    Column("idempotency_key", String(255), primary_key=True),
    Column("customer_id", String, primary_key=True),
    Index("idempotent_by_customer", "customer_id"),
)
"""Whom a kept answer is about, so that erasure finds it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was given."""

    status: int
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Begun:
    """What a request finds under its key: `run` it, it is `running` elsewhere, `other` request, or `kept` answer.

    `erasures` is how many erasures of customers there were when one to be run began.
    """

    state: Literal["run", "running", "other", "kept"]
    kept: Kept | None = None
    erasures: int = 0


class AnswerStore:
    """Kept answers of one workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, owner: str, key: str, fingerprint: str, now: int | None = None) -> Begun:
        """Claim a key for the request with this fingerprint, or say what stands under it.

        Raises:
            StoreUnavailable: nothing was claimed.
        """
        at = int(time.time()) if now is None else now
        mine = and_(ANSWERS.c.owner == owner, ANSWERS.c.idempotency_key == key)
        with self._database.writing() as connection:
            row = connection.execute(select(ANSWERS).where(mine)).mappings().first()
            if row is not None and row["started_at"] > at - KEPT:
                if row["fingerprint"] != fingerprint:
                    return Begun("other")
                if row["status"] is not None:
                    return Begun("kept", Kept(row["status"], row["media_type"], bytes(row["body"])))
                if abs(row["started_at"] - at) < LEASE:
                    return Begun("running")
            _forget(connection, owner, key)
            values = {"owner": owner, "idempotency_key": key, "fingerprint": fingerprint, "started_at": at}
            connection.execute(ANSWERS.insert().values(**values))
            return Begun("run", erasures=count_erasures(connection))

    def finish(
        self, owner: str, key: str, answer: Kept, customers: Collection[str] = (), erasures: int | None = None
    ) -> None:
        """Keep the answer of a claimed key; `customers` are those it speaks of.

        One of whom somebody was erased since the first `erasures` is not kept, and its key given back.
        """
        mine = and_(ANSWERS.c.owner == owner, ANSWERS.c.idempotency_key == key)
        rows = [{"owner": owner, "idempotency_key": key, "customer_id": each} for each in sorted(set(customers))]
        with self._database.writing() as connection:
            if erasures is not None and any_since(connection, customers, erasures):
                _forget(connection, owner, key)
                return
            values = {"status": answer.status, "media_type": answer.media_type, "body": answer.body}
            found = connection.execute(ANSWERS.update().where(mine).values(**values)).rowcount
            about = and_(CUSTOMERS.c.owner == owner, CUSTOMERS.c.idempotency_key == key)
            connection.execute(delete(CUSTOMERS).where(about))  # a request taken for lost may have told them already
            if rows and found:
                connection.execute(CUSTOMERS.insert(), rows)

    def forget(self, owner: str, key: str) -> None:
        """Give a claimed key back: the request failed and may be sent again; an answer kept under it stays."""
        mine = and_(ANSWERS.c.owner == owner, ANSWERS.c.idempotency_key == key, ANSWERS.c.status.is_(None))
        with self._database.writing() as connection:
            connection.execute(delete(ANSWERS).where(mine))

    def purge(self, now: int | None = None) -> int:
        """Remove what is older than `KEPT`; how many answers it was."""
        limit = (int(time.time()) if now is None else now) - KEPT
        old = select(ANSWERS.c.owner, ANSWERS.c.idempotency_key).where(ANSWERS.c.started_at <= limit)
        with self._database.writing() as connection:
            rows = connection.execute(old).all()
            for row in rows:
                _forget(connection, row.owner, row.idempotency_key)
        return len(rows)


def forget_customer(connection: Connection, customer_id: str) -> int:
    """Remove every kept answer about a customer within a transaction; how many it was."""
    about = select(CUSTOMERS.c.owner, CUSTOMERS.c.idempotency_key).where(CUSTOMERS.c.customer_id == customer_id)
    rows = connection.execute(about).all()
    for row in rows:
        _forget(connection, row.owner, row.idempotency_key)
    return len(rows)


def _forget(connection: Connection, owner: str, key: str) -> None:
    for table in (CUSTOMERS, ANSWERS):
        connection.execute(delete(table).where(table.c.owner == owner, table.c.idempotency_key == key))
