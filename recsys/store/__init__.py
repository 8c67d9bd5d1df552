"""The only code that knows SQL: one database a workspace, SQLite by default, Postgres by address."""

from recsys.store.database import Database
from recsys.store.decisions import DecisionStore
from recsys.store.erasure import ErasureStore, Receipt
from recsys.store.events import KINDS, NO_TAIL, ORDER_KINDS, Event, EventStore, Kind, Outcome, Tail
from recsys.store.idempotency import AnswerStore
from recsys.store.journal import Journal
from recsys.store.keys import SCOPES, Key, KeyStore, Scope
from recsys.store.lately import Remembered
from recsys.store.limits import LimitStore
from recsys.store.sqlite_files import copy_sqlite, relocate_sqlite
from recsys.store.tombstones import Ledger, Tombstones

__all__ = [
    "KINDS",
    "NO_TAIL",
    "ORDER_KINDS",
    "SCOPES",
    "AnswerStore",
    "Database",
    "DecisionStore",
    "ErasureStore",
    "Event",
    "EventStore",
    "Journal",
    "Key",
    "KeyStore",
    "Kind",
    "Ledger",
    "LimitStore",
    "Outcome",
    "Receipt",
    "Remembered",
    "Scope",
    "Tail",
    "Tombstones",
    "copy_sqlite",
    "relocate_sqlite",
]
