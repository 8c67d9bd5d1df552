"""Services killed under load: what was acknowledged must be there afterwards."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from recsys.settings import Settings
from recsys.workspace import Workspace

PROGRAM = ("-m", "serving")


@dataclass
class Acknowledged:
    """Ids of events and decisions whose answers arrived, and the status of answers that said no."""

    events: list[str] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)


def start(
    workspace: Path,
    workers: int = 2,
    address: str | None = None,
    clock: str = "snapshot",
    program: Sequence[str] = PROGRAM,
    **environment: str,
) -> tuple[subprocess.Popen[str], str]:
    """A service process and where it answers; `program` is what Python runs."""
    options = ["--workspace", str(workspace), "--port", "0", "--workers", str(workers), "--clock", clock]
    given = {**os.environ, **environment} | ({"DATABASE_URL": address} if address else {})
    process = subprocess.Popen(
        [sys.executable, *program, *options, "--log-level", "error"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=given,
    )
    assert process.stdout is not None
    found = re.search(r"http://\S+", process.stdout.readline())
    if found is None:
        raise RuntimeError("the service did not start")
    return process, found[0]


def kill(process: subprocess.Popen[str]) -> None:
    """kill -9 for a service with all its workers."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in (process.pid, *map(int, children)):
        os.kill(pid, signal.SIGKILL)
    process.wait()


@contextmanager
def load(address: str, clients: int, prefix: str, headers: dict[str, str] | None = None) -> Iterator[Acknowledged]:
    """Clients that report purchases and ask for offers as fast as they get answers, until the block ends."""
    seen, stop = Acknowledged(), threading.Event()

    def ask(client: int) -> None:
        with httpx.Client(base_url=address, timeout=10, headers=headers) as http:
            for number in range(1_000_000):
                if stop.is_set():
                    return
                try:
                    _one(http, seen, f"{prefix}-{client}-{number}")
                except httpx.HTTPError:
                    return

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _one(http: httpx.Client, seen: Acknowledged, event_id: str) -> None:
    lines = [{"product_id": "tea", "quantity": 1, "amount": 2.1}]
    event = {"event_id": event_id, "type": "purchase", "customer_id": "ann" + event_id[-1], "lines": lines}
    answer = http.post("/v1/events", json={"events": [event]})
    if answer.status_code == 200:
        seen.events.append(event_id)
    else:
        seen.refused.append(answer.status_code)
    answer = http.post("/v1/recommendations", json={"customer_id": "ann"})
    if answer.status_code == 200 and answer.json()["recorded"]:
        seen.decisions.append(answer.json()["decision_id"])
    elif answer.status_code != 200:
        seen.refused.append(answer.status_code)


def killed_under_load(
    workspace: Path, prefix: str, *, clients: int = 4, seconds: float = 1.0, address: str | None = None
) -> Acknowledged:
    """Start a service, load it, kill it `seconds` after it acknowledged twenty of each; what it had acknowledged."""
    process, where = start(workspace, address=address)
    with load(where, clients, prefix) as seen:
        end = time.monotonic() + 60
        while time.monotonic() < end and min(len(seen.events), len(seen.decisions)) < 20:
            time.sleep(0.05)
        time.sleep(seconds)
        kill(process)
    return seen


def lost(workspace: Path, seen: Acknowledged, address: str | None = None) -> tuple[int, int]:
    """How many acknowledged events and decisions are nowhere: neither in the database nor in a journal."""
    opened = Workspace.open(Settings(workspace=workspace, database_url=address))
    events = set(seen.events) - set(opened.events().instants_of(seen.events))
    decisions, journal = opened.decisions(), opened.journal()
    gone = [each for each in seen.decisions if decisions.find(each) is None and journal.find(each) is None]
    opened.events().close()
    return len(events), len(gone)
