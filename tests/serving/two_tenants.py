"""Two cafés that call their customers and products alike, in one service; everything else of each bears its name.

What an answer was computed from bears none: `unlike_alone` asks a service that has only one of them the same again.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import httpx

from recsys.settings import Settings
from recsys.store import KeyStore
from recsys.testing.builders import products, random_lines, snapshot
from recsys.testing.published import publish_models, publish_snapshot
from recsys.workspace import Workspace, create_tenant, tenants_of
from serving.http.local import answering, serve_locally
from serving.http.tenants import open_tenants, tenants_app

MARKS = {"north": ("NORTH", "EUR", "-n-"), "south": ("SOUTH", "SEK", "-s-")}
"""What stands in the answers of one tenant only: catalogue group, currency, and a part of what it reports itself."""

OTHER = {"north": "south", "south": "north"}
CUSTOMERS = 40
THREADS = 4
"""Clients of each tenant; each asks about customers of its own, so that nobody else changes what it is answered."""

COMPUTED = frozenset({"offers", "scores"})
"""Kinds of requests whose answers depend on nothing but the tenant's files and what was reported of the customer."""


def operator_of(place: Path, **settings: Any) -> Settings:
    """The operator's settings of tenants in `place`, with the clock at the last purchase."""
    return Settings(tenants=place, workspace=place, **{"clock": "snapshot", "refresh_seconds": 0.1} | settings)


def fill(workspace: Workspace, name: str) -> None:
    """A snapshot and models of the tenant's own; the same ids of customers and products as the other's."""
    seed = sorted(MARKS).index(name)
    group, currency, _ = MARKS[name]
    catalogue = products(*(f"p{i:03d} {group}{i % 2}>{group}F{i % 4} 2.50" for i in range(20)))
    table = random_lines(50 + seed, CUSTOMERS, n_products=20)
    publish_snapshot(workspace.directory, snapshot(table, catalogue=catalogue, currency=currency))
    publish_models(workspace.directory, version=str(7 + seed), seed=seed + 1)


def make_tenants(place: Path, **settings: Any) -> Settings:
    """Both tenants in `place`; the operator's settings."""
    place.mkdir(parents=True, exist_ok=True)
    operator = operator_of(place, **settings)
    for name in MARKS:
        fill(create_tenant(operator, name), name)
    return operator


@dataclass(frozen=True)
class Both:
    """The running service: its address, and a key with every right of each tenant."""

    address: str
    keys: dict[str, str]
    workspaces: dict[str, Workspace]

    def client(self, name: str | None) -> httpx.Client:
        """A client that shows the tenant's key; none without a name."""
        headers = {"Authorization": f"Bearer {self.keys[name]}"} if name else {}
        return httpx.Client(base_url=self.address, headers=headers, timeout=60)


@contextmanager
def serving_both(operator: Settings) -> Iterator[Both]:
    """The service of both tenants for the block."""
    states = open_tenants(operator)
    workspaces = {name: state.workspace for name, state in states.items()}
    keys = {name: KeyStore(each.database()).create("all", ["admin"])[0] for name, each in workspaces.items()}
    with answering(tenants_app(operator, states)) as address:
        yield Both(address, keys, workspaces)


class Asked(NamedTuple):
    """A request, its kind, and what it was answered."""

    kind: str
    request: dict[str, Any]
    answer: Any


@dataclass
class Seen:
    """What a run of requests showed: answers, and those that had anything of the other tenant or were not as due.

    asked   reports, and what was computed from them, of each client of each tenant, in their sequence
    """

    answers: int = 0
    leaks: list[str] = field(default_factory=list)
    decisions: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in MARKS})
    asked: dict[str, dict[int, list[Asked]]] = field(default_factory=lambda: {name: {} for name in MARKS})


