"""`make soak [MINUTES=30] [WORKSPACE=…]`: hold a service at 70% of its peak, count errors, watch its times and memory.

Writes docs/figures/faults_soak.json and the tables rendered from it. Without a trained workspace a small one is made.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from recsys.settings import Settings
from recsys.workspace import Workspace
from tests.benchmarks.figures import table, write_figures
from tests.benchmarks.measure import figure
from tests.faults.killing import start
from tests.faults.tracing import tree
from tests.faults.workspaces import small_workspace

COMMAND = "make soak"
SHARE = 0.7
TARGET = 25.0
"""p99 asked for [ms]."""

PARTS = 12
"""Runs at the peak. The slowest counts: on a machine that others share, it is what can be held."""

PAUSE = 3.0
"""Between two of them, in their length: what others do there changes by the minute."""

SETTLED = 180.0
"""Memory is compared from here on, or after a tenth of a shorter run [s]."""

DECISION_BYTES = 16_000
"""Disk a decision takes, with its indexes [bytes]."""


class Soaked(NamedTuple):
    """What was seen: requests a second in the runs at the peak and in the long one, the client's figures, and memory
    when it had settled and at the end [MB]."""

    peaks: list[float]
    rate: float
    seen: dict[str, Any]
    settled: float
    end: float


def soak(workspace: Path, seconds: float, peak_seconds: float = 120.0) -> Soaked:
    """Measure the peak, then hold `SHARE` of it."""
    with _copied(workspace) as place, tempfile.TemporaryDirectory() as folder:
        snapshot = Workspace.open(Settings(workspace=place)).current_snapshot()
        ids = [snapshot.customers[i] for i in range(min(5_000, len(snapshot.customers)))]
        customers = Path(folder) / "customers.json"
        customers.write_text(json.dumps([each for each in ids if quote(each, safe="") == each]))
        process, where = start(place, workers=1)
        port = where.rpartition(":")[2]
        try:
            _client(port, 0.0, min(3.0, peak_seconds), customers).communicate()
            peaks = list(_peaks(port, peak_seconds / PARTS, customers))
            peak = min(peaks)
            print(f"peaks {', '.join(f'{each:,.0f}' for each in peaks)} requests/s", flush=True)
            _space(place, peak * SHARE * seconds)
            asking, settled = _client(port, peak * SHARE, seconds, customers), 0.0
            time.sleep(min(SETTLED, seconds / 10))
            settled = memory(process.pid)
            seen = _watched(asking, process.pid, seconds)
            print(f"errors {seen['errors'] or 'none'}", flush=True)
            return Soaked(peaks, peak * SHARE, seen, settled, memory(process.pid))
        finally:
            process.terminate()
            process.wait(15)


def _peaks(port: str, seconds: float, customers: Path) -> Iterator[float]:
    """Requests answered a second when they come as fast as they are answered: `PARTS` runs of so many seconds."""
    for number in range(PARTS):
        if number:
            time.sleep(PAUSE * seconds)
        answers: int = _result(_client(port, 0.0, seconds, customers))["answers"]
        yield answers / seconds


def _client(port: str, rate: float, seconds: float, customers: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.faults.soak_client", port, str(rate), str(seconds), str(customers)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _result(client: subprocess.Popen[str]) -> dict[str, Any]:
    said, _ = client.communicate()
    found: dict[str, Any] = json.loads(said)
    return found


def _watched(client: subprocess.Popen[str], pid: int, seconds: float) -> dict[str, Any]:
    """The client's figures when it ends; a line a minute until then."""
    began = time.monotonic()
    while client.poll() is None:
        if (time.monotonic() - began) % 60 < 1 and seconds > 60:
            print(f"{(time.monotonic() - began) / 60:5.1f} min  {memory(pid):7.1f} MB", flush=True)
        time.sleep(1)
    return _result(client)


def memory(pid: int) -> float:
    """Memory of a process and its children that no file stands behind, shared pages in proportion [MB].

    Pages of files belong to whoever maps them: another process that begins or ends would move the figure.
    """
    texts = (Path(f"/proc/{each}/smaps_rollup").read_text() for each in tree(pid))
    found = [re.search(r"^Pss_Anon:\s+(\d+) kB", text, re.MULTILINE) for text in texts]
    return sum(int(each[1]) for each in found if each) / 1024


def _space(place: Path, decisions: float) -> None:
    """Refuse to begin what the disk can't hold."""
    needed, free = decisions * DECISION_BYTES / 1e9, shutil.disk_usage(place).free / 1e9
    print(f"{decisions:,.0f} requests will take about {needed:.1f} GB of disk; {free:.1f} GB are free", flush=True)
    if needed > 0.9 * free:
        raise SystemExit("Not enough space: give a shorter time (MINUTES=…) or another disk (TMPDIR=…)")


@contextmanager
def _copied(workspace: Path) -> Iterator[Path]:
    """The same snapshot and models with an empty database; a small café where there is no workspace."""
    with tempfile.TemporaryDirectory(prefix="barista-soak-") as place:
        copy = Path(place) / "workspace"
        if not (workspace / "snapshots" / "current").exists():
            small_workspace(copy)
        else:
            for name in ("snapshots", "bundles"):
                shutil.copytree(workspace / name, copy / name)
        yield copy


def figures_of(found: Soaked, minutes: float) -> list[dict[str, Any]]:
    """What was seen beside what is asked."""
    peak = min(found.peaks)
    name, seen = f"{minutes:.3g} minutes at {SHARE:.0%} of the peak", found.seen
    errors = sum(seen["errors"].values())
    asked = seen["answers"] + errors
    drift = (found.end / found.settled - 1) * 100
    return [
        figure(f"{name}: errors", errors, f"of {asked}", COMMAND, at_most=0),
        figure(f"{name}: p99 from the time a request was due", seen["p99"], "ms", COMMAND, at_most=TARGET),
        figure(f"{name}: worst minute's p99", max(seen["p99_by_minute"]), "ms", COMMAND),
        figure(f"{name}: p50", seen["p50"], "ms", COMMAND),
        figure(f"{name}: slowest answer", seen["worst"], "ms", COMMAND),
        figure(f"{name}: growth of memory without files", drift, "%", COMMAND, at_most=5),
        figure(f"{name}: memory at the end without files", found.end, "MB", COMMAND),
        figure(f"{name}: requests a second held", found.rate, "/s", COMMAND),
        figure(f"{name}: peak, 16 connections, one worker, the client on the same machine", peak, "/s", COMMAND),
        figure(f"{name}: fastest of {PARTS} runs at the peak, whose slowest is it", max(found.peaks), "/s", COMMAND),
    ]


def main() -> int:
    """Run it as the environment says; 1 when a figure does not hold."""
    minutes = float(os.environ.get("SOAK_MINUTES", "30"))
    workspace = Path(os.environ.get("SOAK_WORKSPACE", "workspace"))
    figures = figures_of(soak(workspace, minutes * 60), minutes)
    write_figures("faults_soak", figures)
    print(table(figures))
    return int(any(each["holds"] is False for each in figures))


if __name__ == "__main__":
    raise SystemExit(main())
