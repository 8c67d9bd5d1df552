"""How long a thread waits for its database: until it was told, and what has begun goes on to its end."""

import time

import pytest
from sqlalchemy import text

from recsys.errors import StoreUnavailable
from recsys.store import Database
from recsys.store.patience import begin_by, within
from tests.faults.proxy import fault_proxy

ADD = "INSERT INTO idempotent_answers (owner, idempotency_key, fingerprint, started_at) VALUES ('o', 'k', 'f', 1)"


def kept(address):
    """How many rows of `ADD` there are."""
    return len(Database.open(address).fetch("SELECT 1 FROM idempotent_answers", ()))


def test_what_nobody_waits_for_any_more_is_not_begun(database_address):
    """Nothing is written by who comes too late, for the caller was told so and may have gone on."""
    database = Database.open(database_address)
    with begin_by(time.monotonic() - 1), pytest.raises(StoreUnavailable), database.writing() as connection:
        connection.execute(text(ADD))
    assert kept(database_address) == 0


def test_what_began_in_time_goes_on_to_its_end(database_address):
    """Neither a transaction that is longer than the wait is cut nor the next one of the same work."""
    database = Database.open(database_address)
    with within(0.2):
        with database.writing():
            time.sleep(0.3)
        with database.writing() as connection:
            connection.execute(text(ADD))
    assert kept(database_address) == 1


def test_the_wait_of_one_block_is_not_that_of_the_next(database_address):
    """What was told for a block ends with it."""
    database = Database.open(database_address)
    with begin_by(time.monotonic() - 1), pytest.raises(StoreUnavailable), database.writing():
        pass
    with database.writing() as connection:
        connection.execute(text(ADD))
    assert kept(database_address) == 1


@pytest.fixture
def stalled(postgres):
    """Address of a database that accepts connections and says nothing."""
    name = postgres.new_database().partition("?")[0].rpartition("/")[2]
    with fault_proxy(postgres.socket) as proxy:
        proxy.set("stall")
        yield f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/{name}?sslmode=disable&gssencmode=disable"


def test_a_connection_is_waited_for_no_longer_than_an_answer(stalled):
    """Not for libpq's two seconds: it was our patience that ended."""
    database = Database.unprepared(stalled)
    database.answer_within(0.2)
    with pytest.raises(StoreUnavailable) as refused:
        database.fetch("SELECT 1", ())
    assert refused.value.found == "the server does not answer"


def test_a_server_lets_nobody_wait_for_a_service_that_is_gone(postgres):
    """A service that was cut off in a transaction holds the writers' lock for a while only, and waits in no line."""
    database = Database.open(postgres.new_database())
    query = "SELECT current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')"
    before = database.fetch(query, ())
    database.answer_within(1.0)
    assert (before, database.fetch(query, ())) == ([("0", "0")], [("1s", "3s")])


def in_transaction(database):
    """Write by a connection of the pool."""
    with database.writing() as connection:
        connection.execute(text(ADD))


WRITES = {"transaction": in_transaction, "statement": lambda database: database.run(ADD, ()), "look": Database.look}


@pytest.mark.parametrize("write", WRITES)
def test_a_database_that_can_only_be_read_is_away_for_writers(postgres, write):
    """As after a switch to a replica; a connection made later may lead to the one that can be written."""
    address = postgres.new_database()
    name = address.partition("?")[0].rpartition("/")[2]
    postgres.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    database = Database.unprepared(address)
    with pytest.raises(StoreUnavailable):
        WRITES[write](database)
    postgres.run(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    WRITES[write](database)
    assert kept(address) == (write != "look")
