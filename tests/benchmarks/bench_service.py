"""The service as a process: start, memory, what it loads, and requests over HTTP."""

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from recsys.settings import load_settings
from recsys.workspace import Workspace
from tests.benchmarks.measure import figure, milliseconds

COMMAND = "make bench BENCH=service"


def run(workspace: Path) -> list[dict[str, Any]]:
    """Start the service on a free port twice (the first start warms caches), ask it, end it."""
    _started(workspace)[0].terminate()
    process, address, ready = _started(workspace)
    try:
        return [
            figure("service ready with warm kernels", ready, "s", COMMAND, at_most=4),
            figure("first worker, proportional memory", _pss_mb(process.pid), "MB", COMMAND, at_most=350),
            *_requests(workspace, address),
            figure("the same memory after these requests", _pss_mb(process.pid), "MB", COMMAND, at_most=350),
            figure("mlflow, pandas, sklearn or lightgbm mapped", _foreign(process.pid), "", COMMAND),
        ]
    finally:
        process.terminate()
        process.wait(15)


def _started(workspace: Path) -> tuple[subprocess.Popen[str], str, float]:
    """Process, its address, and the seconds until /health/ready said yes."""
    start = time.perf_counter()
    arguments = ["--workspace", str(workspace), "--clock", "snapshot", "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "serving", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    found = re.search(r"http://\S+", process.stdout.readline())
    if found is None:
        raise RuntimeError("the service did not say where it listens")
    for _ in range(600):
        try:
            if httpx.get(f"{found[0]}/health/ready").status_code == 200:
                return process, found[0], time.perf_counter() - start
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise RuntimeError("the service did not get ready")


def _requests(workspace: Path, address: str) -> list[dict[str, Any]]:
    snapshot = Workspace.open(load_settings(workspace=workspace)).current_snapshot()
    draw = np.random.default_rng(2)
    ids = iter([snapshot.customers[int(i)] for i in draw.integers(0, len(snapshot.customers), 3_000)])
    with httpx.Client(base_url=address) as client:
        offers = milliseconds(
            lambda: client.post("/v1/recommendations", json={"customer_id": next(ids)}).raise_for_status(), 800
        )
        scores = milliseconds(lambda: client.get(f"/v1/customers/{next(ids)}/scores").raise_for_status(), 800)
        empty = milliseconds(lambda: client.get("/health/live").raise_for_status(), 800)
    return [
        figure("POST /v1/recommendations over HTTP, one client, p50", float(np.median(offers)), "ms", COMMAND),
        figure("the same, p99", float(np.quantile(offers, 0.99)), "ms", COMMAND),
        figure("GET scores over HTTP, p50", float(np.median(scores)), "ms", COMMAND),
        figure("GET /health/live over HTTP, p50, for comparison", float(np.median(empty)), "ms", COMMAND),
    ]


def _pss_mb(pid: int) -> float:
    """Proportional set size of a process [MB]."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else float("nan")


def _foreign(pid: int) -> str:
    """Which of the libraries that don't belong in a worker have files mapped, or `none`."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    found = [name for name in ("mlflow", "pandas", "sklearn", "lightgbm") if f"/{name}/" in maps]
    return ", ".join(found) or "none"
