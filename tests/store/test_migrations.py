"""Tables move from version to version, forward and back, with the rows in them, on SQLite and on Postgres."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, Table, delete, insert, inspect, select, text

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


def test_databases_of_one_process_may_be_opened_at_once(tmp_path):
    """Tenants whose outages end together: what moves tables is one for the process, so each waits for its turn."""
    with ThreadPoolExecutor(8) as threads:
        opened = list(threads.map(lambda number: Database.open(tmp_path / f"{number}.db"), range(8)))
    assert [len(EventStore(each).orders_of("ann")) for each in opened] == [0] * 8


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


ROWS = {
    "0001": {
        "events": {
            "sequence": 7,
            "event_id": "e1",
            "customer_id": "анна",
            "kind": "purchase",
            "is_order": True,
            "occurred_at": 1_000,
            "received_at": 1_001,
            "order_id": "o1",
            "order_key": -(2**63),
            "store_id": "north",
            "channel": "till",
            "decision_id": "d1",
            "lines": '[["tea", 1, 210, 0]]',
        },
    },
    "0002": {
        "decisions": {
            "decision_id": "d1",
            "customer_id": "анна",
            "snapshot_id": "s1",
            "decided_at": 5,
            "content": '{"a": "é"}',
        },
    },
    "0003": {
        "api_keys": {
            "key_id": "k1",
            "name": "till",
            "digest": "0" * 64,
            "scopes": "score",
            "created_at": 1,
            "expires_at": 2**40,
            "revoked_at": None,
            "replaces": "k0",
        },
        "idempotent_answers": {
            "owner": "o",
            "idempotency_key": "i",
            "fingerprint": "f",
            "started_at": 1,
            "status": 200,
            "media_type": "text/plain",
            "body": b"\x00\xff",
        },
        "idempotent_customers": {"owner": "o", "idempotency_key": "i", "customer_id": "анна"},
        "rate_windows": {"caller": "k1", "number": 2**40, "granted": 3},
        "erasures": {
            "receipt_id": "r1",
            "subject": "s",
            "erased_at": 1,
            "requested_at": 2,
            "events": 3,
            "decisions": 4,
            "answers": 5,
        },
        "erasure_secret": {"number": 1, "secret": "s" * 64},
    },
    "0004": {"erasure_gate": {"number": 1, "erasures": 1}},
}
"""One row, all columns, of each table that a step makes."""

ADDED = {"0004": {"erasures": {"number": 1}}}
"""What a step adds to the rows of tables that were there."""

BEGUN = {"0004": {"erasure_gate": [ROWS["0004"]["erasure_gate"]]}}
"""Rows that a step itself puts into its tables; the others are empty."""

STEPS = (BASE, *ROWS)


@pytest.fixture
def filled(database: Database) -> Callable[[str], Database]:
    """Gives the database at a version, one row in each of its tables."""

    def at(version: str) -> Database:
        moved(database, BASE)
        moved(database, version)
        with database.writing() as connection:
            for name, (given,) in one_row_of_each(version).items():
                table = Table(name, MetaData(), autoload_with=connection)
                connection.execute(delete(table))
                connection.execute(insert(table).values(given))
        return database

    return at


def tables_of(version: str) -> list[str]:
    """Tables that the steps up to this version make."""
    return [name for step in STEPS[1 : STEPS.index(version) + 1] for name in ROWS[step]]


def held(database: Database) -> dict[str, list[dict[str, object]]]:
    """Every table of the database, but the version's, with its rows."""
    with database.reading() as connection:
        names = [name for name in inspect(connection).get_table_names() if name not in OWN]
        tables = [Table(name, MetaData(), autoload_with=connection) for name in names]
        found = {each.name: connection.execute(select(each)).mappings().all() for each in tables}
    return {name: [dict(row) for row in rows] for name, rows in found.items()}


def one_row_of_each(version: str) -> dict[str, list[dict[str, object]]]:
    """What a database filled at this version holds."""
    steps = STEPS[1 : STEPS.index(version) + 1]
    every = {name: row for step in steps for name, row in ROWS[step].items()}
    added = {name: more for step in steps for name, more in ADDED.get(step, {}).items()}
    return {name: [every[name] | added.get(name, {})] for name in tables_of(version)}


OWN = {"barista_version", "sqlite_sequence"}
"""Tables that are not the steps'."""


def test_there_is_a_row_for_every_step_and_table():
    """Whoever adds a step or a table adds what is tested below."""
    assert (STEPS[-1], set(tables_of(HEAD)) >= set(METADATA.tables)) == (HEAD, True)


@pytest.mark.parametrize(("lower", "upper"), list(pairwise(STEPS)))
def test_a_step_back_keeps_every_row_the_older_version_knows(filled, lower, upper):
    """Value by value, from tables all of which have a row; what the step made is gone, rows and all."""
    database = filled(upper)
    assert (moved(database, lower), held(database)) == ((upper, lower), one_row_of_each(lower))


@pytest.mark.parametrize(("lower", "upper"), list(pairwise(STEPS)))
def test_a_step_forward_keeps_every_row_there_is(filled, lower, upper):
    """Value by value, and what it adds to them; its own tables begin anew, whatever was in them before a step back."""
    database = filled(upper)
    moved(database, lower)
    rows = {name: one_row_of_each(upper)[name] for name in one_row_of_each(lower)}
    made = {name: BEGUN.get(upper, {}).get(name, []) for name in ROWS[upper]}
    assert (moved(database, upper), held(database)) == ((lower, upper), rows | made)
