"""Two cafés that call their customers and products alike, in one service; everything else of each bears its name."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx

from recsys.settings import Settings
from recsys.store import KeyStore
from recsys.testing.builders import products, random_lines, snapshot
from recsys.testing.published import publish_models, publish_snapshot
from recsys.workspace import Workspace, create_tenant
from serving.http.local import answering
from serving.http.tenants import open_tenants, tenants_app

MARKS = {"north": ("NORTH", "EUR", "-n-"), "south": ("SOUTH", "SEK", "-s-")}
"""What stands in the answers of one tenant only: catalogue group, currency, and a part of what it reports itself."""

OTHER = {"north": "south", "south": "north"}
CUSTOMERS = 40


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


@dataclass
class Seen:
    """What a run of requests showed: answers, and those that had anything of the other tenant or were not as due."""

    answers: int = 0
    leaks: list[str] = field(default_factory=list)
    decisions: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in MARKS})


def run(both: Both, requests: int, threads: int = 4) -> Seen:
    """So many requests of both tenants mixed, from several clients at once."""
    seen = Seen()
    share = requests // (threads * 2)
    workers = [
        threading.Thread(target=_ask, args=(both, name, number, share, seen))
        for number in range(threads)
        for name in MARKS
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return seen


def _ask(both: Both, name: str, number: int, count: int, seen: Seen) -> None:
    draw = Random(number)  # the same for both tenants: their requests are alike
    with both.client(name) as http:
        for turn in range(count):
            request, due = _request(draw, name, f"{number}-{turn}", seen)
            answer = http.request(**request)
            seen.answers += 1
            fault = fault_of(answer, name, due)
            if fault:
                seen.leaks.append(f"{name} {request['method']} {request['url']}: {fault}")
            elif request["url"] == "/v1/recommendations":
                seen.decisions[name].append(answer.json()["decision_id"])


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


def _request(draw: Random, name: str, turn: str, seen: Seen) -> tuple[dict[str, Any], int]:
    """One request and the status due to it; ids of customers, events and writes are those of the other tenant too."""
    customer = f"c{draw.randrange(CUSTOMERS * 2):04d}"
    kind = draw.choice(("offers", "scores", "facts", "event", "own", "foreign", "find", "items", "models", "export"))
    mark = MARKS[name][2]
    if kind == "offers":
        body: dict[str, Any] = {"customer_id": customer, "n": 5, "reasons": draw.random() < 0.2}
        headers = {"Idempotency-Key": f"k{turn}"}
        return {"method": "POST", "url": "/v1/recommendations", "json": body, "headers": headers}, 200
    if kind == "event":
        lines = [{"product_id": f"p{draw.randrange(20):03d}", "amount": 2.5}]
        body = {"event_id": f"e{turn}", "type": "purchase", "customer_id": customer, "order_id": f"o{mark}{turn}"}
        return {"method": "POST", "url": "/v1/events", "json": {"events": [body | {"lines": lines}]}}, 200
    if kind in {"own", "foreign"}:
        known = seen.decisions[name if kind == "own" else OTHER[name]]
        if known:
            return {"method": "GET", "url": f"/v1/decisions/{draw.choice(known)}"}, 200 if kind == "own" else 404
    paths = {
        "scores": f"/v1/customers/{customer}/scores",
        "facts": "/v1/customers/c0001",
        "find": "/v1/customers",
        "items": "/v1/items",
        "export": "/v1/customers/c0002/export",
    }
    return {"method": "GET", "url": paths.get(kind, "/v1/models")}, 200
