"""`make soak [MINUTES=30] [WORKSPACE=…]`: hold a service at 70% of its peak, count errors, watch its times and memory.

The peak is that of the moment: a machine that others share gives half as much for seconds, and 70% of a good second is
more than all of a bad one. So the rate follows the time that the last answers took of the processor.

Writes docs/figures/faults_soak.json and the tables rendered from it. Without a trained workspace a small one is made.
"""

import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple
from urllib.parse import quote

from recsys.settings import Settings
from recsys.workspace import Workspace
from tests.benchmarks.figures import table, write_figures
from tests.benchmarks.measure import figure
from tests.faults.killing import start
from tests.faults.soak_client import quantile
from tests.faults.tracing import tree
from tests.faults.workspaces import small_workspace

COMMAND = "make soak"
SHARE = 0.7
TARGET = 25.0
"""p99 asked for [ms]."""

STRETCH = 60.0
"""The time is cut in stretches so long [s], with a look at the peak before each."""

LOOKS = 5
"""Tenths of a stretch at the peak before the first one; one comes before each other."""

DEEP = 0.5
"""The rate may fall to `SHARE` of so much of the slowest second at the peak, as far as a machine was seen to fall."""

BUSY = 0.75
"""Share of its time that the worker is kept busy in the first stretch, nearly what `SHARE` of the peak takes."""

SETTLED = 0.1
"""Share of the time after which memory is compared."""

BURST = 2.0
"""At the beginning it is asked for so many times the peak: memory has then seen the most that can be under way."""

DECISION_BYTES = 16_000
"""Disk a decision takes, with its indexes [bytes]."""


class Soaked(NamedTuple):
    """What was seen: requests a second in each second of the runs at the peak and of the stretches, what the client saw
    in each stretch, and memory when it had settled and at the end [MB]."""

    peaks: list[float]
    rates: list[float]
    seen: list[dict[str, Any]]
    settled: float
    end: float


def soak(workspace: Path, seconds: float, stretch: float = STRETCH) -> Soaked:
    """Hold `SHARE` of the peak, which is looked at again before every stretch."""
    with _copied(workspace) as place, tempfile.TemporaryDirectory() as folder:
        snapshot = Workspace.open(Settings(workspace=place)).current_snapshot()
        ids = [snapshot.customers[i] for i in range(min(5_000, len(snapshot.customers)))]
        customers = Path(folder) / "customers.json"
        customers.write_text(json.dumps([each for each in ids if quote(each, safe="") == each]))
        process, where = start(place, workers=1)
        try:
            return _held(place, process.pid, Asking(where.rpartition(":")[2], customers), seconds, stretch)
        finally:
            process.terminate()
            process.wait(15)


def _held(place: Path, pid: int, asking: "Asking", seconds: float, stretch: float) -> Soaked:
    asking.seen(0.0, stretch / 40)
    peaks = asking.peak((LOOKS - 1) * stretch / 10)
    asking.seen(BURST * max(peaks), stretch / 10)
    number = max(1, round(seconds / stretch))
    _space(place, (fmean(peaks) * SHARE + max(peaks) / 10) * number * stretch)
    rates: list[float] = []
    seen: list[dict[str, Any]] = []
    sizes: list[float] = []
    busy: list[float] = []
    for _ in range(number):
        peaks += asking.peak(stretch / 10)
        busy.append(_busy(peaks, rates, busy))
        bounds = SHARE * DEEP * min(peaks), SHARE * max(peaks)
        seen.append(asking.seen(SHARE * fmean(peaks), stretch, pid, busy[-1], *bounds))
        rates += seen[-1]["rates"]
        sizes.append(memory(pid))
        _say(peaks, seen[-1], sizes[-1])
    return Soaked(peaks, rates, seen, settled=sizes[math.ceil(number * SETTLED) - 1], end=sizes[-1])


def _busy(peaks: list[float], rates: list[float], before: list[float]) -> float:
    """Share of the time the worker is to be busy so that `SHARE` of the `peaks` is sent, by the `rates` `before` gave.

    The two differ: at the peak the worker waits for its client now and then, and a request costs more when few come at
    once.
    """
    if not rates:
        return BUSY
    return min(SHARE * fmean(before) * fmean(peaks) / fmean(rates), 0.95)


