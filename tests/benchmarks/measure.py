"""Measuring: repeated timing, peak memory of a child process, and the form of a figure."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


def milliseconds(act: Callable[[], object], repeats: int) -> np.ndarray:
    """Time of each of `repeats` calls [ms]; three calls before are not counted."""
    for _ in range(3):
        act()
    times = np.empty(repeats)
    for k in range(repeats):
        start = time.perf_counter()
        act()
        times[k] = time.perf_counter() - start
    return times * 1e3


def speed_of_the_machine(command: str) -> dict[str, Any]:
    """What tells figures in milliseconds of two machines, or of one in two hours, apart: a loop that does little."""

    def loop() -> None:
        total = 0
        for number in range(1_000_000):
            total += number

    times = milliseconds(loop, 15)
    return figure("a million additions in a loop of Python: the machine's own speed", np.median(times), "ms", command)


def figure(
    name: str,
    value: float | str,
    unit: str,
    command: str,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    said: str | None = None,
    split: str | None = None,
) -> dict[str, Any]:
    """One measured figure beside what is asked of it: a bound, or the text it is to be."""
    asked, holds = None, None
    if at_most is not None:
        asked, holds = f"≤ {at_most:g}", bool(float(value) <= at_most)
    if at_least is not None:
        asked, holds = f"≥ {at_least:g}", bool(float(value) >= at_least)
    if said is not None:
        asked, holds = said, value == said
    return {
        "name": name,
        "value": value if isinstance(value, str) else float(f"{value:.4g}"),
        "unit": unit,
        "asked": asked,
        "holds": holds,
        "command": command,
        "date": date.today().isoformat(),
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in ("numpy", "numba", "lightgbm", "polars")},
        "split": split,
    }


class Child(NamedTuple):
    """A finished child process: seconds it took and its peak memory [MB]."""

    seconds: float
    peak_mb: float
    output: str


def run_child(arguments: Sequence[str], **environment: str) -> Child:
    """Run `python …` and measure it from outside: wall time and the peak of its resident memory.

    Raises:
        RuntimeError: it failed; the message holds what it printed.
    """
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _WRAPPER, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-4000:])
    peak = [line for line in done.stderr.splitlines() if line.startswith("peak-kb ")]
    return Child(seconds, int(peak[-1].split()[1]) / 1024, done.stdout)


_WRAPPER = """
import resource, subprocess, sys
code = subprocess.call([sys.executable, *sys.argv[1:]])
print("peak-kb", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
raise SystemExit(code)
"""
"""Waits for one child and reports its peak memory, so that earlier children of ours don't count."""
