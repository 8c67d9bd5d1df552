"""A load generator in a process of its own: closed (as fast as answers come) or open (at a rate, come what may).

`python -m tests.benchmarks.load FILE` reads an `Asked` as JSON from standard input, asks, and writes a `Seen`.
Times of the open loop run from the instant a request was due, so that a service that stalls can't hide it.
"""

import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import uvloop

GIVEN_UP = 10.0
"""How long the generator waits for the last answers [s]."""


@dataclass(frozen=True)
class Asked:
    """What to ask: `bodies` in turn (POST) or `paths` in turn (GET, when there are no bodies)."""

    port: int
    seconds: float
    paths: Sequence[str]
    bodies: Sequence[str] = ()
    key: str = ""
    connections: int = 4
    rate: float = 0.0
    most_connections: int = 512


@dataclass
class Seen:
    """Answers by status, their times [ms] and when each came [s since the start], answers without `Retry-After`.

    unanswered  requests that were sent and had no answer when the generator gave up
    unsent      requests that were due and never sent: the generator had `most_connections` open, all waiting
    late        how long after it was due each request was sent: the generator's own doing [ms]
    """

    statuses: dict[str, int] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    no_retry_after: int = 0
    unanswered: int = 0
    unsent: int = 0
    late: list[float] = field(default_factory=list)
    seconds: float = 0.0


def load(asked: Asked) -> Seen:
    """Run the generator as a child process."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, "-m", "tests.benchmarks.load", file.name]
        subprocess.run(command, input=json.dumps(asdict(asked)), text=True, cwd=Path(__file__).parents[2], check=True)
        return Seen(**json.loads(Path(file.name).read_bytes()))


Done = Callable[[int, bytes, bytes], None]
"""Told of an answer: status, head in small letters, body."""


class Connection(asyncio.Protocol):
    """One kept-alive connection with one request under way; `done(status, headers, body)` hears its end, 0 if lost."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._data = b""
        self._done: Done | None = None

    def connection_made(self, transport: Any) -> None:
        """Ready to ask."""
        self.transport = transport

    def ask(self, request: bytes, done: Done) -> None:
        """Send one request."""
        self._done = done
        assert self.transport is not None
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Gather the answer until it is whole."""
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._data[:end].lower()
        at = head.find(b"content-length: ")
        stop = head.find(b"\r\n", at)
        length = int(head[at + 16 : stop if stop > 0 else None]) if at >= 0 else 0
        if len(self._data) >= end + 4 + length:
            body, self._data, done, self._done = self._data[end + 4 :], b"", self._done, None
            if done is not None:
                done(int(head[9:12]), head, body)

    def connection_lost(self, _error: Exception | None) -> None:
        """Whatever was under way is lost."""
        self.transport = None
        if self._done is not None:
            done, self._done = self._done, None
            done(0, b"", b"")


class Generator:
    """Asks and notes what comes back."""

    def __init__(self, asked: Asked) -> None:
        self.asked, self.seen, self.count = asked, Seen(), 0
        self.free: deque[Connection] = deque()
        self.opened = self.under_way = 0
        self.requests = _requests(asked)
        self.start = self.end = 0.0

    async def run(self) -> Seen:
        """All of it."""
        for _ in range(self.asked.connections):
            self.free.append(await self._open())
        self.start = time.perf_counter()
        self.end = self.start + self.asked.seconds
        await (self._open_loop() if self.asked.rate else self._closed_loop())
        self.seen.seconds = time.perf_counter() - self.start
        limit = time.perf_counter() + GIVEN_UP
        while self.under_way and time.perf_counter() < limit:
            await asyncio.sleep(0.01)
        self.seen.unanswered = self.under_way
        self.seen.statuses = {str(code): count for code, count in Counter(self.seen.codes).items()}
        return self.seen

    async def _open(self) -> Connection:
        self.opened += 1
        _, protocol = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", self.asked.port)
        return protocol

    async def _closed_loop(self) -> None:
        def again(connection: Connection) -> None:
            if time.perf_counter() < self.end:
                self._send(connection, time.perf_counter(), again)

        for connection in list(self.free):
            again(connection)
        while (left := self.end - time.perf_counter()) > 0:
            await asyncio.sleep(min(left, 0.1))

    async def _open_loop(self) -> None:
        gap, due = 1 / self.asked.rate, self.start
        while due < self.end:
            now = time.perf_counter()
            while due <= now and due < self.end:
                self._due(due)
                due += gap
            await asyncio.sleep(max(0.0005, due - time.perf_counter()))

    def _due(self, due: float) -> None:
        """Ask now, on a free connection or a new one; with too many open it is not asked at all."""
        while self.free:
            connection = self.free.popleft()
            if connection.transport is not None:
                self._send(connection, due, self.free.append)
                return
            self.opened -= 1
        if self.opened >= self.asked.most_connections:
            self.seen.unsent += 1
            return
        self.under_way += 1
        asyncio.get_running_loop().create_task(self._send_new(due))

    async def _send_new(self, due: float) -> None:
        self.under_way -= 1
        try:
            self._send(await self._open(), due, self.free.append)
        except OSError:
            self.opened -= 1
            self._note(0, b"", due)

    def _send(self, connection: Connection, due: float, then: Callable[[Connection], None]) -> None:
        self.under_way += 1
        number = self.count % len(self.requests)

        def done(status: int, head: bytes, body: bytes) -> None:
            self.under_way -= 1
            self._note(status, head, due)
            self.read(number, status, body)
            if connection.transport is not None:
                then(connection)

        self.seen.late.append((time.perf_counter() - due) * 1000)
        connection.ask(self.requests[number], done)
        self.count += 1

    def read(self, number: int, status: int, body: bytes) -> None:
        """What the answer to request `number` says; nothing of it is kept here."""

    def _note(self, status: int, head: bytes, due: float) -> None:
        now = time.perf_counter()
        self.seen.codes.append(status)
        self.seen.times.append((now - due) * 1000)
        self.seen.ends.append(now - self.start)
        self.seen.no_retry_after += status in {429, 503} and b"\r\nretry-after: " not in head


def _requests(asked: Asked) -> list[bytes]:
    """The requests as bytes."""
    head = "Host: 127.0.0.1\r\n" + (f"Authorization: Bearer {asked.key}\r\n" if asked.key else "")
    if not asked.bodies:
        return [f"GET {path} HTTP/1.1\r\n{head}\r\n".encode() for path in asked.paths]
    kind = "Content-Type: application/json\r\n"
    bodies = ((body, len(body.encode())) for body in asked.bodies)
    path = asked.paths[0]
    return [f"POST {path} HTTP/1.1\r\n{head}{kind}Content-Length: {n}\r\n\r\n{body}".encode() for body, n in bodies]


if __name__ == "__main__":
    gc.disable()  # a pause of the generator would look like one of the service
    seen = uvloop.run(Generator(Asked(**json.loads(sys.stdin.read()))).run())
    Path(sys.argv[1]).write_text(json.dumps(asdict(seen)))
