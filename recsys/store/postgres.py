"""Connections to Postgres that give up on a server which does not answer, wherever it hangs."""

import math
import time
from collections.abc import Generator
from typing import Any

import psycopg
import structlog

from recsys.store.patience import Patience

LOG = structlog.get_logger("barista.store")

IDLE = 3.0
"""So many times its patience a service may leave a transaction open between two statements; then the server ends it."""


class ServerSilent(psycopg.OperationalError):
    """The server did not answer in time; the connection was given up."""

    gave_up = True


class ImpatientConnection(psycopg.Connection[Any]):
    """A connection whose waits end after `patience`, those for itself too.

    Neither a server-side timeout nor TCP's notices a server that stopped behind a network that goes on acknowledging.
    """

    patience = Patience()

    @classmethod
    def _connect_gen(cls, *arguments: Any, **options: Any) -> Any:
        """Connect; `connect_timeout` knows whole seconds only, two at least."""
        gen, ends = super()._connect_gen(*arguments, **options), cls.patience.ends()
        return gen if ends == math.inf else _until(gen, ends)

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        """Wait for the server as psycopg does, but not longer than `patience`."""
        ends = self.patience.ends()
        if ends == math.inf:
            return super().wait(gen, *arguments, **options)
        try:
            return super().wait(_until(gen, ends), *arguments, **options)
        except ServerSilent:
            self.pgconn.finish()
            raise


_DURABLE = (
    "set_config('synchronous_commit', "
    "CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, "
    "false)"
)
_PATIENT = (
    ", set_config('lock_timeout', %s, false), set_config('idle_in_transaction_session_timeout', %s, false)"
    ", set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '2', false)"
    ", set_config('tcp_keepalives_count', '3', false)"
)


def prepare(connection: psycopg.Connection[Any], patience: float | None) -> bool:
    """Let a commit of this connection wait for the server's disk even where that was switched off as a default.

    With `patience` [s] the server lets nobody wait for a client that gave up or is gone without a word: neither in the
    line of writers nor behind the writers' lock. Its connection, silent for 11 s over TCP, is ended.

    False when the server itself does not wait for its disk (`fsync` is off), which no client can change.
    """
    bounds = () if patience is None else (f"{patience * 1000:.0f}ms", f"{patience * IDLE * 1000:.0f}ms")
    query = f"SELECT current_setting('fsync'), {_DURABLE}{_PATIENT if bounds else ''}"
    connection.autocommit = True  # a question and no more: who connects may have somebody waiting
    row = connection.execute(query, bounds).fetchone()
    connection.autocommit = False
    return row is not None and row[0] == "on"


def warn_of_no_sync() -> None:
    """Say once that a power cut may take what this server acknowledged."""
    LOG.warning("database does not sync", setting="fsync", found="off", cure="Set fsync = on in postgresql.conf")


def _until(waits: Generator[Any, Any, Any], deadline: float) -> Generator[Any, Any, Any]:
    """The same waits; psycopg resumes them at least every tenth of a second, with 0 when nothing happened."""
    try:
        ready = yield next(waits)
        while True:
            if not ready and time.monotonic() > deadline:
                raise ServerSilent("the server does not answer")
            ready = yield waits.send(ready)
    except StopIteration as end:
        return end.value
