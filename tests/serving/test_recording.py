"""The thread that keeps decisions lets them gather between commits, no longer than that is of use."""

import asyncio
import math
import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from recsys.errors import StoreError, StoreUnavailable
from recsys.store.journal import Part
from recsys.store.patience import Patience
from serving import recording
from serving.recording import GAP, Recorder
from tests.serving.test_state import wait_for


class Store:
    """Keeps what it is given after a while."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.batches = seconds, []

    def append(self, records) -> None:
        time.sleep(self.seconds)
        self.batches.append(len(records))

    def upload(self, records) -> None:
        self.append(records)


def kept(store: Store, monkeypatch) -> list[float]:
    """Pauses after ten rounds of four decisions that are kept."""
    pauses, nap = [], time.sleep
    clock = SimpleNamespace(
        sleep=lambda seconds: (pauses.append(seconds), nap(seconds)), perf_counter=time.perf_counter
    )
    monkeypatch.setattr(recording, "time", clock)
    recorder = recorder_of(store)

    async def keep() -> None:
        for _ in range(10):
            assert all(await asyncio.gather(*(recorder.keep(SimpleNamespace()) for _ in range(4))))

    try:
        asyncio.run(keep())
    finally:
        recorder.stop()
    assert sum(store.batches) == 40
    return pauses


def test_a_decision_that_comes_while_others_are_taken_is_kept(monkeypatch):
    """Between the question where to put it and the putting, the thread looks whether anything waits."""
    store, waiting = Store(0.0), recording._Waiting

    def late(*parts):
        if recorder._thread is not None:
            recorder._wake.set()
            while recorder._wake.is_set():
                time.sleep(0.001)
            time.sleep(0.01)
        return waiting(*parts)

    monkeypatch.setattr(recording, "_Waiting", late)
    recorder = recorder_of(store)

    async def keep() -> list[bool]:
        return [await asyncio.wait_for(recorder.keep(SimpleNamespace()), 5) for _ in range(3)]

    try:
        kept = asyncio.run(keep())
    finally:
        recorder.stop()
    assert (kept, store.batches) == ([True] * 3, [1] * 3)


class Behind:
    """So many decisions left in a journal, each of one byte."""

    def __init__(self, number: int) -> None:
        self.number = number

    def parts(self, count: int, start: int = 0):
        for begin in range(start, self.number, count):
            end = min(begin + count, self.number)
            yield Part([SimpleNamespace()] * (end - begin), end)


def recorder_of(store: Store) -> Recorder:
    """One that has a journal with nothing in it."""
    journal = SimpleNamespace(waiting=list, release=lambda: None)
    return Recorder(lambda: store, journal, SimpleNamespace(now=False), lambda _kept, _count: None)


def test_quick_commits_are_kept_apart(monkeypatch):
    """What a commit takes is part of the pause, so they begin `GAP` apart."""
    pauses = kept(Store(0.0), monkeypatch)
    assert (len(pauses) > 0, all(0.0 < pause < GAP for pause in pauses)) == (True, True)


@pytest.mark.parametrize("seconds", [GAP, 3 * GAP])
def test_a_commit_that_took_long_is_followed_at_once(monkeypatch, seconds):
    """Decisions gathered while it lasted: nobody waits for a pause besides."""
    assert kept(Store(seconds), monkeypatch) == []


class Uploading(Store):
    """Somebody asks while the first part of a journal is brought into it."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.recorder = self.loop = self.asked = None

    def append(self, records) -> None:
        super().append(records)
        if len(records) > 1 and self.asked is None:
            self.asked = asyncio.run_coroutine_threadsafe(self.recorder.keep(SimpleNamespace()), self.loop)
            assert wait_for(lambda: self.recorder._queue)


def test_an_upload_holds_nobody_up():
    """Decisions asked for while those of an outage are uploaded are kept between two parts, not after the last."""
    store, files = Uploading(), ["left"]
    left = contextmanager(lambda _path: iter([Behind(1_000)]))
    journal = SimpleNamespace(waiting=lambda: [files.pop()] if files else [], release=lambda: None, claimed=left)
    store.recorder = Recorder(lambda: store, journal, SimpleNamespace(now=False), lambda _kept, _count: None)

    async def keep() -> None:
        store.loop = asyncio.get_running_loop()
        await store.recorder.keep(SimpleNamespace())
        assert await asyncio.to_thread(wait_for, lambda: store.asked is not None and store.asked.done())

    try:
        asyncio.run(keep())
    finally:
        store.recorder.stop()
    assert store.batches == [1, 100, 1, *[100] * 9]


class Faltering(Store):
    """Is too late once, with the third part of an upload."""

    def upload(self, records) -> None:
        if len(self.batches) == 2:
            self.batches.append(0)
            raise StoreUnavailable("The database did not answer in time")
        super().upload(records)


