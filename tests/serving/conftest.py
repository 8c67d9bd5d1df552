"""A service over a tiny workspace: real snapshot, real SQLite, real HTTP; answers from a twin that counts."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn

from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.data.tail import OrderEvent, rows_at
from recsys.decisioning.answers import (
    ChurnScore,
    Offer,
    OfferRequest,
    OffersAnswer,
    Reason,
    ScoresAnswer,
    ValueScore,
)
from recsys.settings import Settings
from recsys.testing import builders
from recsys.workspace import Workspace
from serving.answers import ModelFacts
from serving.http.app import create_app
from serving.http.state import State

CATALOGUE = (
    "latte DRINKS>COFFEE 3.50",
    "flat-white DRINKS>COFFEE 3.20",
    "tea DRINKS>TEA 2.10",
    "scone FOOD>BAKERY 2.80",
    "muffin FOOD>BAKERY 2.60",
)
PURCHASES = (
    "ann latte 2024-03-01T08:00 1x3.50 order=o1 store=north channel=till",
    "ann latte 2024-03-04T08:00 2x3.50 order=o2 store=north",
    "ann scone 2024-03-04T08:00 1x2.80 order=o2 store=north",
    "ann latte 2024-03-11T08:00 1x3.50 order=o3 store=north",
    "anton tea 2024-03-09T09:00 1x2.10 order=o4 store=south",
    "bob tea 2024-03-02T09:00 1x2.10 order=o5 store=south",
    "bob muffin 2024-03-12T09:30 1x2.60 order=o6 store=south",
)


@dataclass(frozen=True)
class Twin:
    """Answers by counting: offers by the customer's own purchases, then by everybody's."""

    snapshot: Snapshot
    version: str = "1"
    published: tuple[str, ...] = ("offers", "churn", "value")

    def recommend(self, request: OfferRequest, events: Sequence[OrderEvent], as_of: int) -> OffersAnswer:
        catalogue = self.snapshot.catalogue
        index = self.snapshot.customers.index(request.customer_id)
        rows = rows_at(self.snapshot, index, as_of, events, request.basket)
        lines = rows.arrays.line_product[rows.arrays.line_start[rows.low] : rows.arrays.line_start[rows.high]]
        own = [int((catalogue.product_item[lines] == item).sum()) for item in range(catalogue.n_items)]
        wanted = {"new": [0], "repeat": range(1, 10**6), "mixed": range(10**6)}[request.mode]
        kept = [i for i in range(catalogue.n_items) if own[i] in wanted and catalogue.items[i] not in request.exclude]
        if request.context.groups:
            kept = [i for i in kept if catalogue.groups[catalogue.item_group[i]] in request.context.groups]
        if request.context.store_id == "south":
            kept = [i for i in kept if catalogue.items[i] in {"tea", "muffin"}]
        kept.sort(key=lambda i: (-own[i], i))
        offers = tuple(self._offer(i, own[i], reasons=request.reasons) for i in kept[: request.n])
        evidence = "history" if rows.high > rows.low else "low"
        identity = (request.customer_id, as_of, self.snapshot.snapshot_id, self.version)
        return OffersAnswer(*identity, 28, evidence, len(kept), offers)

    def _offer(self, item: int, own: int, *, reasons: bool) -> Offer:
        catalogue = self.snapshot.catalogue
        why = (Reason("own", f"Bought {own} times", {"times": float(own)}),) if reasons else ()
        group = catalogue.groups[catalogue.item_group[item]]
        novelty = "repeat" if own else "new"
        p = (own + 0.1) / (own + 3)
        return Offer(
            catalogue.items[item], catalogue.name(item), group, own - item / 7, p, p * 3, novelty, ("own",), why
        )

    def score(self, customer_id: str, events: Sequence[OrderEvent], as_of: int, *, reasons: bool) -> ScoresAnswer:
        rows = rows_at(self.snapshot, self.snapshot.customers.index(customer_id), as_of, events)
        orders = rows.high - rows.low
        last = int(rows.arrays.order_time[rows.high - 1]) if orders else None
        why = (Reason("orders", f"{orders} orders", {"value": float(orders)}),) if reasons else ()
        churn = ChurnScore(1 / (1 + orders), 28, self.version, why) if "churn" in self.published else None
        next_at = last + 7 * DAY if last is not None else None
        window = (next_at - 2 * DAY, next_at + 2 * DAY) if next_at is not None else (None, None)
        money = (orders * 3.1, orders * 1.1, orders * 9.3, orders / 3)
        value = ValueScore(*money, orders / (1 + orders), next_at, *window, 84, orders * 13.7, True, self.version)
        evidence = "history" if orders else "low"
        return ScoresAnswer(customer_id, as_of, self.snapshot.snapshot_id, evidence, churn, value)

    def models(self) -> tuple[ModelFacts, ...]:
        return tuple(ModelFacts(name, self.version, "linear", "d0", 28, {"auc": 0.7}) for name in self.published)


@dataclass(frozen=True)
class Running:
    """A service that listens on this machine."""

    http: httpx.Client
    workspace: Workspace
    state: State

    def purchase(self, event_id: str = "e1", customer: str = "ann", product: str = "tea", **more: object) -> dict:
        """A purchase event as a client sends it."""
        lines = [{"product_id": product, "quantity": 1, "amount": 2.10}]
        return {"event_id": event_id, "type": "purchase", "customer_id": customer, "lines": lines} | more


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Three customers of a café in March 2024; the clock stands at the last purchase."""
    return build_workspace(tmp_path)


def build_workspace(directory: Path, **more: object) -> Workspace:
    settings = Settings(workspace=directory / "workspace", clock="snapshot", refresh_seconds=0.05, **more)
    workspace = Workspace.create(settings)
    snapshot = builders.snapshot(*PURCHASES, catalogue=CATALOGUE, timezone="Europe/Berlin")
    workspace.publish_snapshot(snapshot.save(workspace.snapshots).snapshot_id)
    return workspace


def twin_of(workspace: Workspace) -> Twin:
    return Twin(workspace.current_snapshot())


@pytest.fixture
def serve() -> Iterator[Callable[..., Running]]:
    """Start services on free ports; all end with the test."""
    with Servers() as servers:
        yield servers.start


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One service for tests that change nothing."""
    with Servers() as servers:
        yield servers.start(build_workspace(tmp_path_factory.mktemp("shared")))


class Servers:
    """Services in threads of this process."""

    def __init__(self) -> None:
        self._open: list[tuple[uvicorn.Server, threading.Thread, httpx.Client]] = []

    def __enter__(self) -> "Servers":
        return self

    def start(self, workspace: Workspace, open_answers: Callable = twin_of, **headers: str) -> Running:
        state = State(workspace, open_answers)
        state.refresh()
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(state), log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        client = httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", headers=headers)
        self._open.append((server, thread, client))
        return Running(client, workspace, state)

    def __exit__(self, *_error: object) -> None:
        for server, thread, client in self._open:
            client.close()
            server.should_exit = True
            thread.join(10)
