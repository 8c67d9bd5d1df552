"""What is acknowledged was synced before: fsync returned, then the answer left, as the system calls show."""

from contextlib import nullcontext

import httpx
import pytest

from recsys.store import Database
from tests.faults.asking import acknowledged
from tests.faults.killing import PROGRAM, start
from tests.faults.tracing import read_trace, traced, tree
from tests.postgres import running_postgres


@pytest.fixture(scope="module")
def postgres_that_syncs():
    """A server that waits for its disk, as every server does by default; that of the other tests does not."""
    with running_postgres(syncs=True) as server:
        yield server


ID = "0123456789abcdeffedcba9876543210"
WRITE = f'7 1.0 pwrite64(5</w/b.db-wal>, "…{ID}…", 4096, 0) = 4096'
CUT = f'7 1.0 pwrite64(5</w/b.db-wal>, "…{ID[:20]}", 4096, 0) = 4096'
REST = f'7 1.0 pwrite64(5</w/b.db-wal>, "{ID[20:]}…", 4096, 4096) = 4096'
SYNC = "7 2.0 fdatasync(5</w/b.db-wal>) = 0"
SEND = f'7 3.0 sendto(9<TCP:[127.0.0.1:80->127.0.0.1:99]>, "HTTP/1.1 200 {ID}", 40, 0, NULL, 0) = 40'
BEGIN = "8 2.0 fdatasync(5</w/b.db-wal> <unfinished ...>"
END = "8 4.0 <... fdatasync resumed>)             = 0"
FAILED = "8 4.0 <... fdatasync resumed>)             = -1 EIO (Input/output error)"


@pytest.mark.parametrize(
    ("lines", "early"),
    [
        ([WRITE, SYNC, SEND], False),
        ([WRITE, BEGIN, END, SEND], False),
        ([WRITE, SEND, SYNC], True),
        ([WRITE, BEGIN, SEND, END], True),
        ([WRITE, BEGIN, FAILED, SEND], True),
        ([BEGIN, WRITE, END, SEND], True),
        ([SYNC, SEND], True),
        ([WRITE, SYNC.replace("b.db-wal", "b.db"), SEND], True),
        ([CUT, REST, SYNC, SEND], False),
        ([REST, CUT, SYNC, SEND], False),
        ([CUT, SYNC, REST, SYNC, SEND], False),
        ([CUT, SYNC, REST, SEND, SYNC], True),
        ([CUT, SYNC, SEND], True),
        ([CUT.replace(ID[:20], ID[:16]), SYNC, REST.replace(ID[20:], ID[16:]), SEND], True),
    ],
    ids=[
        "synced",
        "synced by another",
        "never",
        "still syncing",
        "failed",
        "begun before",
        "not written",
        "other file",
        "cut",
        "cut, end first",
        "cut, synced one after the other",
        "cut, end not synced",
        "cut, end not written",
        "halves, one not synced",
    ],
)
def test_a_trace_tells_an_answer_that_left_too_early(lines, early):
    """The sync must have begun after the write, and returned without error before the answer left."""
    found = read_trace(lines, 80, [ID])
    assert (found.safe, found.early) == ((set(), {ID}) if early else ({ID}, set()))


def trace_of(workspace, tmp_path, others=(), address=None, during=nullcontext, program=PROGRAM, **asked):
    """Acknowledged ids of a service that was traced in a block of `during`, and what the trace says."""
    process, where = start(workspace.directory, workers=1, address=address, program=program)
    try:
        with during():
            acknowledged(where, 1, **asked)  # opens its connections
            pids = [*tree(process.pid), *(each for other in others for each in tree(other))]
            with traced(pids, tmp_path / "trace", lambda: httpx.get(f"{where}/health/live")):
                ids = acknowledged(where, 5, **asked)
    finally:
        process.terminate()
        process.wait(15)
    lines = (tmp_path / "trace").read_text(errors="replace").splitlines()
    return set(ids), read_trace(lines, int(where.rpartition(":")[2]), ids)


def test_sqlite_is_synced_before_the_answer_leaves(make_workspace, tmp_path):
    """Each acknowledged purchase and decision is in the write-ahead log, and the log on the disk, before."""
    ids, found = trace_of(make_workspace(), tmp_path)
    assert (len(ids), found.safe, found.early) == (10, ids, set())


CARELESS = """
import runpy
from recsys.store import database
database.SQLITE_PRAGMAS = tuple(each.replace("=FULL", "=OFF") for each in database.SQLITE_PRAGMAS)
runpy.run_module("serving", run_name="__main__")
"""
"""The service with a database that leaves it to the system when its files come to the disk."""


def test_a_database_that_does_not_sync_is_told(make_workspace, tmp_path):
    """With `synchronous=OFF` every acknowledged purchase and decision leaves before it is on the disk."""
    ids, found = trace_of(make_workspace(), tmp_path, program=("-c", CARELESS))
    assert (len(ids), found.safe, found.early) == (10, set(), ids)


@pytest.mark.usefixtures("impatient")
def test_the_journal_is_synced_before_the_answer_leaves(make_workspace, tmp_path):
    """With the database locked by another program each decision is on the disk in the journal before."""
    workspace = make_workspace()
    locked = Database.open(workspace.directory / "barista.db").writing
    ids, found = trace_of(workspace, tmp_path, during=locked, events=False)
    assert (len(ids), found.safe, found.early) == (5, ids, set())


def test_postgres_is_synced_before_the_answer_leaves(make_workspace, tmp_path, postgres_that_syncs):
    """The server's write-ahead log is on its disk before; the service's own files play no part."""
    server = postgres_that_syncs
    ids, found = trace_of(make_workspace(), tmp_path, others=[server.pid], address=server.new_database())
    assert (len(ids), found.safe, found.early) == (10, ids, set())
