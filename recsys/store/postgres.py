"""Connections to Postgres that give up on a server which does not answer, wherever it hangs."""

import time
from collections.abc import Generator
from typing import Any

import psycopg
import structlog

from recsys.store.patience import Patience

LOG = structlog.get_logger("barista.store")


class ServerSilent(psycopg.OperationalError):
    """The server did not answer in time; the connection was given up."""

    gave_up = True


class ImpatientConnection(psycopg.Connection[Any]):
    """A connection whose waits end after `patience`.

    Neither a server-side timeout nor TCP's notices a server that stopped behind a network that goes on acknowledging.
    """

    patience = Patience()

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        """Wait for the server as psycopg does, but not longer than `patience`."""
        seconds = self.patience.seconds
        if seconds is None:
            return super().wait(gen, *arguments, **options)
        try:
            return super().wait(_until(gen, time.monotonic() + seconds), *arguments, **options)
        except ServerSilent:
            self.pgconn.finish()
            raise


def make_durable(connection: psycopg.Connection[Any]) -> bool:
    """Let a commit of this connection wait for the server's disk even where that was switched off as a default.

    False when the server itself does not wait for its disk (`fsync` is off), which no client can change.
    """
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    row = connection.execute("SELECT current_setting('fsync')").fetchone()
    connection.commit()
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
