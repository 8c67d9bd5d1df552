"""Processes that a benchmark compares: the service as `barista serve` runs it, and its twins."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np

from recsys.data.tail import EventLine
from recsys.settings import load_settings
from recsys.store import Event, KeyStore
from recsys.workspace import Workspace

ROOT = Path(__file__).parents[2]
CUSTOMERS = 2_000
"""Customers asked for, drawn with their frequency in the base."""


class Side(NamedTuple):
    """A running process that answers on `port`; `ready` [s] from its start until it could."""

    process: subprocess.Popen[str]
    port: int
    ready: float

    @property
    def pid(self) -> int:
        """Process that answers, or the parent of those that do."""
        return self.process.pid

    def cpu(self) -> float:
        """CPU time of the process and its children so far [s]."""
        pids = [self.pid, *children(self.pid)]
        return sum(cpu_seconds(pid) for pid in pids)


class Case(NamedTuple):
    """A workspace to load: its directory, a key for it, customers that are asked for."""

    directory: Path
    key: str
    customers: Sequence[str]

    @property
    def bodies(self) -> list[str]:
        """Bodies of recommendation requests."""
        return [json.dumps({"customer_id": each}) for each in self.customers]

    @property
    def score_paths(self) -> list[str]:
        """Paths of scores."""
        return [f"/v1/customers/{each}/scores" for each in self.customers]


@contextmanager
def copied(workspace: Path) -> Iterator[Case]:
    """The workspace with its snapshot and models on the same disk, a key, and a newer purchase of each third customer.

    The database is new, so that every benchmark begins with the same.
    """
    with tempfile.TemporaryDirectory(dir=workspace.resolve().parent, prefix=".bench-") as place:
        for name in ("snapshots", "bundles"):
            shutil.copytree(workspace / name, Path(place) / name)
        opened = Workspace.open(load_settings(workspace=Path(place), clock="snapshot"))
        snapshot = opened.current_snapshot()
        draw = np.random.default_rng(2).integers(0, len(snapshot.customers), CUSTOMERS)
        customers = [snapshot.customers[int(i)] for i in draw]
        product = next(iter(snapshot.catalogue.products))
        opened.events().append(
            [
                Event(f"bench-{k}", customer, "purchase", snapshot.as_of, (EventLine(product, 1.0, 100),))
                for k, customer in enumerate(dict.fromkeys(customers[::3]))
            ]
        )
        key, _ = KeyStore(opened.database()).create("bench", ["recommend", "score", "metrics"])
        opened.database().close()
        yield Case(Path(place), key, customers)


@contextmanager
def running(command: Sequence[str], **environment: str) -> Iterator[Side]:
    """A process that says its address on standard output, until the block ends."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    try:
        port = _port(process)
        _wait_for_answers(port, process)
        yield Side(process, port, time.perf_counter() - start)
    finally:
        process.terminate()
        process.wait(30)


def service(case: Case, *options: str, module: str = "serving", **environment: str) -> AbstractContextManager[Side]:
    """The service on a free port, or a `module` that stands in for it."""
    given = [module, "--workspace", str(case.directory), "--clock", "snapshot", "--port", "0", *options]
    return running(given, **environment)


def twin(kind: str, case: Case, answers: Path) -> AbstractContextManager[Side]:
    """One of the twins; `answers` holds offers.json and scores.json."""
    files = [str(answers / "offers.json"), str(answers / "scores.json")]
    return running(["tests.benchmarks.twins", kind, str(case.directory), *files])


def _port(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"http://[^ :]+:(\d+)", line)
        if found is not None:
            return int(found[1])
    raise RuntimeError("the process ended without saying where it listens")


def _wait_for_answers(port: int, process: "subprocess.Popen[str]") -> None:
    """Until it answers anything but 503."""
    for _ in range(2_400):
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code != 503:
                return
        except httpx.TransportError:
            if process.poll() is not None:
                raise RuntimeError("the process ended") from None
        time.sleep(0.02)
    raise RuntimeError("the process did not get ready")


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process so far, as the kernel's scheduler counts it [s]."""
    try:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except OSError:
        return 0.0


def children(pid: int) -> list[int]:
    """Processes started by a process, and theirs."""
    direct = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [each for child in map(int, direct) for each in (child, *children(child))]


def workers_of(pid: int) -> list[int]:
    """Forked workers of a service: children that run its own command line."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    return [each for each in children(pid) if Path(f"/proc/{each}/cmdline").read_bytes() == command]


def pss_mb(pid: int) -> float:
    """Proportional set size of a process [MB]."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else float("nan")


NATIVE = ("pandas", "sklearn", "lightgbm")
"""Libraries with machine code that don't belong in a worker. One of Python alone, as MLflow is, is never mapped."""


def foreign(pid: int) -> set[str]:
    """Which of `NATIVE` a process has files mapped of."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return {name for name in NATIVE if f"/{name}/" in maps}
