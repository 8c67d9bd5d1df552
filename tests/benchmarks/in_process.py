"""Recommendations by the whole application without a network, one after the other: what each took.

`python -m tests.benchmarks.in_process FILE` reads an `InProcess` as JSON from standard input and writes the times [ms].
Each request goes through all that the service does between reading it and writing its answer: the key, the limits, the
state with its tail, candidates, features, ranking, calibration, the body as JSON, the record on the disk, the log line.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import uvloop
from fastapi import FastAPI
from starlette.types import Message, Scope

from recsys.logs import configure_logs
from recsys.settings import load_settings
from recsys.workspace import Workspace
from serving.answers import open_answers
from serving.http.app import create_app
from serving.http.running import TURN, YOUNG
from serving.http.state import State
from serving.http.whole import WHOLE

OFFERS = "/v1/recommendations"
WARM = 50
"""Answers that are not counted."""


@dataclass(frozen=True)
class InProcess:
    """What to ask: `bodies` in turn, `times` over all, of a workspace's service with a key."""

    workspace: str
    key: str
    bodies: Sequence[str]
    times: int


def times_of(asked: InProcess) -> list[float]:
    """Times of the answers [ms], in a process of their own set up as a worker of the service.

    Raises:
        CalledProcessError: an answer was not 200, or a decision is not in the database afterwards.
    """
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.in_process", file.name],
            input=json.dumps(asdict(asked)),
            text=True,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
            check=True,
        )
        times: list[float] = json.loads(Path(file.name).read_bytes())
        return times


async def answers(asked: InProcess) -> list[float]:
    """The same in this process.

    Raises:
        RuntimeError: an answer was not 200, or a decision is not in the database afterwards.
    """
    state = State(Workspace.open(load_settings(workspace=Path(asked.workspace), clock="snapshot")), open_answers)
    state.begin()
    app, before = create_app(state), state.workspace.decisions().count()
    sys.setswitchinterval(TURN)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
    async with app.router.lifespan_context(app):
        requests = [asked.bodies[k % len(asked.bodies)].encode() for k in range(WARM + asked.times)]
        times = [await _answer(app, asked.key, body) for body in requests]
    kept = state.workspace.decisions().count() - before
    if kept != len(requests):
        raise RuntimeError(f"{kept} of {len(requests)} decisions are in the database")
    return times[WARM:]


async def _answer(app: FastAPI, key: str, body: bytes) -> float:
    """Time of one request from the instant it is read until its answer could be written [ms].

    Raises:
        RuntimeError: the answer is not 200.
    """
    written: list[tuple[int, bytes, bytes]] = []

    def write(*answer: object) -> bool:
        written.append(answer)  # type: ignore[arg-type]
        return True

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        raise RuntimeError(f"the answer came apart: {message}")

    scope = _scope(key, body) | {WHOLE: write}
    start = time.perf_counter()
    await app(scope, receive, send)
    took = time.perf_counter() - start
    status, _, answer = written[0]
    if status != 200:
        raise RuntimeError(f"{status}: {answer!r}")
    return took * 1e3


def _scope(key: str, body: bytes) -> Scope:
    headers = {"host": "127.0.0.1", "authorization": f"Bearer {key}", "content-type": "application/json"}
    headers["content-length"] = str(len(body))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": OFFERS,
        "raw_path": OFFERS.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }


if __name__ == "__main__":
    configure_logs("info")
    times = uvloop.run(answers(InProcess(**json.loads(sys.stdin.read()))))
    Path(sys.argv[1]).write_text(json.dumps(times))
