"""Decisions are kept once each, in the database or in a worker's journal, and found again as they were."""

import errno
import fcntl
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from recsys.decisioning.record import DecisionRecord, new_decision_id
from recsys.errors import StoreError
from recsys.store import Database, DecisionStore, Journal


@pytest.fixture
def store(database_address: str) -> Iterator[DecisionStore]:
    """An empty store on SQLite and on Postgres."""
    database = Database.open(database_address)
    yield DecisionStore(database)
    database.close()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A journal in a directory that is not there yet."""
    return Journal(tmp_path / "journal")


def decision(number: int, at: int = 1_000, snapshot: str = "s1") -> DecisionRecord:
    """A made-up decision; its content is any JSON."""
    content = msgspec.Raw(f'{{"as_of":{number},"text":"naïve \\"%s ? café\\""}}'.encode())
    return DecisionRecord(f"{number:032x}", f"customer {number}", snapshot, at, content)


def test_a_kept_decision_is_found_as_it_was(store):
    """Every byte of the content survives the database."""
    store.append([decision(1), decision(2)])
    assert msgspec.json.encode(store.find(f"{2:032x}")) == msgspec.json.encode(decision(2))


def test_an_unknown_decision_is_not_found(store):
    """No record is no error of the store."""
    assert store.find("0" * 32) is None


def test_a_damaged_table_is_an_error_of_the_store(tmp_path):
    """Writers tell what the store says from what went wrong in the program, whatever class the driver has for it."""
    path = tmp_path / "barista.db"
    Database.open(path).close()
    with closing(sqlite3.connect(path)) as other:
        (root,) = other.execute("SELECT rootpage FROM sqlite_master WHERE name = 'decisions'").fetchone()
        (size,) = other.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    content[(root - 1) * size : root * size] = b"\xff" * size
    path.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        DecisionStore(Database.unprepared(path)).append([decision(1)])
    assert (type(caught.value), caught.value.found) == (StoreError, "DatabaseError SQLITE_CORRUPT")


def test_decisions_uploaded_twice_are_kept_once(store):
    """An upload that was cut off is repeated as a whole."""
    store.append([decision(1), decision(2)])
    store.append([decision(2), decision(3)])
    assert store.count() == 3


def test_more_decisions_than_one_statement_takes_are_all_kept(store):
    """A long journal is uploaded in portions."""
    store.append([decision(i) for i in range(1_001)])
    assert store.count() == 1_001


def test_the_last_use_of_a_snapshot_is_its_newest_decision(store):
    """Snapshots stay while decisions need them."""
    store.append([decision(1, 10), decision(2, 30), decision(3, 99, "s2")])
    assert (store.last_use("s1"), store.last_use("s2"), store.last_use("s3")) == (30, 99, None)


def test_the_last_uses_of_snapshots_by_decisions_that_wait(journal):
    """Of all files of the journal, own and left ones, in whatever sequence they were written."""
    for records in ([decision(1, 30), decision(2, 10)], [decision(3, 20), decision(4, 99, "s2")]):
        journal.append(records)
        journal.release()
    assert journal.last_uses() == {"s1": 30, "s2": 99}


def test_decision_ids_sort_by_time():
    """New rows go to the end of the index."""
    assert sorted([new_decision_id(3.0), new_decision_id(1.0), new_decision_id(2.0)])[0].startswith(f"{1000:012x}")


def test_a_journal_gives_back_what_it_was_given(journal):
    """Once its writer lets go of it."""
    journal.append([decision(1)])
    journal.append([decision(2)])
    journal.release()
    with journal.claimed(journal.waiting()[0]) as left:
        assert msgspec.json.encode(list(left)) == msgspec.json.encode([decision(1), decision(2)])


def test_a_decision_in_a_journal_can_be_found(journal):
    """A decision can be explained before it is uploaded."""
    journal.append([decision(1), decision(2)])
    assert journal.find(f"{2:032x}").customer_id == "customer 2"


def test_a_journal_uploaded_while_one_looks_for_a_decision_is_no_error(journal, monkeypatch):
    """What a worker uploads between the listing of the directory and the opening of its file is in the database."""
    monkeypatch.setattr(journal, "waiting", lambda: [Path("uploaded-meanwhile.jsonl")])
    assert journal.find(f"{2:032x}") is None


def test_an_uploaded_journal_is_removed(journal):
    """Nothing is uploaded again and again."""
    journal.append([decision(1)])
    journal.release()
    with journal.claimed(journal.waiting()[0]):
        pass
    assert journal.waiting() == []


def test_a_journal_stays_when_its_upload_fails(journal):
    """What did not arrive is tried again."""
    journal.append([decision(1)])
    journal.release()
    with pytest.raises(OSError, match="lost"), journal.claimed(journal.waiting()[0]):
        raise OSError("lost")
    assert len(journal.waiting()) == 1


def test_a_journal_is_read_a_part_at_a_time(journal):
    """The byte behind one part is where the next begins, also for who comes back later."""
    journal.append([decision(number) for number in range(5)])
    journal.release()
    with journal.claimed(journal.waiting()[0]) as left:
        _, second, _ = left.parts(2)
        later = [[each.customer_id for each in part.records] for part in left.parts(2, second.end)]
    assert ([each.customer_id for each in second.records], later) == (["customer 2", "customer 3"], [["customer 4"]])


def test_of_a_journal_no_more_is_decoded_than_is_asked_for(journal, monkeypatch):
    """An outage may leave more behind than the memory holds."""
    journal.append([decision(number) for number in range(5)])
    journal.release()
    decode, decoded = msgspec.json.decode, []
    monkeypatch.setattr(
        msgspec.json, "decode", lambda line, **options: (decoded.append(line), decode(line, **options))[1]
    )
    found = journal.find(f"{4:032x}")
    with journal.claimed(journal.waiting()[0]) as left:
        next(left.parts(2))
    assert (found is not None, len(decoded)) == (True, 1 + 2)


def test_a_journal_that_grew_large_is_followed_by_another(journal, monkeypatch):
    """What is uploaded leaves the disk a file at a time; nothing that was kept is missing in them."""
    monkeypatch.setattr("recsys.store.journal.LARGEST", 1)
    for number in range(3):
        journal.append([decision(number)])
    found = [journal.find(f"{number:032x}") is not None for number in range(3)]
    assert (len(journal.waiting()), found) == (3, [True] * 3)


def test_a_journal_its_worker_writes_is_left_alone(journal, tmp_path):
    """Nobody takes the file of a living worker."""
    journal.append([decision(1)])
    with Journal(tmp_path / "journal").claimed(journal.waiting()[0]) as records:
        assert records is None


def test_a_journal_is_claimed_by_who_could_write_it(journal, monkeypatch):
    """Over NFS a lock of one's own is given to a descriptor open for writing alone."""
    lock = fcntl.flock

    def over_nfs(file, kind):
        if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        lock(file, kind)

    monkeypatch.setattr(fcntl, "flock", over_nfs)
    journal.append([decision(1)])
    journal.release()
    with journal.claimed(journal.waiting()[0]) as records:
        assert len(list(records)) == 1


def test_a_killed_worker_leaves_its_whole_lines(tmp_path):
    """kill -9 in the middle of a line: the decisions before it are there, and the lock is gone."""
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from recsys.store import Journal
from tests.store.test_decisions import decision
journal = Journal(Path({str(tmp_path)!r}))
journal.append([decision(1), decision(2)])
journal._file.write(b'{{"decision_id":"half')
journal._file.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ})
    journal = Journal(tmp_path)
    with journal.claimed(journal.waiting()[0]) as records:
        assert [each.customer_id for each in records] == ["customer 1", "customer 2"]


def test_a_full_disk_is_an_error_and_the_next_file_is_whole(journal, monkeypatch):
    """What could not be synced is not told to be kept, and does not spoil what comes later."""
    journal.append([decision(1)])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            journal.append([decision(2)])
    journal.append([decision(3)])
    assert (len(journal.waiting()), journal.find(f"{3:032x}") is not None) == (2, True)
