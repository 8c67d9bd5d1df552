"""One database: its connections, transactions and the translation of its troubles."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from operator import attrgetter, methodcaller
from pathlib import Path
from typing import Any, NoReturn, Self

from sqlalchemy import URL, Connection, Engine, TextClause, create_engine, event, exc, inspect, make_url, text
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.schema import CreateSchema

from recsys.errors import SettingsError, StoreError, StoreFull, StoreUnavailable
from recsys.store.migrate import HEAD, migrate
from recsys.store.patience import Patience, begun
from recsys.store.turns import Turns

SQLITE_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON")

SQLITE_FULL = frozenset({13, 4874})
"""Codes SQLite says a full disk with: SQLITE_FULL, and SQLITE_IOERR_SHMSIZE where the shared index can't grow."""

_ALL = methodcaller("fetchall")
_CHANGED = attrgetter("rowcount")

DRIVER_ERRORS = {("sqlite3", "Error"), ("psycopg", "Error")}
"""Modules and names of the classes that all errors of the drivers are of."""

POSTGRES_FULL = "53100"
"""Postgres' SQLSTATE disk_full."""

POSTGRES_READ_ONLY = "25006"
"""Its SQLSTATE read_only_sql_transaction: a replica, or one that was set so for a while."""

POOL_SECONDS = 2
"""How long a thread waits for a connection that others have [s]."""

WRITER_LOCK = 0x6261_7269
"""Advisory lock of Postgres that lets one writer append at a time; one a schema."""


