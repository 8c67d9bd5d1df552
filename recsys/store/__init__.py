"""The only code that knows SQL: one database a workspace, SQLite by default, Postgres by address."""

from recsys.store.database import Database
from recsys.store.erasure import ErasureStore, Receipt, Tombstones
from recsys.store.events import KINDS, ORDER_KINDS, Event, EventStore, Kind, Outcome
from recsys.store.idempotency import AnswerStore
from recsys.store.keys import SCOPES, Key, KeyStore, Scope
from recsys.store.limits import LimitStore
from recsys.store.sqlite_files import copy_sqlite, relocate_sqlite

__all__ = [
    "KINDS",
    "ORDER_KINDS",
    "SCOPES",
    "AnswerStore",
    "Database",
    "ErasureStore",
    "Event",
    "EventStore",
    "Key",
    "KeyStore",
    "Kind",
    "LimitStore",
    "Outcome",
    "Receipt",
    "Scope",
    "Tombstones",
    "copy_sqlite",
    "relocate_sqlite",
]