def run(both: Both, requests: int) -> Seen:
    """So many requests of both tenants mixed, from several clients at once."""
    seen = Seen()
    share = requests // (THREADS * 2)
    workers = [
        threading.Thread(target=_ask, args=(both, name, number, share, seen))
        for number in range(THREADS)
        for name in MARKS
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return seen


def unlike_alone(place: Path, seen: Seen) -> list[str]:
    """Offers and scores of a run that are others where a tenant is served alone; `place` is as before the run."""
    return [f"{name}: {fault}" for name in MARKS for fault in _unlike(place, name, seen.asked[name])]


def _unlike(place: Path, name: str, asked: dict[int, list[Asked]]) -> list[str]:
    settings = tenants_of(operator_of(place))[name].settings
    alone = Workspace(settings.model_copy(update={"tenants": None, "oauth_tenant": ""}))
    faults = []
    with serve_locally(alone) as local, httpx.Client(base_url=local.address, timeout=60) as http:
        for kind, request, answer in (each for number in sorted(asked) for each in asked[number]):
            expected = told(http.request(**request))
            if kind in COMPUTED and answer != expected:
                faults.append(f"{request['method']} {request['url']}: {answer} instead of {expected}")
    return faults


def told(answer: httpx.Response) -> Any:
    """What an answer says, but for the name of its decision."""
    said = answer.json()
    return {key: value for key, value in said.items() if key != "decision_id"}


def _ask(both: Both, name: str, number: int, count: int, seen: Seen) -> None:
    draw = Random(number)  # the same for both tenants: their requests are alike
    asked = seen.asked[name][number] = []
    with both.client(name) as http:
        for turn in range(count):
            kind, request, due = _request(draw, name, number, turn, seen)
            answer = http.request(**request)
            seen.answers += 1
            fault = fault_of(answer, name, due)
            if fault:
                seen.leaks.append(f"{name} {request['method']} {request['url']}: {fault}")
                continue
            if kind == "offers":
                seen.decisions[name].append(answer.json()["decision_id"])
            if kind in COMPUTED or kind == "event":
                asked.append(Asked(kind, request, told(answer)))


def fault_of(answer: httpx.Response, name: str, due: int) -> str:
    """What an answer to a tenant has that it should not; nothing when it is as it should be."""
    found = [mark for mark in MARKS[OTHER[name]] if mark in answer.text]
    if found:
        return f"names {found}"
    if answer.status_code != due:
        return f"{answer.status_code} instead of {due}"
    said = answer.json()
    if said.get("conflict") or said.get("repeated") or "idempotency-replayed" in answer.headers:
        return "knows what the other tenant did"
    return ""


def _request(draw: Random, name: str, number: int, turn: int, seen: Seen) -> tuple[str, dict[str, Any], int]:
    """Kind and request, and the status due; ids of customers, events and writes are those of the other tenant too.

    What is bought is not: who is taken for the other tenant's customer of that name is answered otherwise.
    """
    customer = f"c{draw.randrange(CUSTOMERS * 2 // THREADS) * THREADS + number:04d}"
    kind = draw.choice(("offers", "scores", "facts", "event", "own", "foreign", "find", "items", "models", "export"))
    mark, nth = MARKS[name][2], sorted(MARKS).index(name)
    if kind == "offers":
        body: dict[str, Any] = {"customer_id": customer, "n": 5, "reasons": draw.random() < 0.2}
        headers = {"Idempotency-Key": f"k{number}-{turn}"}
        return kind, {"method": "POST", "url": "/v1/recommendations", "json": body, "headers": headers}, 200
    if kind == "event":
        lines = [{"product_id": f"p{draw.randrange(10) * 2 + nth:03d}", "amount": 2.5 + nth}]
        body = {"event_id": f"e{number}-{turn}", "type": "purchase", "customer_id": customer}
        body |= {"order_id": f"o{mark}{number}-{turn}", "lines": lines}
        return kind, {"method": "POST", "url": "/v1/events", "json": {"events": [body]}}, 200
    if kind in {"own", "foreign"}:
        known = seen.decisions[name if kind == "own" else OTHER[name]]
        if known:
            url = f"/v1/decisions/{known[draw.randrange(1 << 30) % len(known)]}"
            return kind, {"method": "GET", "url": url}, 200 if kind == "own" else 404
        draw.randrange(1 << 30)
    paths = {
        "scores": f"/v1/customers/{customer}/scores",
        "facts": "/v1/customers/c0001",
        "find": "/v1/customers",
        "items": "/v1/items",
        "export": "/v1/customers/c0002/export",
    }
    return kind, {"method": "GET", "url": paths.get(kind, "/v1/models")}, 200