class Database:
    """Connections to one database with Barista's tables; thread safe, to be `reopen`ed after a fork.

    Writers come one at a time, so sequence numbers become visible in the order they were given.
    """

    def __init__(self, address: URL, schema: str = "") -> None:
        self.is_sqlite = address.get_backend_name() == "sqlite"
        self.schema = "" if self.is_sqlite else schema
        self.address = address = _within(address, self.schema)
        self._patience = Patience()
        self._turns = Turns(self._patience)
        self._engine = _sqlite(address, lambda: self._turns) if self.is_sqlite else _postgres(address, self._patience)
        self._local = threading.local()

    @classmethod
    def open(cls, address: str | Path, schema: str = "") -> Self:
        """Open the database at an SQLAlchemy address, or the SQLite file at a path; bring its tables to this version.

        With Postgres the tables are those of `schema`, which is made where there is none; by default the address's own.

        Raises:
            SettingsError: the address is neither SQLite's nor Postgres's.
            StoreError: its tables are those of a newer version.
            StoreUnavailable: it can't be reached now.
        """
        database = cls(_url(address), schema)
        database.migrate()
        return database

    @classmethod
    def unprepared(cls, address: str | Path, schema: str = "") -> Self:
        """The database as it is, its tables of whatever version."""
        return cls(_url(address), schema)

    def migrate(self, target: str = HEAD) -> tuple[str, str]:
        """Move the tables to a version, all of it or nothing; versions before and after.

        Raises:
            StoreError: there is no such version, or the tables are newer than this program.
            StoreUnavailable: it can't be reached now.
        """
        with self.writing() as connection:
            if self.schema and not inspect(connection).has_schema(self.schema):
                connection.execute(CreateSchema(self.schema))
            return migrate(connection, target)

    def answer_within(self, seconds: float) -> None:
        """From now on give up on a database that does not answer (or, with SQLite, is locked) for so long [s].

        For a service; long reads and migrations of other programs wait as long as it takes.
        """
        self._patience.seconds = seconds
        self._forget_reader()
        self._engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One durable transaction: committed when the block ends, rolled back when it raises."""
        with _translated(), self._turn(), self._engine.begin() as connection:
            if not self.is_sqlite:
                connection.execute(*self._lock())
            begun()
            yield connection

    def _lock(self) -> tuple[TextClause, dict[str, Any]]:
        """Statement that waits for the other writers of the same tables."""
        if not self.schema:
            return text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITER_LOCK}
        statement = text("SELECT pg_advisory_xact_lock(:key, hashtext(:schema))")
        return statement, {"key": WRITER_LOCK, "schema": self.schema}

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent read that does not hold writers up."""
        with _translated(), self._engine.connect().execution_options(reading=True) as connection:
            begun()
            yield connection

    def look(self) -> None:
        """Look whether it can be written now, as far as it says so.

        Raises:
            StoreUnavailable: it can't, or it can't be asked.
        """
        if self.is_sqlite:
            self.fetch("SELECT 1", ())
        elif self.fetch("SELECT current_setting('transaction_read_only')", ())[0][0] == "on":
            self._forget_reader()  # the next one may lead to another server
            cure = "Let DATABASE_URL name one that can be written"
            raise StoreUnavailable("The database can only be read", cure=cure)

    def fetch(self, statement: str, values: Sequence[Any]) -> list[Any]:
        """Rows of one driver statement on this thread's own connection: the fast path, without a transaction around it.

        Placeholders are the driver's (`?` of SQLite, `%s` of Postgres). A connection that broke is replaced once.

        Raises:
            StoreUnavailable: the database can't be reached now.
            StoreError: it refused.
        """
        rows: list[Any] = self._alone(statement, values, _ALL)
        return rows

    def run(self, statement: str, values: Sequence[Any]) -> int:
        """One driver statement that is durable when this returns, on this thread's own connection; rows it changed.

        It may run twice when a connection breaks, so it must be one that can be repeated.

        Raises:
            StoreUnavailable: the database can't be reached now, or StoreFull: its disk is full.
            StoreError: it refused.
        """
        with _translated(), self._turn():
            changed: int = self._alone(statement, values, _CHANGED, self._turns if self.is_sqlite else None)
        return changed

    def _turn(self) -> AbstractContextManager[None]:
        """The turn among the writers of this process; Postgres knows whose it is."""
        return self._turns.mine() if self.is_sqlite else nullcontext()

    def forget_log(self) -> None:
        """Take rows that were removed out of SQLite's write-ahead log too, as far as nobody reads from it now.

        What still stands in it is overwritten by later commits; Postgres removes rows with its next vacuum.
        """
        if self.is_sqlite:
            with suppress(StoreUnavailable):
                self.fetch("PRAGMA wal_checkpoint(TRUNCATE)", ())

    def _alone(
        self, statement: str, values: Sequence[Any], result: Callable[[Any], Any], turns: Turns | None = None
    ) -> Any:
        try:  # no context manager: every answer passes here
            cursor = self._reader()
            try:
                if turns is not None:
                    return turns.ask(cursor, lambda: result(cursor.execute(statement, values)))
                return result(cursor.execute(statement, values))
            except Exception as error:
                if not _lost(error):
                    raise
                self._forget_reader()
                if self.is_sqlite or getattr(error, "gave_up", False):
                    raise
                return result(self._reader().execute(statement, values))
        except Exception as error:
            _raise_ours(error)

    def _reader(self) -> Any:
        cursor = getattr(self._local, "cursor", None)
        return cursor if cursor is not None else self._new_reader()

    def _new_reader(self) -> Any:
        """A cursor for this thread alone; the connection behind it leaves the pool and lives as long as the thread."""
        connection: PoolProxiedConnection = self._engine.raw_connection()
        if not self.is_sqlite:
            connection.dbapi_connection.autocommit = True  # type: ignore[union-attr]
        connection.detach()
        mine = self._local  # another thread that lost its connection may put a new one in its place meanwhile
        mine.connection, mine.cursor = connection, connection.cursor()
        return mine.cursor

    def _forget_reader(self) -> None:
        connection = getattr(self._local, "connection", None)
        self._local = threading.local()
        if connection is not None:
            connection.invalidate()

    def renew(self) -> None:
        """Make every connection to a server anew when it is used next: others may lead nowhere, as one was found to."""
        if not self.is_sqlite:
            self._forget_reader()
            self._engine.dispose()

    def reopen(self) -> None:
        """Forget all connections without closing them: they belong to the process this one was forked from."""
        self._local, self._turns = threading.local(), Turns(self._patience)
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


def _within(address: URL, schema: str) -> URL:
    """An address whose tables are those of `schema`, and of no other one."""
    if not schema:
        return address
    return address.update_query_dict({"options": f"-csearch_path={schema}"}, append=False)


