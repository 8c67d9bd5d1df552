"""A client that keeps a rate: `python -m tests.faults.soak_client PORT RATE SECONDS CUSTOMERS [PID SHARE LEAST MOST]`.

Each request goes out at its time whether or not the former ones were answered, and its time counts from when it should
have gone out (Tene, "How NOT to measure latency"). The rate is constant, or begins as told and keeps the first thread
of process PID busy for SHARE of the time by LEAST to MOST requests a second, see `Busy`. With rate 0, 16 connections
ask as fast as they are answered. It prints one JSON line: errors, times and the requests of each second, sent or (rate
0) answered.
"""

import asyncio
import gc
import json
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median

CONNECTIONS = 16
MOST_CONNECTIONS = 2_000
SECOND = 1.0
"""Rates are told of parts so long [s]."""
MOMENT = 0.1
"""What an answer costs is read so often [s]."""
MOMENTS = 5
"""The median of so many readings counts."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Pace = Callable[[int, int], float]
"""Requests a second to ask now, when so many were answered and so many failed."""


class Busy:
    """The pace that keeps a thread busy for a share of the time, by what its last answers took of the processor.

    A machine that others share gives more or less for seconds, and that is followed. A service that stalls is not: it
    answers nothing, or at once what had waited, and neither moves a median of `MOMENTS` or leads out of the bounds.
    What fails is no answer: refusing is cheap, and a service that refuses would be asked more and more.
    """

    def __init__(
        self,
        share: float,
        rate: float,
        bounds: tuple[float, float],
        used: Callable[[], float],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._share, self._rate, self._bounds, self._used, self._clock = share, rate, bounds, used, clock
        self._before: tuple[float, float, int, int] = clock(), used(), 0, 0
        self._able: deque[float] = deque(maxlen=MOMENTS)

    def __call__(self, answered: int, failed: int) -> float:
        at, used, *known = self._before
        now = self._clock()
        if now - at < MOMENT or known == [answered, failed]:
            return self._rate
        self._before = now, self._used(), answered, failed
        self._able.append((answered - known[0]) / max(self._before[1] - used, 1e-6))
        least, most = self._bounds
        self._rate = min(max(self._share * median(self._able), least), most)
        return self._rate


def used_by(pid: int) -> float:
    """Time that the first thread of a process was on a processor [s]."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


class Client:
    """Asks one service and notes what it took."""

    def __init__(self, port: int, customers: list[str]) -> None:
        self._port, self._requests = port, requests_of(customers)
        self._idle: deque[Streams] = deque()
        self._open = 0
        self.times: list[float] = []
        self.errors: Counter[str] = Counter()
        self.rates: list[float] = []

    async def ask(self, due: float) -> None:
        """One request that should have gone out at `due`."""
        try:
            streams = self._idle.popleft() if self._idle else await self._connected()
            status = await _exchange(streams, next(self._requests))
        except (OSError, EOFError, asyncio.IncompleteReadError) as error:
            self.errors[type(error).__name__] += 1
            return
        self._idle.append(streams)
        if status == b"200":
            self.times.append((time.perf_counter() - due) * 1000)
        else:
            self.errors[status.decode()] += 1

    async def _connected(self) -> Streams:
        if self._open >= MOST_CONNECTIONS:
            raise ConnectionError("too many requests wait")
        self._open += 1
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def hold(self, pace: Pace, seconds: float) -> None:
        """Requests at a pace for so long; `rates` are those sent in each `SECOND` [requests/s]."""
        start, tasks, sent = time.perf_counter(), set(), Counter[int]()
        due = 0.0
        while due < seconds:
            wait = start + due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(self.ask(start + due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            sent[int(due / SECOND)] += 1
            due += 1 / pace(len(self.times), self.errors.total())
        await asyncio.gather(*tasks)
        self.rates += [sent[part] / SECOND for part in range(int(seconds / SECOND))]

    async def peak(self, seconds: float) -> None:
        """As fast as answers come, by `CONNECTIONS` at once; `rates` are those of each `SECOND` [answers/s]."""
        end = time.perf_counter() + seconds

        async def one() -> None:
            while time.perf_counter() < end:
                await self.ask(time.perf_counter())

        await asyncio.gather(self._watch(seconds), *(one() for _ in range(CONNECTIONS)))

    async def _watch(self, seconds: float) -> None:
        """Note the rate of each part; one that ends late is longer, and the next one is not cut short for it."""
        parts, before, known = max(1, round(seconds / SECOND)), time.perf_counter(), 0
        for _ in range(parts):
            await asyncio.sleep(seconds / parts)
            now, answered = time.perf_counter(), len(self.times)
            self.rates.append((answered - known) / (now - before))
            before, known = now, answered


def requests_of(customers: list[str]) -> Iterator[bytes]:
    """Ninety offers, eight scores and two purchases in a hundred, customers in turn."""
    run = f"{time.time_ns():x}"
    for number in count():
        customer, kind = customers[number * 7919 % len(customers)], number % 50
        if kind == 25:
            line = {"product_id": "soak", "quantity": 1, "amount": 1}
            event = {"event_id": f"soak-{run}-{number}", "type": "purchase", "customer_id": customer, "lines": [line]}
            yield _post("/v1/events", {"events": [event]})
        elif kind in {5, 15, 35, 45}:
            yield b"GET /v1/customers/%s/scores HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % customer.encode()
        else:
            yield _post("/v1/recommendations", {"customer_id": customer})


def _post(path: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json"
    return f"{head}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


async def _exchange(streams: Streams, request: bytes) -> bytes:
    """The status of the answer."""
    reader, writer = streams
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    return head.split(b" ", 2)[1]


def quantile(times: list[float], share: float) -> float:
    """The time that `share` of the answers took at most [ms]."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def _following(rate: float, pid: float, share: float, least: float, most: float) -> Busy:
    return Busy(share, rate, (least, most), partial(used_by, int(pid)))


def main(port: int, rate: float, seconds: float, customers: list[str], *busy: float) -> None:
    """Ask, then print what was seen; `busy` is a process, the share of its time, the least and the largest rate."""
    client = Client(port, customers)
    pace = _following(rate, *busy) if busy else lambda _answered, _failed: rate
    gc.freeze()
    gc.disable()  # a pause of the client would be counted as one of the service
    asyncio.run(client.hold(pace, seconds) if rate else client.peak(seconds))
    times = [round(took, 3) for took in client.times]
    print(json.dumps({"errors": client.errors, "times": times, "rates": client.rates}))


if __name__ == "__main__":
    port, rate, seconds, file, *busy = sys.argv[1:]
    main(int(port), float(rate), float(seconds), json.loads(Path(file).read_text()), *map(float, busy))
