"""A service whose clock jumps while it answers.

A library of a few lines, compiled here, stands before the C library in the service's processes and moves the wall clock
by what a file says. The monotonic clock is left alone, as it is when a machine's clock is set. (libfaketime moves the
deadlines of locks too, and a service under it stops.)
"""

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from recsys.settings import Settings
from recsys.store import KeyStore
from recsys.workspace import Workspace
from tests.faults.killing import load, lost, start

HOUR = 3600
SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static const volatile long long *moved;

__attribute__((constructor)) static void open_file(void) {
    int file = open(getenv("BARISTA_TEST_CLOCK"), O_RDONLY);
    void *at = mmap(0, sizeof *moved, PROT_READ, MAP_SHARED, file, 0);
    if (at != MAP_FAILED) moved = at;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME && moved) now->tv_sec += *moved;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec at;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &at);
    now->tv_sec = at.tv_sec;
    now->tv_usec = at.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *kept) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    if (kept) *kept = at.tv_sec;
    return at.tv_sec;
}
"""
"""The wall clock of a process, moved by the seconds a file holds."""

QUOTA = 100_000


@dataclass
class Seen:
    """What a clock that jumped did; each count should be 0."""

    events: int = 0
    decisions: int = 0
    lost_events: int = 0
    lost_decisions: int = 0
    same_ids: int = 0
    refused: int = 0
    forgotten: int = 0
    keys: int = 0


class Clock:
    """The clock of a service: now, moved by some hours."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.set(0)

    def set(self, hours: float) -> None:
        """Jump."""
        with self.file.open("r+b" if self.file.exists() else "wb") as file:
            file.write(struct.pack("q", int(hours * HOUR)))


def moved_clock(place: Path) -> Path:
    """The library, compiled into `place`; skips the test without a C compiler or off Linux."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("a clock that jumps needs Linux and a C compiler (`cc`)")
    source, library = place / "clock.c", place / "clock.so"
    source.write_text(SOURCE)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library


@contextmanager
def environment(clock: Clock) -> Iterator[None]:
    """Variables under which a process started now goes by `clock`."""
    names = {
        "LD_PRELOAD": str(moved_clock(clock.file.parent)),
        "BARISTA_TEST_CLOCK": str(clock.file),
        "BARISTA_RATE_LIMIT": str(QUOTA),
        "BARISTA_RATE_WINDOW": "60",
    }
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def jumps(workspace: Path, hours: tuple[float, ...], seconds: float, workers: int = 2) -> Seen:
    """Load a service, let its clock jump through `hours` from now, and count what went wrong."""
    seen, opened = Seen(), Workspace.open(Settings(workspace=workspace))
    keys = KeyStore(opened.database())
    text, short = (_key(keys, hours) for hours in (999, 2))
    opened.database().close()
    with tempfile.TemporaryDirectory() as place:
        clock = Clock(Path(place) / "clock")
        with environment(clock):
            process, where = start(workspace, workers, clock="now")
        shown = {"Authorization": f"Bearer {text}"}
        with load(where, 3, "jump", shown) as loaded, httpx.Client(base_url=where, headers=shown, timeout=20) as http:
            try:
                for number, each in enumerate((0.0, *hours)):
                    clock.set(each)
                    _look(http, seen, number, short, expired=each > 2)
                    time.sleep(seconds)
            finally:
                process.terminate()
                process.wait(15)
    seen.events, seen.decisions = len(loaded.events), len(loaded.decisions)
    seen.same_ids = len(loaded.decisions) - len(set(loaded.decisions))
    seen.refused += len(loaded.refused)
    seen.lost_events, seen.lost_decisions = lost(workspace, loaded)
    return seen


def _key(keys: KeyStore, hours: int) -> str:
    """A key for so many hours."""
    return keys.create(f"{hours} hours", ["admin"], expires_at=int(time.time()) + hours * HOUR)[0]


def _look(http: httpx.Client, seen: Seen, number: int, short: str, *, expired: bool) -> None:
    """What must hold after every jump: the limit lets pass, kept answers are replayed, a key expires by the clock."""
    time.sleep(0.3)
    answer = http.get("/v1/models")
    seen.refused += answer.status_code != 200
    body = {"customer_id": "ann"}
    for key in {"first", f"jump {number}".replace(" ", "-")}:
        made = [http.post("/v1/recommendations", json=body, headers={"Idempotency-Key": key}) for _ in range(2)]
        seen.forgotten += made[0].content != made[1].content or made[0].status_code != 200
    status = http.get("/v1/models", headers={"Authorization": f"Bearer {short}"}).status_code
    seen.keys += status != (401 if expired else 200)
