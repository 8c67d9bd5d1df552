"""A service over a tiny café: real snapshot, real models, real SQLite, real HTTP."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from recsys.settings import Settings
from recsys.testing import builders
from recsys.testing.published import publish_models, publish_snapshot
from recsys.workspace import Workspace
from serving.http.local import serve_locally
from serving.http.state import State
from tests.faults.proxy import FaultProxy, fault_proxy
from tests.postgres import PostgresServer

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
    "anton flat-white 2024-03-10T09:00 1x3.20 order=o7 store=north",
    "bob tea 2024-03-02T09:00 1x2.10 order=o5 store=south",
    "bob muffin 2024-03-12T09:30 1x2.60 order=o6 store=south",
)
NEWER = "bob muffin 2024-03-15T09:30 1x2.60 order=o8 store=south"


@dataclass(frozen=True)
class Running:
    """A service that listens on this machine."""

    http: httpx.Client
    workspace: Workspace
    state: State

    def offers(self, **request: Any) -> dict[str, Any]:
        """The answer to a recommendation request."""
        answer = self.http.post("/v1/recommendations", json={"customer_id": "ann"} | request)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def scores(self, customer: str = "ann", **query: Any) -> dict[str, Any]:
        """Churn and value of a customer."""
        return self.http.get(f"/v1/customers/{customer}/scores", params=query).json()

    def report(self, *events: dict[str, Any]) -> httpx.Response:
        """The answer to reported events."""
        return self.http.post("/v1/events", json={"events": list(events)})


def purchase(event_id: str = "e1", customer: str = "ann", product: str = "tea", **more: Any) -> dict[str, Any]:
    """A purchase event as a client sends it."""
    lines = [{"product_id": product, "quantity": 1, "amount": 2.10}]
    return {"event_id": event_id, "type": "purchase", "customer_id": customer, "lines": lines} | more


@pytest.fixture(name="purchase")
def purchase_fixture() -> Callable[..., dict[str, Any]]:
    """Builder of purchase events."""
    return purchase


def cafe(directory: Path) -> Workspace:
    """A workspace with the café's purchases and three linear models."""
    workspace = Workspace.create(Settings(workspace=directory / "workspace"))
    import_purchases(workspace)
    publish_models(workspace.directory)
    return workspace


def reopened(directory: Path, **settings: Any) -> Workspace:
    """The workspace in `directory` under settings of a test; the clock stands at the last purchase."""
    chosen = {"clock": "snapshot", "refresh_seconds": 0.05} | settings
    return Workspace.open(Settings(workspace=directory, **chosen))


def import_purchases(workspace: Workspace, *newer: str) -> str:
    """Make the café's purchases and `newer` ones the workspace's snapshot; its id."""
    snapshot = builders.snapshot(*PURCHASES, *newer, catalogue=CATALOGUE, timezone="Europe/Berlin")
    return publish_snapshot(workspace.directory, snapshot).snapshot_id


@pytest.fixture
def newer_import() -> Callable[[Workspace], str]:
    """Imports one purchase more; gives the new snapshot's id."""
    return lambda workspace: import_purchases(workspace, NEWER)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The café's workspace, fitted once; tests work on copies."""
    return cafe(tmp_path_factory.mktemp("template")).directory


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Services give their database up as soon as they do by default."""
    monkeypatch.delenv("BARISTA_DATABASE_PATIENCE")


@pytest.fixture
def make_workspace(template: Path, tmp_path: Path) -> Callable[..., Workspace]:
    """Opens the test's own copy of the café under settings it chooses; the same copy each time."""

    def make(**settings: Any) -> Workspace:
        shutil.copytree(template, tmp_path / "workspace", dirs_exist_ok=True)
        return reopened(tmp_path / "workspace", **settings)

    return make


@pytest.fixture
def serve() -> Iterator[Callable[..., Running]]:
    """Starts services; all end with the test."""
    with ExitStack() as services:
        yield lambda workspace, **headers: start(services, workspace, headers)


def start(services: ExitStack, workspace: Workspace, headers: dict[str, str]) -> Running:
    """Serve until `services` closes."""
    local = services.enter_context(serve_locally(workspace))
    client = services.enter_context(httpx.Client(base_url=local.address, headers=headers, timeout=60))
    return Running(client, workspace, local.state)


@pytest.fixture
def service(make_workspace: Callable[..., Workspace], serve: Callable[..., Running]) -> Running:
    """A service of its own for a test that changes something."""
    return serve(make_workspace())


@pytest.fixture(scope="session")
def shared(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One service for tests that change nothing."""
    place = tmp_path_factory.mktemp("shared") / "workspace"
    shutil.copytree(template, place)
    with ExitStack() as services:
        yield start(services, reopened(place), {})


@pytest.fixture
def proxied(
    impatient: None, make_workspace: Callable[..., Workspace], serve: Callable[..., Running], postgres: PostgresServer
) -> Iterator[tuple[Running, FaultProxy]]:
    """A service whose Postgres stands behind a proxy that can break."""
    database = postgres.new_database().partition("?")[0].rpartition("/")[2]
    with fault_proxy(postgres.socket) as proxy:
        where = f"127.0.0.1:{proxy.port}/{database}?sslmode=disable&gssencmode=disable"
        yield serve(make_workspace(database_url=f"postgresql+psycopg://postgres@{where}")), proxy
