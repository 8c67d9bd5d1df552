"""Journal: decisions that wait for the database in a file of their worker, synced to the disk."""

import fcntl
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from recsys.data.files import sync_directory
from recsys.decisioning.record import DecisionRecord

LARGEST = 16 * 2**20
"""Bytes after which a worker begins another file: what is uploaded leaves the disk piece by piece."""


class Part(NamedTuple):
    """Decisions of a file one after the other, and the byte behind the last of them."""

    records: list[DecisionRecord]
    end: int


class Left:
    """A file nobody writes, read a part at a time: an outage may leave more behind than the memory holds."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __iter__(self) -> Iterator[DecisionRecord]:
        """All its decisions."""
        return (record for part in self.parts(1) for record in part.records)

    def parts(self, count: int, start: int = 0) -> Iterator[Part]:
        """Its decisions from the byte `start` on, `count` at a time."""
        self._file.seek(start)
        records: list[DecisionRecord] = []
        end = start
        for line in self._file:
            record = _decoded(line)
            if record is None:
                break
            records.append(record)
            end += len(line)
            if len(records) == count:
                yield Part(records, end)
                records = []
        if records:
            yield Part(records, end)


class Journal:
    """Decisions in `directory`, one file a worker, one JSON line a decision.

    A worker holds a lock on the file it writes, which ends with the worker however it ends: a file without a lock may
    be uploaded and removed by anyone.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: BinaryIO | None = None

    def append(self, records: Sequence[DecisionRecord]) -> None:
        """Keep decisions durably.

        Raises:
            OSError: the disk is full or read-only; none of them is kept for sure.
        """
        if self._file is not None and self._file.tell() >= LARGEST:
            self.release()
        file = self._file or self._begin()
        kept = file.tell()
        try:
            _write(file, b"".join(msgspec.json.encode(record) + b"\n" for record in records))
        except OSError:
            self._take_back(file, kept)
            raise
        try:
            os.fsync(file.fileno())
        except OSError:  # what the disk holds of it is unknown now: nothing more goes into this file
            self._take_back(file, kept)
            self.release()
            raise

    def _begin(self) -> BinaryIO:
        """A new file under a lock of our own; one that was taken for left before it was locked is given up."""
        if not self._directory.is_dir():
            self._directory.mkdir(parents=True, exist_ok=True)
            sync_directory(self._directory.parent)
        while True:
            path = self._directory / f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}.jsonl"
            file = path.open("xb", buffering=0)
            fcntl.flock(file, fcntl.LOCK_EX)
            if path.exists():
                break
            file.close()
        sync_directory(self._directory)
        self._file = file
        return file

    def _take_back(self, file: BinaryIO, length: int) -> None:
        """Cut off what was not kept, so that a full disk is not filled with the beginnings of files."""
        try:
            file.truncate(length)
            file.seek(length)
        except OSError:
            self.release()  # a half written line ends its file: readers stop there

    def release(self) -> None:
        """Let go of the own file: it is ready to be uploaded, and the next decision begins another."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def waiting(self) -> list[Path]:
        """Files there are, own and others, oldest name first."""
        return sorted(self._directory.glob("*.jsonl")) if self._directory.is_dir() else []

    def backlog(self) -> tuple[int, int]:
        """How many files wait, and their bytes together."""
        sizes = []
        for path in self.waiting():
            with suppress(FileNotFoundError):  # uploaded meanwhile
                sizes.append(path.stat().st_size)
        return len(sizes), sum(sizes)

    @contextmanager
    def claimed(self, path: Path) -> Iterator[Left | None]:
        """The decisions of a file nobody writes, None while its worker lives; removed when the block ends well.

        Raises:
            OSError: it can't be opened, locked, read or removed.
        """
        try:
            file = path.open("r+b")  # over NFS who asks for a lock of its own must be able to write
        except FileNotFoundError:  # another worker was quicker
            yield None
            return
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            yield Left(file)
            path.unlink(missing_ok=True)
            sync_directory(self._directory)

    def find(self, decision_id: str) -> DecisionRecord | None:
        """A decision that still waits here; of others no more is read than their lines."""
        return next((each for each in self._records(decision_id) if each.decision_id == decision_id), None)

    def last_uses(self) -> dict[str, int]:
        """Instant of the last decision that waits here made from each snapshot [s]."""
        uses: dict[str, int] = {}
        for record in self._records():
            uses[record.snapshot_id] = max(record.decided_at, uses.get(record.snapshot_id, record.decided_at))
        return uses

    def _records(self, said: str = "") -> Iterator[DecisionRecord]:
        """The decisions that wait here whose lines hold a text, file after file."""
        sought = msgspec.json.encode(said)[1:-1]
        for path in self.waiting():
            try:
                file = path.open("rb")
            except FileNotFoundError:  # uploaded meanwhile: the database has it
                continue
            with file:
                for line in file:
                    if sought not in line:
                        continue
                    record = _decoded(line)
                    if record is None:
                        break
                    yield record


def _write(file: BinaryIO, content: bytes) -> None:
    """All of it; a raw file may take less at once."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


def _decoded(line: bytes) -> DecisionRecord | None:
    """The decision of a line; None for one that is not whole.

    Such a line ends its file: its worker died writing it, before it told anyone.
    """
    try:
        return msgspec.json.decode(line, type=DecisionRecord)
    except msgspec.DecodeError:
        return None
