"""A real MLflow server, and what stands before it and is away, stalls, is slow or answers garbage on demand."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.serving.test_puller import ANSWERS

KINDS = ("not there", "stall", *ANSWERS)
"""What may be wrong with an MLflow, whatever it is asked."""

SLOW = "slow"
"""It answers everything after `DELAY`, and gives files bit by bit."""

SPOILT = ("downloads break off", "downloads are HTML")
"""It answers everything as it should, but not what a file holds."""

DELAY = 0.5
"""Before each answer of a slow MLflow; less than its client waits [s]."""

PARTS, PAUSE = 6, 0.3
"""Parts of a file of a slow MLflow, and the pause before each: in all, longer than its client waits for one [s]."""

DOWNLOADS = "/api/2.0/mlflow-artifacts/artifacts/"
"""Paths of files begin so."""

STARTED = 120.0
"""How long it may take to start [s]."""

HELD = 30.0
"""How long a stalled request is held at most [s]."""

PASSED = ("content-type", "content-disposition")


class FaultyMLflow:
    """Forwards what is asked of a port of this machine to an MLflow server, or behaves as told."""

    def __init__(self, upstream: int) -> None:
        self._upstream, self._mode = upstream, "pass"
        self._server: ThreadingHTTPServer | None = None
        self.spoilt = 0
        self.port = free_port()
        self.set("pass")

    @property
    def address(self) -> str:
        """Where it is asked."""
        return f"http://127.0.0.1:{self.port}"

    def set(self, kind: str) -> None:
        """Be `pass`, `SLOW` or one of `KINDS` or `SPOILT` from now on; `spoilt` counts downloads since then."""
        self.spoilt = 0
        self._mode = kind
        if kind == "not there":
            self.stop()
        elif self._server is None:
            self._server = Listening(("127.0.0.1", self.port), self._handler())
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        faulty = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                """As the mode of this moment says."""
                with suppress(OSError, HTTPException):
                    faulty.answer(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def answer(self, asked: BaseHTTPRequestHandler, body: bytes) -> None:
        """Answer one request."""
        end = time.monotonic() + HELD
        while self._mode == "stall" and time.monotonic() < end:
            time.sleep(0.02)
        mode, file = self._mode, asked.path.startswith(DOWNLOADS)
        if mode == SLOW:
            time.sleep(DELAY)
        status, content, headers = ANSWERS[mode] + ({},) if mode in ANSWERS else self._passed(asked, body)
        if mode == "downloads are HTML" and file:
            status, content = ANSWERS["html"]
        asked.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            asked.send_header(name, value)
        asked.end_headers()
        if mode == "downloads break off" and file:
            content = content[: len(content) // 2]
        for part in _parts(content) if mode == SLOW and file else (content,):
            asked.wfile.write(part)
        self.spoilt += file and mode in SPOILT

    def _passed(self, asked: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        given = {name: value for name, value in asked.headers.items() if name.lower() not in {"host", "connection"}}
        upstream = HTTPConnection("127.0.0.1", self._upstream, timeout=HELD)
        try:
            upstream.request(asked.command, asked.path, body, given)
            answer = upstream.getresponse()
            content = answer.read()
        finally:
            upstream.close()
        return answer.status, content, {name: value for name, value in answer.getheaders() if name.lower() in PASSED}


def _parts(content: bytes) -> Iterator[bytes]:
    """The content in `PARTS`, each after a pause."""
    size = -(-len(content) // PARTS) or 1
    for start in range(0, len(content), size):
        time.sleep(PAUSE)
        yield content[start : start + size]


class Listening(ThreadingHTTPServer):
    """A server whose threads nobody waits for."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def running_mlflow(place: Path) -> Iterator[int]:
    """The port of an MLflow server that keeps everything in `place`, as the compose file runs it."""
    place.mkdir(parents=True, exist_ok=True)
    port = free_port()
    options = [
        "--backend-store-uri",
        f"sqlite:///{place / 'mlflow.db'}",
        "--artifacts-destination",
        str(place / "kept"),
    ]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    given: dict[str, Any] = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = (place / "log").open("w")
    process = subprocess.Popen(
        [*command, *options], stdout=log, stderr=log, env={**os.environ, **given}, start_new_session=True, cwd=place
    )
    try:
        _wait_for(port, process, place / "log")
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        log.close()


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until it says that it is well.

    Raises:
        RuntimeError: it ended, or does not start.
    """
    end = time.monotonic() + STARTED
    while time.monotonic() < end and process.poll() is None:
        with suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                return
        time.sleep(0.2)
    raise RuntimeError(f"MLflow did not start: {log.read_text()[-2_000:]}")
