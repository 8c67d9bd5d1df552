"""One database: its connections, transactions and the translation of its troubles."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, make_url, text
from sqlalchemy.pool import PoolProxiedConnection

from recsys.errors import SettingsError, StoreError, StoreUnavailable
from recsys.store.migrate import HEAD, migrate

BUSY_MS = 5_000
"""How long a SQLite writer waits for another one [ms]."""

WRITER_LOCK = 0x6261_7269
"""Advisory lock of Postgres that lets one writer append at a time."""


class Database:
    """Connections to one database with Barista's tables; thread safe, to be `reopen`ed after a fork.

    Writers come one at a time, so sequence numbers become visible in the order they were given.
    """

    def __init__(self, address: URL) -> None:
        self.address = address
        self.is_sqlite = address.get_backend_name() == "sqlite"
        self._engine = _sqlite(address) if self.is_sqlite else _postgres(address)
        self._local = threading.local()

    @classmethod
    def open(cls, address: str | Path) -> Self:
        """Open the database at an SQLAlchemy address, or the SQLite file at a path; bring its tables to this version.

        Raises:
            SettingsError: the address is neither SQLite's nor Postgres's.
            StoreError: its tables are those of a newer version.
            StoreUnavailable: it can't be reached now.
        """
        database = cls(_url(address))
        database.migrate()
        return database

    @classmethod
    def unprepared(cls, address: str | Path) -> Self:
        """The database as it is, its tables of whatever version."""
        return cls(_url(address))

    def migrate(self, target: str = HEAD) -> tuple[str, str]:
        """Move the tables to a version, all of it or nothing; versions before and after.

        Raises:
            StoreError: there is no such version, or the tables are newer than this program.
            StoreUnavailable: it can't be reached now.
        """
        with self.writing() as connection:
            return migrate(connection, target)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One durable transaction: committed when the block ends, rolled back when it raises."""
        with _translated(), self._engine.begin() as connection:
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITER_LOCK})
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent read that does not hold writers up."""
        with _translated(), self._engine.connect().execution_options(reading=True) as connection:
            yield connection

    def fetch(self, statement: str, values: Sequence[Any]) -> list[Any]:
        """Rows of one driver statement on this thread's own connection: the fast path, without a transaction around it.

        Placeholders are the driver's (`?` of SQLite, `%s` of Postgres). A connection that broke is replaced once.
        """
        with _translated():
            try:
                return self._fetch(statement, values)
            except _dropped(self._engine):
                self._forget_reader()
                return self._fetch(statement, values)

    def _fetch(self, statement: str, values: Sequence[Any]) -> list[Any]:
        cursor = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._new_reader()
        rows: list[Any] = cursor.execute(statement, values).fetchall()
        return rows

    def _new_reader(self) -> Any:
        """A cursor for this thread alone; the connection behind it leaves the pool and lives as long as the thread."""
        connection: PoolProxiedConnection = self._engine.raw_connection()
        if not self.is_sqlite:
            connection.dbapi_connection.autocommit = True  # type: ignore[union-attr]
        connection.detach()
        self._local.connection, self._local.cursor = connection, connection.cursor()
        return self._local.cursor

    def _forget_reader(self) -> None:
        connection = getattr(self._local, "connection", None)
        self._local = threading.local()
        if connection is not None:
            connection.invalidate()

    def reopen(self) -> None:
        """Forget all connections without closing them: they belong to the process this one was forked from."""
        self._local = threading.local()
        self._engine.dispose(close=False)

    def close(self) -> None:
        """Close the connections of this thread and the idle ones."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
        self._local = threading.local()
        self._engine.dispose()


def _url(address: str | Path) -> URL:
    if isinstance(address, Path):
        return URL.create("sqlite", database=str(address))
    try:
        url = make_url(address)
    except exc.ArgumentError as error:
        raise SettingsError("DATABASE_URL is no database address", expected="postgresql+psycopg://…") from error
    if url.drivername in {"postgres", "postgresql"}:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise SettingsError(
            "DATABASE_URL names a database Barista does not know",
            found=url.drivername,
            expected="sqlite or postgresql+psycopg",
        )
    return url


def _postgres(address: URL) -> Engine:
    return create_engine(address, pool_pre_ping=True, connect_args={"connect_timeout": 5})


def _sqlite(address: URL) -> Engine:
    """SQLite with a write-ahead log, a disk sync at each commit, and transactions that begin when we say so."""
    engine = create_engine(address, connect_args={"check_same_thread": False, "timeout": BUSY_MS / 1000})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _dropped(engine: Engine) -> tuple[type[Exception], ...]:
    """The driver's errors of a broken connection."""
    driver: Any = engine.dialect.dbapi
    return driver.OperationalError, driver.InterfaceError


@contextmanager
def _translated() -> Iterator[None]:
    """Database errors as ours; the address and the rows stay out of the message."""
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as error:
        raise _unavailable(error.orig if isinstance(error, exc.DBAPIError) else error) from error
    except exc.SQLAlchemyError as error:
        raise StoreError(f"The database refused: {type(error).__name__}", found=_brief(error)) from error
    except Exception as error:
        if type(error).__name__ in {"OperationalError", "InterfaceError"}:
            raise _unavailable(error) from error
        raise


def _unavailable(error: BaseException | None) -> StoreUnavailable:
    return StoreUnavailable(
        "The database can't be reached",
        found=_brief(error),
        cure="Check that it runs, that DATABASE_URL is right and that the disk is neither full nor read-only",
    )


def _brief(error: object) -> str:
    return str(error).strip().split("\n", 1)[0][:200]
