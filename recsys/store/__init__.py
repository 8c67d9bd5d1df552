"""The only code that knows SQL: one database a workspace, SQLite by default, Postgres by address."""

from recsys.store.database import Database
from recsys.store.events import KINDS, ORDER_KINDS, Event, EventStore, Kind, Outcome
from recsys.store.sqlite_files import copy_sqlite, relocate_sqlite

__all__ = [
    "KINDS",
    "ORDER_KINDS",
    "Database",
    "Event",
    "EventStore",
    "Kind",
    "Outcome",
    "copy_sqlite",
    "relocate_sqlite",
]
