"""Connections to Postgres that give up on a server which does not answer, wherever it hangs."""

import time
from collections.abc import Generator
from typing import Any

import psycopg

from recsys.store.patience import Patience


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