def test_an_upload_that_is_cut_off_goes_on_behind_what_was_brought():
    """Nobody waits for it, so it begins no outage; the two parts that were brought are not brought again."""
    store, files, begun = Faltering(0.0), ["left"], []

    @contextmanager
    def left(path):
        yield Behind(500)
        files.remove(path)

    journal = SimpleNamespace(waiting=lambda: list(files), release=lambda: None, claimed=left)
    outage = SimpleNamespace(now=False, begin=begun.append)
    recorder = Recorder(lambda: store, journal, outage, lambda _kept, _count: None)
    recorder.start()
    try:
        assert wait_for(lambda: not files)
    finally:
        recorder.stop()
    assert (store.batches, begun) == ([100, 100, 0, 100, 100, 100], [])


class Refusing(Store):
    """Answers, but takes nothing; `error` is raised instead."""

    def __init__(self, error: Exception) -> None:
        super().__init__(0.0)
        self.error = error

    def append(self, records) -> None:
        super().append(records)
        raise self.error


REFUSALS = [
    StoreError("The database refused"),
    sqlite3.DatabaseError("malformed"),
    UnicodeEncodeError("a", "", 0, 1, ""),
]


@pytest.mark.parametrize("error", REFUSALS)
def test_decisions_the_database_refuses_go_to_the_journal(monkeypatch, error):
    """Whatever it says: who waits is answered, the next one too, and what can still be done is not called lost."""
    monkeypatch.setattr(recording, "REFUSED", math.inf)
    store, kept, begun = Refusing(error), [], []
    journal = SimpleNamespace(waiting=list, release=lambda: None, append=kept.extend)
    outage = SimpleNamespace(now=False, begin=begun.append)
    recorder = Recorder(lambda: store, journal, outage, lambda _kept, _count: None)

    async def keep() -> list[bool]:
        return [await asyncio.wait_for(recorder.keep(SimpleNamespace()), 5) for _ in range(3)]

    try:
        answers = asyncio.run(keep())
    finally:
        recorder.stop()
    assert (answers, len(kept), store.batches, begun) == ([True] * 3, 3, [1], [])


@pytest.mark.parametrize("part", ["append", "upload", "count"])
def test_the_thread_outlives_whatever_goes_wrong_in_it(monkeypatch, part):
    """In the journal, in an upload or in the counting of what was kept; the next decision is answered."""
    monkeypatch.setattr(recording, "REFUSED", 0.0)
    store = Refusing(RuntimeError("?")) if part != "count" else Store(0.0)
    tried = []

    def fail(*_: object) -> list[str]:
        tried.append(part)
        raise RuntimeError("?")

    journal = SimpleNamespace(waiting=list, release=lambda: None, append=lambda _: None)
    if part != "count":
        setattr(journal, {"append": "append", "upload": "claimed"}[part], fail)
    journal.waiting = (lambda: [Path("left")]) if part == "upload" else list
    counted = fail if part == "count" else lambda _kept, _count: None
    recorder = Recorder(lambda: store, journal, SimpleNamespace(now=False), counted)

    async def keep() -> bool:
        await asyncio.wait_for(recorder.keep(SimpleNamespace()), 5)
        assert await asyncio.to_thread(wait_for, lambda: tried)
        return await asyncio.wait_for(recorder.keep(SimpleNamespace()), 5)

    try:
        kept = asyncio.run(keep())
    finally:
        recorder.stop()
    assert kept is (part != "append")


@pytest.mark.parametrize("error", [OSError(9, "Bad file descriptor"), StoreError("The database refused")])
def test_a_file_that_can_not_be_uploaded_holds_no_other_up(monkeypatch, error):
    """It is told once, although it is tried again and again, and those behind it are brought into the store."""
    monkeypatch.setattr(recording, "REFUSED", 0.0)
    store, files, tried = Store(0.0), [Path("a"), Path("b")], []

    @contextmanager
    def left(path):
        if path.name == "a":
            tried.append(path)
            raise error
        yield Behind(1)
        files.remove(path)

    journal = SimpleNamespace(waiting=lambda: list(files), release=lambda: None, claimed=left)
    recorder = Recorder(lambda: store, journal, SimpleNamespace(now=False), lambda _kept, _count: None)
    with capture_logs() as lines:
        recorder.start()
        try:
            assert wait_for(lambda: len(tried) > 1)
        finally:
            recorder.stop()
    told = [line["file"] for line in lines if line["event"] == "journal not uploaded"]
    assert (files, store.batches, told) == ([Path("a")], [1], ["a"])


def test_who_waited_for_a_slow_commit_waits_for_the_next_so_much_less():
    """The time of a decision counts from when it came, and that of its request may be up before."""
    given = []

    class Noting(Store):
        def append(self, records) -> None:
            given.append(Patience(60.0).ends() - time.monotonic())
            super().append(records)

    store = Noting(0.3)
    journal = SimpleNamespace(waiting=list, release=lambda: None)
    outage = SimpleNamespace(now=False)
    recorder = Recorder(lambda: store, journal, outage, lambda _kept, _count: None, patience=20.0)

    async def keep() -> None:
        first = asyncio.create_task(recorder.keep(SimpleNamespace()))
        await asyncio.sleep(0.1)
        await recorder.keep(SimpleNamespace())
        await first
        await recorder.keep(SimpleNamespace(), time.monotonic() + 10.0)

    try:
        asyncio.run(keep())
    finally:
        recorder.stop()
    assert (given[0] <= 20.0, given[1] < 19.9, given[2] <= 10.0) == (True, True, True)
