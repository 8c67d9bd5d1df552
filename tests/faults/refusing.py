"""What a Postgres that answers may refuse a service, and a database of its own to be refused in."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from recsys.store import Database
from tests.postgres import PostgresServer

ENDS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{0}' AND pid <> pg_backend_pid()"
ERRORS = {
    "terminated": ([ENDS], []),
    "closed": (["ALTER DATABASE {0} ALLOW_CONNECTIONS false", ENDS], ["ALTER DATABASE {0} ALLOW_CONNECTIONS true"]),
    "too many": (["ALTER ROLE till CONNECTION LIMIT 0", ENDS], ["ALTER ROLE till CONNECTION LIMIT -1"]),
    "read only": (
        ["ALTER DATABASE {0} SET default_transaction_read_only = on", ENDS],
        ["ALTER DATABASE {0} RESET default_transaction_read_only"],
    ),
    "statement timeout": (
        ["ALTER DATABASE {0} SET statement_timeout = '1ms'", ENDS],
        ["ALTER DATABASE {0} RESET statement_timeout", ENDS],
    ),
}
"""By what happens to a server: statements that begin it and end it."""


class Till(NamedTuple):
    """A database that belongs to nobody else, as a plain role sees it at `address`; `beside` is the superuser's way."""

    server: PostgresServer
    name: str
    address: str
    beside: str

    def run(self, statements: Sequence[str]) -> None:
        """Run statements about the database, which they name as {0}."""
        for each in statements:
            self.server.run(each.format(self.name))


@contextmanager
def till_of(server: PostgresServer) -> Iterator[Till]:
    """A till for the block."""
    beside = server.new_database()
    name = beside.partition("?")[0].rpartition("/")[2]
    for statement in ("DROP ROLE IF EXISTS till", "CREATE ROLE till LOGIN"):
        server.run(statement)
    database = Database.unprepared(beside)
    with database.writing() as connection:
        connection.exec_driver_sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO till")
        connection.exec_driver_sql("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO till")
    database.close()
    yield Till(server, name, beside.replace("postgres@", "till@"), beside)
    server.run(f"DROP DATABASE {name} WITH (FORCE)")
    server.run("DROP ROLE till")
