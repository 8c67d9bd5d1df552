"""Tables move from version to version, forward and back, with the rows in them, on SQLite and on Postgres."""

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from recsys.errors import StoreError, StoreUnavailable
from recsys.store import Database, Event, EventStore, KeyStore
from recsys.store.migrate import BASE, HEAD, migrate, version_of
from recsys.store.schema import METADATA
from tests.postgres import PostgresServer

OLD_TABLES = (
    "CREATE TABLE barista_schema (version INTEGER NOT NULL PRIMARY KEY)",
    "INSERT INTO barista_schema VALUES (1)",
    "DROP TABLE barista_version",
)
"""From the tables of the first step to those of a database written before there were versions."""

DECISION = "INSERT INTO decisions VALUES ('d1', 'anna', 's1', 5, '{}')"


@pytest.fixture
def database(database_address: str) -> Iterator[Database]:
    """A database of the newest version with one event and one decision."""
    database = Database.open(database_address)
    EventStore(database).append([Event("e1", "anna", "purchase", 1_000)])
    with database.writing() as connection:
        connection.execute(text(DECISION))
    yield database
    database.close()


def moved(database: Database, target: str) -> tuple[str, str]:
    """Versions before and after moving."""
    with database.writing() as connection:
        return migrate(connection, target)


def rows(database: Database, table: str) -> int:
    """Number of rows of a table, -1 where there is none."""
    with database.reading() as connection:
        if not inspect(connection).has_table(table):
            return -1
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_the_steps_lead_to_the_tables_the_program_uses(database):
    """Nothing is declared that no step makes, nothing is made that is not declared."""
    with database.reading() as connection:
        options = {"compare_type": True, "version_table": "barista_version"}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), METADATA) == []


def test_going_back_one_step_keeps_the_events(database):
    """Only what the later step added goes."""
    assert moved(database, "0001") == (HEAD, "0001")
    assert (rows(database, "events"), rows(database, "decisions")) == (1, -1)


def test_forward_again_after_going_back(database):
    """The events are still there, under a decisions table that is new."""
    moved(database, "0001")
    moved(database, HEAD)
    assert (rows(database, "events"), rows(database, "decisions")) == (1, 0)


def test_back_to_nothing_and_forward_makes_everything_anew(database):
    """Every step can be undone and done again."""
    moved(database, BASE)
    assert rows(database, "events") == -1
    moved(database, HEAD)
    assert EventStore(database).append([Event("e1", "anna", "purchase", 1_000)]) == ["accepted"]


def test_opening_brings_an_older_database_forward(database, database_address):
    """A new program takes over the tables of an old one."""
    moved(database, "0001")
    assert rows(Database.open(database_address), "decisions") == 0


def test_a_database_from_before_there_were_versions_is_taken_over(database, database_address):
    """Its events stay, its version mark is replaced."""
    moved(database, "0001")
    with database.writing() as connection:
        for statement in OLD_TABLES:
            connection.execute(text(statement))
    opened = Database.open(database_address)
    with opened.reading() as connection:
        version = version_of(connection)
    assert (version, rows(opened, "events"), rows(opened, "barista_schema")) == (HEAD, 1, -1)


def test_sequence_numbers_go_on_after_a_migration(database):
    """A watermark from before the migration still separates old events from new ones."""
    moved(database, "0001")
    moved(database, HEAD)
    store = EventStore(database)
    store.append([Event("e2", "anna", "purchase", 1_000)])
    assert store.last_sequence() == 2


def test_a_newer_database_is_refused_and_untouched(database, database_address):
    """Tables of a newer program are never written to."""
    with database.writing() as connection:
        connection.execute(text("UPDATE barista_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer Barista; found '9999'"):
        Database.open(database_address)


def test_an_unknown_version_is_refused(database):
    """A mistyped target changes nothing and the known versions are named."""
    with pytest.raises(StoreError, match=f"base, 0001, .*{HEAD}"):
        moved(database, "2000")


def test_a_step_that_fails_leaves_the_former_version(database, monkeypatch):
    """All of a migration or none of it: the steps share one transaction."""
    from alembic import op

    def fail(*_: object, **__: object) -> None:
        raise ValueError("the disk is full")

    moved(database, "0001")
    monkeypatch.setattr(op, "create_index", fail)
    with pytest.raises(ValueError, match="disk"):
        moved(database, HEAD)
    with database.reading() as connection:
        assert (version_of(connection), inspect(connection).has_table("decisions")) == ("0001", False)


def test_the_tables_of_one_schema_are_moved_alone(postgres: PostgresServer) -> None:
    """On one Postgres each schema has its version and its rows; it is made where there is none."""
    address = postgres.new_database("template0")
    north, south = (Database.open(address, name) for name in ("north", "south"))
    KeyStore(north).create("till", ["score"])
    south.migrate("0001")
    assert (rows(north, "api_keys"), rows(Database.open(address, "south"), "api_keys")) == (1, 0)


def test_writers_of_two_schemas_do_not_wait_for_each_other(postgres: PostgresServer) -> None:
    """One tenant's long transaction holds up its own writers and nobody else's."""
    address = postgres.new_database("template0")
    north, south, again = (Database.open(address, name) for name in ("north", "south", "north"))
    again.answer_within(0.3)
    with north.writing():
        key, _ = KeyStore(south).create("till", ["score"])
        with pytest.raises(StoreUnavailable):
            KeyStore(again).create("till", ["score"])
    assert key