def _postgres(address: URL, patience: Patience) -> Engine:
    """Postgres by connections that give up when `patience` ends."""
    from recsys.store.postgres import ImpatientConnection, prepare, warn_of_no_sync

    engine = create_engine(address, pool_pre_ping=True, pool_timeout=POOL_SECONDS, connect_args={"connect_timeout": 2})
    connecting = type("Connecting", (ImpatientConnection,), {"patience": patience})
    told: list[bool] = []

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        connection = connecting.connect(*arguments, **options)  # type: ignore[attr-defined]
        if not prepare(connection, patience.seconds) and not told:
            told.append(True)
            warn_of_no_sync()
        return connection

    @event.listens_for(engine, "handle_error")
    def _replace(context: Any) -> None:
        if getattr(context.original_exception, "sqlstate", None) == POSTGRES_READ_ONLY:
            context.is_disconnect = True

    return engine


def _sqlite(address: URL, turns: Callable[[], Turns]) -> Engine:
    """SQLite with a write-ahead log, a disk sync at each commit, and transactions that begin when we say so.

    What is deleted is overwritten with zeros, so that an erased customer is not left in free pages.
    """
    engine = create_engine(address, connect_args={"check_same_thread": False, "timeout": turns().wait_ms / 1000})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in (f"busy_timeout={turns().wait_ms}", *SQLITE_PRAGMAS):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("reading", False):
            connection.exec_driver_sql("BEGIN")
            return
        driver: Any = connection.connection.dbapi_connection
        turns().ask(driver, lambda: driver.execute("BEGIN IMMEDIATE"))

    return engine


def _lost(error: BaseException | None) -> bool:
    """Whether a driver's error says that the database can't be asked now.

    Psycopg has a `DatabaseError` without an SQLSTATE for a connection that broke in the middle of an answer, and a
    `ProgrammingError` where the pool, which asked whether it still stands, then puts its settings back. A connection
    that leads to a database which can only be read is of no use either: made anew it may lead to another one.
    """
    name = type(error).__name__
    if getattr(error, "sqlstate", None) == POSTGRES_READ_ONLY:
        return True
    if {"OperationalError", "InterfaceError"} & {kind.__name__ for kind in type(error).__mro__}:
        return True
    if error is None or getattr(error, "sqlstate", "") is not None:
        return False
    return name == "DatabaseError" or (name == "ProgrammingError" and _lost(error.__context__))


@contextmanager
def _translated() -> Iterator[None]:
    """Database errors as ours."""
    try:
        yield
    except Exception as error:
        _raise_ours(error)


def _raise_ours(error: Exception) -> NoReturn:
    """Raise a database's error as ours, any other as it is."""
    ours = _ours(error)
    if ours is error:
        raise error
    raise ours from error


def _ours(error: Exception) -> Exception:
    """A database's error as ours, any other as it is; the address and the rows stay out of the message."""
    if isinstance(error, exc.DBAPIError) and (error.connection_invalidated or _lost(error.orig)):
        return _unavailable(error.orig)
    if isinstance(error, exc.SQLAlchemyError) and not isinstance(error, exc.TimeoutError):
        return StoreError(f"The database refused: {type(error).__name__}", found=_refusal(error))
    if isinstance(error, exc.TimeoutError) or _lost(error):
        return _unavailable(error)
    return StoreError("The database refused", found=_refusal(error)) if _of_driver(error) else error


def _of_driver(error: Exception) -> bool:
    """Whether SQLite's or Postgres' driver says it; the latter is not there everywhere, so it is told by name."""
    return any((kind.__module__, kind.__name__) in DRIVER_ERRORS for kind in type(error).__mro__)


def _refusal(error: Exception) -> str:
    """What kind of refusal it is, without the driver's words: they may hold values of rows."""
    said: Any = error.orig if isinstance(error, exc.DBAPIError) else error
    code = getattr(said, "sqlstate", None) or getattr(said, "sqlite_errorname", None)
    return type(said).__name__ + (f" {code}" if code else "")


def _unavailable(error: BaseException | None) -> StoreUnavailable:
    if getattr(error, "sqlite_errorcode", None) in SQLITE_FULL or getattr(error, "sqlstate", None) == POSTGRES_FULL:
        cure = "Free space on it; nothing needs a restart"
        return StoreFull("The database's disk is full", found=_brief(error), cure=cure)
    return StoreUnavailable(
        "The database can't be reached",
        found=_brief(error),
        cure="Check that it runs, that DATABASE_URL is right and that the disk is neither full nor read-only",
    )


def _brief(error: object) -> str:
    return str(error).strip().split("\n", 1)[0][:200]