def _say(peaks: list[float], seen: dict[str, Any], megabytes: float) -> None:
    slow, held = quantile(seen["times"], 0.99), seen["rates"]
    rates = f"peak {fmean(peaks):,.0f}/s, held {fmean(held):,.0f} ({min(held):,.0f} to {max(held):,.0f})"
    print(f"{rates}: p99 {slow:.1f} ms, errors {seen['errors'] or 'none'}, {megabytes:.1f} MB", flush=True)


class Asking(NamedTuple):
    """Clients, one after the other, of the service at a port."""

    port: str
    customers: Path

    def peak(self, seconds: float) -> list[float]:
        """Requests answered in each second when they come as fast as they are answered [/s]."""
        rates: list[float] = self.seen(0.0, seconds)["rates"]
        return rates

    def seen(self, rate: float, seconds: float, *busy: float) -> dict[str, Any]:
        """What a client saw; `busy` is whom it keeps busy, the share of the time, the least and the largest rate."""
        command = [sys.executable, "-m", "tests.faults.soak_client"]
        arguments = [self.port, str(rate), str(seconds), str(self.customers), *map(str, busy)]
        said = subprocess.run([*command, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout
        found: dict[str, Any] = json.loads(said)
        return found


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
    name = f"{minutes:.3g} minutes at {SHARE:.0%} of the peak of the moment"
    times = [each for seen in found.seen for each in seen["times"]]
    errors = sum(sum(seen["errors"].values()) for seen in found.seen)
    drift = (found.end / found.settled - 1) * 100
    peak, sent = "peak, 16 connections, one worker, client on the same machine", "requests a second sent"
    slow = [quantile(seen["times"], 0.99) for seen in found.seen]
    third = len(found.peaks) // 3
    later = fmean(found.peaks[-third:]) / fmean(found.peaks[:third]) if third else 1.0
    share = fmean(found.rates) / fmean(found.peaks) * 100
    return [
        figure(f"{name}: errors", errors, f"of {len(times) + errors}", COMMAND, at_most=0),
        figure(f"{name}: p99 from the time a request was due", quantile(times, 0.99), "ms", COMMAND, at_most=TARGET),
        figure(f"{name}: p99, slowest of {len(slow)} stretches", max(slow), "ms", COMMAND),
        figure(f"{name}: p99 over {TARGET:.0f} ms", sum(each > TARGET for each in slow), "stretches", COMMAND),
        figure(f"{name}: p50", quantile(times, 0.5), "ms", COMMAND),
        figure(f"{name}: slowest answer", max(times), "ms", COMMAND),
        figure(f"{name}: growth of memory without files", drift, "%", COMMAND, at_most=5),
        figure(f"{name}: memory at the end without files", found.end, "MB", COMMAND),
        figure(f"{name}: {peak}, mean of {len(found.peaks)} seconds", fmean(found.peaks), "/s", COMMAND),
        figure(f"{name}: peak, slowest second", min(found.peaks), "/s", COMMAND),
        figure(f"{name}: peak, fastest second", max(found.peaks), "/s", COMMAND),
        figure(f"{name}: peak, last third of the looks over the first", later, "times", COMMAND),
        figure(f"{name}: {sent}, mean", fmean(found.rates), "/s", COMMAND),
        figure(f"{name}: {sent}, slowest second", min(found.rates), "/s", COMMAND),
        figure(f"{name}: {sent}, fastest second", max(found.rates), "/s", COMMAND),
        figure(f"{name}: {sent}, mean, of the mean peak", share, "%", COMMAND, at_least=SHARE * 100 - 1),
    ]


def main() -> int:
    """Run it as the environment says; 1 when a figure does not hold."""
    minutes = float(os.environ.get("SOAK_MINUTES", "30"))
    workspace = Path(os.environ.get("SOAK_WORKSPACE", "workspace"))
    found = soak(workspace, minutes * 60)
    figures = figures_of(found, len(found.seen) * STRETCH / 60)
    write_figures("faults_soak", figures)
    print(table(figures))
    return int(any(each["holds"] is False for each in figures))


if __name__ == "__main__":
    raise SystemExit(main())
