"""What a service asked of the disk and when: its system calls by strace, read for answers that left before a sync."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SYNCS = ("fsync", "fdatasync")
CALLS = (*SYNCS, "write", "writev", "pwrite64", "pwritev", "sendto", "sendmsg")

_LINE = re.compile(r"^(?P<pid>\d+) +[\d.]+ (?P<rest>.*)$")
_BEGUN = re.compile(r"^(?P<call>\w+)\(\d+<(?P<file>(?:->|[^<>])*)>(?P<text>.*)$")
_ENDED = re.compile(r"^<\.\.\. (?P<call>\w+) resumed>.*= (?P<result>-?\d+)")
_RESULT = re.compile(r"= (?P<result>-?\d+)(?: .*)?$")
_ID = re.compile(r"[0-9a-f]{32}")
_DIGITS = re.compile(r"[0-9a-f]{16,}")


@dataclass
class Trace:
    """Ids that left in answers: those whose bytes were synced before, and those whose were not."""

    safe: set[str] = field(default_factory=set)
    early: set[str] = field(default_factory=set)


@dataclass
class _Reading:
    """Texts written but not synced, by file; ids synced, what is missing of those synced in part; calls that run."""

    port: int
    ids: frozenset[str]
    waiting: dict[str, set[str]] = field(default_factory=dict)
    synced: set[str] = field(default_factory=set)
    missing: dict[str, str] = field(default_factory=dict)
    running: dict[str, tuple[str, str, set[str]]] = field(default_factory=dict)
    found: Trace = field(default_factory=Trace)

    def begin(self, pid: str, call: str, file: str, text: str) -> None:
        if file.startswith(("TCP", "UNIX", "socket")):
            if f"127.0.0.1:{self.port}->" in file:
                self._leaves(text)
            return
        covered = set(self.waiting.get(file, ())) if call in SYNCS else {text}
        self.running[pid] = (call, file, covered)

    def end(self, pid: str, result: int) -> None:
        call, file, covered = self.running.pop(pid, ("", "", set()))
        if result < 0 or not call:
            return
        if call in SYNCS:
            self._sync("\n".join(covered))
            self.waiting[file] = self.waiting.get(file, set()) - covered
        else:
            self.waiting.setdefault(file, set()).update(covered)

    def _sync(self, text: str) -> None:
        """Note the ids in a text that is on the disk now: whole, or both pieces of one that a page's end cut."""
        digits = "\n".join(_DIGITS.findall(text))  # a small part of it, for it is searched for every id
        for each in self.ids - self.synced:
            missing = self.missing.get(each) or _missing(each, digits)
            if each in digits or (missing != each and missing in text):
                self.synced.add(each)
            elif missing != each:
                self.missing[each] = missing

    def _leaves(self, text: str) -> None:
        for each in set(_ID.findall(text)) & self.ids:
            (self.found.safe if each in self.synced else self.found.early).add(each)


def _missing(each: str, text: str) -> str:
    """What `text` lacks of an id of which it holds the beginning or the end, at least half; else all of the id."""
    half = len(each) // 2
    if each[:half] in text:
        return next(each[k:] for k in range(len(each), half - 1, -1) if each[:k] in text)
    if each[half:] in text:
        return next(each[:k] for k in range(half + 1) if each[k:] in text)
    return each


def read_trace(lines: Iterable[str], port: int, ids: Iterable[str]) -> Trace:
    """Which of `ids` (32 hexadecimal digits) left by `port` after the files they were written to were synced."""
    reading = _Reading(port, frozenset(ids))
    for line in lines:
        matched = _LINE.match(line)
        if matched is None:
            continue
        pid, rest = matched["pid"], matched["rest"]
        ended = _ENDED.match(rest)
        if ended is not None:
            reading.end(pid, int(ended["result"]))
            continue
        begun = _BEGUN.match(rest)
        if begun is None or begun["call"] not in CALLS:
            continue
        reading.begin(pid, begun["call"], begun["file"], begun["text"])
        if "<unfinished ...>" not in rest:
            result = _RESULT.search(rest)
            reading.end(pid, int(result["result"]) if result else -1)
    return reading.found


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in tree(int(child)))]


@contextmanager
def traced(pids: Iterable[int], output: Path, touch: Callable[[], object]) -> Iterator[None]:
    """Trace processes for the block into `output`; `touch` makes one of them send something.

    Skips the test where there is no strace or tracing is not permitted.
    """
    if shutil.which("strace") is None:
        pytest.skip("a trace of fsync needs strace")
    chosen = [option for pid in pids for option in ("-p", str(pid))]
    options = ["-f", "-ttt", "-yy", "-s", "100000", "-e", f"trace={','.join(CALLS)}", "-o", str(output)]
    process = subprocess.Popen(["strace", *options, *chosen], stderr=subprocess.PIPE, text=True)
    try:
        _attached(process, output, touch)
        yield
        time.sleep(0.2)  # what was just sent is written down
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=30)


def _attached(process: subprocess.Popen[str], output: Path, touch: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if process.poll() is not None:
            said = process.stderr.read().strip() if process.stderr else ""
            pytest.skip(f"strace may not trace here: {said.splitlines()[-1] if said else 'no reason given'}")
        touch()
        if output.exists() and "HTTP/1.1 200" in output.read_text(errors="replace"):
            return
        time.sleep(0.05)
    raise RuntimeError("strace saw nothing")
