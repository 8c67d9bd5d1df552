"""One writer at a time: an exclusive lock that dies with its process."""

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from recsys.data.clock import to_iso
from recsys.errors import WorkspaceLocked


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path` for the block; the file says who holds it and since when.

    Raises:
        WorkspaceLocked: another process holds it (or this one already does).
    """
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _locked(file) from error
        _sign(file)
        try:
            yield
        finally:
            file.truncate(0)


def _sign(file: IO[str]) -> None:
    file.truncate(0)
    command = Path(sys.argv[0]).name + " " + " ".join(sys.argv[1:2])
    json.dump({"pid": os.getpid(), "since": int(time.time()), "command": command.strip()}, file)
    file.flush()


def _locked(file: IO[str]) -> WorkspaceLocked:
    file.seek(0)
    try:
        holder = json.loads(file.read())
        found = f"process {holder['pid']} ({holder['command']}) since {to_iso(holder['since'])}"
    except (ValueError, KeyError):
        found = "another process"
    return WorkspaceLocked("Another process writes to the workspace", found=found, cure="Wait until it has finished")
