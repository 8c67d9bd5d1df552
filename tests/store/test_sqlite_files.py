"""SQLite files are copied while in use and moved to another folder."""

import sqlite3

import pytest

from recsys.errors import StoreError
from recsys.store import Database, Event, EventStore, copy_sqlite, relocate_sqlite


def test_a_copy_of_a_database_in_use_has_everything_committed(tmp_path):
    """Rows that only stand in the write-ahead log are copied too."""
    store = EventStore(Database.open(tmp_path / "events.db"))
    store.append([Event(f"e{i}", "anna", "purchase", i) for i in range(100)])
    copy_sqlite(tmp_path / "events.db", tmp_path / "copy.db")
    assert len(EventStore(Database.open(tmp_path / "copy.db")).orders_of("anna")) == 100


def test_a_file_that_is_no_database_is_not_copied(tmp_path):
    """Damage is noticed when the backup is made, not when it is needed."""
    (tmp_path / "events.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match="can't be copied"):
        copy_sqlite(tmp_path / "events.db", tmp_path / "copy.db")


def test_addresses_below_the_old_folder_move_and_others_stay(tmp_path):
    """A folder that merely begins with the same letters is another folder."""
    before = ["/old/mlruns/1", "file:///old/mlruns/2", "/older/mlruns", "say /old/mlruns", "/old"]
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("CREATE TABLE runs (number INTEGER, uri TEXT)")
        connection.executemany("INSERT INTO runs VALUES (?, ?)", list(enumerate(before)))
    relocate_sqlite(tmp_path / "x.db", "/old", "/new/place")
    with sqlite3.connect(tmp_path / "x.db") as connection:
        after = [row[0] for row in connection.execute("SELECT uri FROM runs ORDER BY number")]
    assert after == [
        "/new/place/mlruns/1",
        "file:///new/place/mlruns/2",
        "/older/mlruns",
        "say /old/mlruns",
        "/new/place",
    ]
