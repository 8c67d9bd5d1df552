"""Everything the database holds of one customer, for the customer."""

from typing import Any

import orjson
from sqlalchemy import select

from recsys.store.database import Database
from recsys.store.schema import DECISIONS, EVENTS


def events_of(database: Database, customer_id: str) -> list[dict[str, Any]]:
    """Every event of a customer in the sequence they were received; instants [s], `lines` as they are kept.

    Raises:
        StoreUnavailable: the database can't be reached now.
    """
    query = select(EVENTS).where(EVENTS.c.customer_id == customer_id).order_by(EVENTS.c.sequence)
    with database.reading() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    return [row | {"lines": orjson.loads(row["lines"])} for row in rows]


def decisions_of(database: Database, customer_id: str) -> list[dict[str, Any]]:
    """Every decision about a customer, oldest first: id, snapshot, instant [s] and content.

    Raises:
        StoreUnavailable: the database can't be reached now.
    """
    query = select(DECISIONS).where(DECISIONS.c.customer_id == customer_id).order_by(DECISIONS.c.decided_at)
    with database.reading() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    return [row | {"content": orjson.loads(row["content"])} for row in rows]
