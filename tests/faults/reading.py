"""A load generator that reads what it is answered: which version answered each request, and with which bits.

`python -m tests.faults.reading FILE` reads an `Asked` as JSON from standard input, asks for offers and churn of each
customer in turn until its time is over or it is told to end (SIGTERM), and writes what it saw. It is a process of its
own: a client that shares the interpreter of a service, or of a test, waits for more than for the answers.
"""

import asyncio
import gc
import json
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from tests.benchmarks.load import Asked, Generator, Seen
from tests.benchmarks.service_load import OFFERS
from tests.benchmarks.sides import Case, Side

CUSTOMERS = 100
"""Customers asked for, each for offers and for scores."""

FOREVER = 3_600.0
"""Until it is told to end, but no longer [s]."""

KNOWING = 3.0
"""How long a service that knows one version is asked, so that each request is answered many times [s]."""

Said = dict[tuple[int, str], str]
"""What a version answers to a request: by the request's number and the version, item ids and raw scores as text."""


@dataclass
class Read:
    """What was seen, and how often each request was answered by each version in these words."""

    seen: Seen = field(default_factory=Seen)
    found: Counter[tuple[int, str, str]] = field(default_factory=Counter)

    def mixed(self, expected: Said) -> int:
        """Answers that are not what the version they name answers."""
        return sum(n for (number, version, said), n in self.found.items() if expected.get((number, version)) != said)

    @property
    def failed(self) -> int:
        """Requests refused, unanswered or never sent."""
        refused = sum(count for status, count in self.seen.statuses.items() if status != "200")
        return refused + self.seen.unanswered + self.seen.unsent

    @property
    def answers(self) -> int:
        """Requests that had an answer."""
        return len(self.seen.times)

    @property
    def longest_gap(self) -> float:
        """The longest time without an answer [ms]."""
        return float(np.diff(np.sort(self.seen.ends)).max()) * 1000

    def quantile(self, share: float) -> float:
        """The time, from when a request was due, that `share` of the answers took at most [ms]."""
        return float(np.quantile(self.seen.times, share))


class Reader(Generator):
    """Asks for offers and scores of each customer in turn, and counts what each answer says."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        self.requests = [each for customer in asked.bodies for each in requests_of(customer, asked.key)]
        self.found: Counter[tuple[int, str, str]] = Counter()

    def read(self, number: int, status: int, body: bytes) -> None:
        """Count what the answer says; one that can't be read says so."""
        if status == 200:
            self.found[number, *told(body)] += 1

    def stop(self) -> None:
        """Ask no more."""
        self.end = 0.0


def requests_of(customer: str, key: str) -> tuple[bytes, bytes]:
    """A request for offers and one for scores, as they are sent."""
    head = "Host: 127.0.0.1\r\n" + (f"Authorization: Bearer {key}\r\n" if key else "")
    body = json.dumps({"customer_id": customer})
    kind = f"Content-Type: application/json\r\nContent-Length: {len(body.encode())}\r\n"
    offers = f"POST {OFFERS} HTTP/1.1\r\n{head}{kind}\r\n{body}"
    return offers.encode(), f"GET /v1/customers/{customer}/scores HTTP/1.1\r\n{head}\r\n".encode()


def told(body: bytes) -> tuple[str, str]:
    """The version that answered and its scores, to the last bit: JSON holds each float so that it reads back the same.

    Of offers the items with their raw scores, of scores the probability of churn.
    """
    try:
        answer = json.loads(body)
        if "churn" in answer:
            return answer["churn"]["model_version"], repr(answer["churn"]["probability"])
        return answer["model_version"], json.dumps([(each["item_id"], each["raw"]) for each in answer["offers"]])
    except (ValueError, KeyError, TypeError) as error:
        return "", f"unreadable: {type(error).__name__}"


@contextmanager
def reading(case: Case, side: Side, rate: float) -> Iterator[Read]:
    """Within the block requests are sent at `rate` [/s], as fast as they are answered with 0; filled at its end."""
    read = Read()
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        customers = list(dict.fromkeys(case.customers))[:CUSTOMERS]
        asked = Asked(side.port, FOREVER, [OFFERS], customers, case.key, 16, rate)
        command = [sys.executable, "-m", "tests.faults.reading", file.name]
        client = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )
        try:
            assert client.stdin is not None
            assert client.stdout is not None
            client.stdin.write(json.dumps(asdict(asked)))
            client.stdin.close()
            client.stdout.readline()  # it asks from now on
            yield read
        finally:
            client.terminate()
            client.wait(60)
        _fill(read, json.loads(Path(file.name).read_bytes()))


def _fill(read: Read, found: dict[str, Any]) -> None:
    read.seen = Seen(**found["seen"])
    read.found = Counter({(number, version, said): count for number, version, said, count in found["found"]})


async def _read(asked: Asked) -> dict[str, Any]:
    reader = Reader(asked)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, reader.stop)
    print("asking", flush=True)
    seen = await reader.run()
    return {"seen": asdict(seen), "found": [[*key, count] for key, count in reader.found.items()]}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end before it began"))
    given = Asked(**json.loads(sys.stdin.read()))
    gc.disable()  # a pause of the generator would look like one of the service
    Path(sys.argv[1]).write_text(json.dumps(uvloop.run(_read(given))))
