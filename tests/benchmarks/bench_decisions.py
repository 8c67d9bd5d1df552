"""What the durable record of every decision costs: the service with and without it, 16 connections, taken in turns."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from recsys.settings import load_settings
from recsys.workspace import Workspace
from tests.benchmarks.measure import figure

COMMAND = "make bench BENCH=decisions"
CONNECTIONS = 16
SECONDS = 2.0
ROUNDS = 12


class Side(NamedTuple):
    """A running service and what was seen of it: CPU a request [ms], requests a second, times [ms]."""

    pid: int
    port: int
    cpu: list[float]
    rate: list[float]
    times: list[float]


def run(workspace: Path) -> list[dict[str, Any]]:
    """Load both in turns and compare medians."""
    with _copied(workspace) as place, _served(place, "yes") as kept, _served(place, "no") as free:
        bodies = _bodies(place)
        for side in (kept, free):
            _load(side, bodies, 2.0)
            for seen in (side.cpu, side.rate, side.times):
                seen.clear()
        for _ in range(ROUNDS):
            for side in (kept, free):
                _load(side, bodies, SECONDS)
        size = _record_bytes(place)
    cpu = float(np.median(np.array(kept.cpu) / np.array(free.cpu)) - 1) * 100
    rate = float(1 - np.median(np.array(kept.rate) / np.array(free.rate))) * 100
    return [
        figure("CPU of a recorded decision over one that is not, 16 connections", cpu, "%", COMMAND, at_most=20),
        figure("requests a second it costs", rate, "%", COMMAND, at_most=20),
        figure("recorded decisions a second, one worker, the client on the same machine", _m(kept.rate), "/s", COMMAND),
        figure("CPU of a recorded decision", _m(kept.cpu), "ms", COMMAND),
        figure("time of a recorded answer, 16 connections at peak, p50", _m(kept.times), "ms", COMMAND),
        figure("the same, p99", float(np.quantile(kept.times, 0.99)), "ms", COMMAND),
        figure("the same without record, p50", _m(free.times), "ms", COMMAND),
        figure("the same without record, p99", float(np.quantile(free.times, 0.99)), "ms", COMMAND),
        figure("size of a record, median", size, "bytes", COMMAND),
    ]


def _m(values: list[float]) -> float:
    return float(np.median(values))


@contextmanager
def _copied(workspace: Path) -> Iterator[Path]:
    """A workspace with the same snapshot and models and an empty database, on the same disk."""
    with tempfile.TemporaryDirectory(dir=workspace.resolve().parent, prefix=".bench-") as place:
        for name in ("snapshots", "bundles"):
            shutil.copytree(workspace / name, Path(place) / name)
        yield Path(place)


@contextmanager
def _served(workspace: Path, recorded: str) -> Iterator[Side]:
    command = [sys.executable, "-m", "tests.benchmarks.recorded_service", str(workspace), recorded]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    line = ""
    while not line.startswith("http"):
        line = process.stdout.readline()
    try:
        yield Side(process.pid, int(line.rpartition(":")[2]), [], [], [])
    finally:
        process.communicate("")


def _bodies(workspace: Path) -> list[bytes]:
    """Requests of random customers."""
    snapshot = Workspace.open(load_settings(workspace=workspace)).current_snapshot()
    draw = np.random.default_rng(2).integers(0, len(snapshot.customers), 2_000)
    return [json.dumps({"customer_id": snapshot.customers[int(i)]}).encode() for i in draw]


def _load(side: Side, bodies: list[bytes], seconds: float) -> None:
    """Ask as fast as answers come and note what it took."""
    before, start = _cpu(side.pid), time.perf_counter()
    times = asyncio.run(_ask_all(side.port, bodies, seconds))
    side.cpu.append((_cpu(side.pid) - before) / len(times) * 1000)
    side.rate.append(len(times) / (time.perf_counter() - start))
    side.times.extend(times)


async def _ask_all(port: int, bodies: list[bytes], seconds: float) -> list[float]:
    end = time.perf_counter() + seconds
    asking = (_ask(port, bodies[k::CONNECTIONS], end) for k in range(CONNECTIONS))
    return [each for times in await asyncio.gather(*asking) for each in times]


async def _ask(port: int, bodies: list[bytes], end: float) -> list[float]:
    """One connection kept alive; times of its answers [ms]."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times = []
    while time.perf_counter() < end:
        body = bodies[len(times) % len(bodies)]
        head = b"POST /v1/recommendations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        start = time.perf_counter()
        writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer.decode())
        fields = dict(line.lower().split(b": ", 1) for line in answer.split(b"\r\n")[1:-2])
        await reader.readexactly(int(fields[b"content-length"]))
        times.append((time.perf_counter() - start) * 1000)
    writer.close()
    return times


def _cpu(pid: int) -> float:
    """CPU time of a process so far [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _record_bytes(workspace: Path) -> float:
    database = Workspace.open(load_settings(workspace=workspace)).database()
    rows = database.fetch("SELECT content FROM decisions LIMIT 1000", ())
    return float(np.median([len(msgspec.json.encode(row[0])) for row in rows]))
