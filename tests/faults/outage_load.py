"""Clients of a service whose database breaks under them: what they were answered, how soon, what was promised."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count

import httpx

from tests.faults.killing import Acknowledged

KEY = "Idempotency-Key"
LIMIT = 30.0
"""When a service that does not recover is given up [s]."""

PAUSE = 0.01
"""Between two requests of a client under load [s]: what is measured are faults, not the machine."""

CALM = 1.5
"""So long without a refusal, and the outage is over for every worker [s]."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request came to: times of `time.perf_counter` [s], status 0 for none at all."""

    kind: str
    began: float
    ended: float
    status: int = 0
    retry: bool = False
    stale: bool = False

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began

    @property
    def refused(self) -> bool:
        """Whether it said that it can't be done now, and when to come again."""
        return self.status in {503, 507} and self.retry

    @property
    def documented(self) -> bool:
        """Whether it is one an outage may give: reads go on, a key may be held by the request that claimed it."""
        if self.kind in READS:
            return self.status == 200
        return self.status == 200 or self.refused or (self.kind == "keyed" and self.status == 409 and self.retry)


@dataclass
class Told:
    """All answers of several clients, and what was promised by them.

    `stands` is a decision to ask for, by default the one before the last that somebody was told of.
    """

    kept: Acknowledged = field(default_factory=Acknowledged)
    answers: list[Answer] = field(default_factory=list)
    stands: str = ""
    unrecorded: int = 0

    def ask(self, kind: str, http: httpx.Client, name: str) -> Answer:
        """Ask for one thing under a name that is used once, and note the answer."""
        began, answer = time.perf_counter(), None
        with suppress(httpx.HTTPError):
            answer = KINDS[kind](http, name, self)
        ended = time.perf_counter()
        if answer is None:
            noted = Answer(kind, began, ended)
        else:
            body = answer.json()
            self._promise(kind, name, answer.status_code, body)
            stale = bool(body.get("stale"))
            noted = Answer(kind, began, ended, answer.status_code, "retry-after" in answer.headers, stale)
        self.answers.append(noted)
        return noted

    def _promise(self, kind: str, name: str, status: int, body: dict[str, object]) -> None:
        if status != 200:
            return
        if kind in {"report", "keyed"}:
            self.kept.events.append(name)
        if kind in {"offers", "keyed offers"}:
            self.unrecorded += not body["recorded"]
            if body["recorded"]:
                self.kept.decisions.append(str(body["decision_id"]))

    def slowest(self, *kinds: str, refused: bool | None = None) -> float:
        """The longest time that one of some kinds took [s]; with `refused` only of those that were, or were not."""
        return max((a.seconds for a in self.answers if a.kind in kinds and refused in {None, a.refused}), default=0.0)


def _event(name: str) -> dict[str, object]:
    """A purchase of one of many customers, none of whom is erased."""
    customer = f"c{10 + sum(name.encode()) % 150:04d}"
    lines = [{"product_id": "tea", "quantity": 1, "amount": 2.1}]
    return {"events": [{"event_id": name, "type": "purchase", "customer_id": customer, "lines": lines}]}


def _offers(http: httpx.Client, **headers: str) -> httpx.Response:
    return http.post("/v1/recommendations", json={"customer_id": "c0001"}, headers=headers)


def _decision(http: httpx.Client, _name: str, told: Told) -> httpx.Response:
    """A decision that was recorded, perhaps by another worker than the one asked."""
    return http.get(f"/v1/decisions/{told.stands or told.kept.decisions[-2:][0]}")


KINDS: dict[str, Callable[[httpx.Client, str, Told], httpx.Response]] = {
    "report": lambda http, name, _told: http.post("/v1/events", json=_event(name)),
    "keyed": lambda http, name, _told: http.post(
        "/v1/events", json=_event(name), headers={KEY: name.replace(" ", "-")}
    ),
    "erase": lambda http, _name, _told: http.delete("/v1/customers/c0002"),
    "export": lambda http, _name, _told: http.get("/v1/customers/c0003/export"),
    "decision": _decision,
    "offers": lambda http, _name, _told: _offers(http),
    "keyed offers": lambda http, name, _told: _offers(http, **{KEY: name.replace(" ", "-")}),
    "scores": lambda http, _name, _told: http.get("/v1/customers/c0004/scores"),
}
"""What is asked for, by kind; nothing counted is about the customer who is erased."""

READS = ("offers", "keyed offers", "scores")
"""Kinds that are answered whatever happens to the database."""

WRITES = ("report", "keyed", "erase")
REFUSED = (*WRITES, "export", "decision")
"""Kinds that need the database."""


@contextmanager
def asking(address: str, clients: int, prefix: str, told: Told) -> Iterator[None]:
    """In the block clients ask for everything in turn, each on a connection of its own."""
    stop = threading.Event()

    def ask(client: int) -> None:
        with httpx.Client(base_url=address, timeout=10) as http:
            for number in count():
                for kind in KINDS:
                    if stop.wait(PAUSE):
                        return
                    told.ask(kind, http, f"{prefix}-{client}-{number}-{kind}")

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def calm_after(mended: float, told: Told) -> float:
    """Wait until nothing was refused or stale for `CALM`; how long after `mended` the last such answer came [s]."""
    while True:
        time.sleep(0.1)
        bad = [each.ended for each in told.answers[-2_000:] if each.ended > mended and (each.refused or each.stale)]
        last = max(bad, default=mended)
        if time.perf_counter() - last > CALM or time.perf_counter() - mended > LIMIT:
            return last - mended
