"""A base of random customers, some of them with newer events, served and scored at one instant."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from recsys.data.clock import DAY
from recsys.data.tail import EventLine
from recsys.settings import Settings
from recsys.store import Event
from recsys.testing.builders import customers_table, random_snapshot
from recsys.testing.published import publish_models, publish_snapshot
from recsys.workspace import Workspace
from serving.batch.base import Published, Wanted, score_base
from serving.http.local import serve_locally

TZ = "America/New_York"


@dataclass(frozen=True)
class Scored:
    """A published run and the service over the same workspace."""

    workspace: Workspace
    published: Published
    http: httpx.Client

    def offers(self, customer: str, **more: Any) -> dict[str, Any]:
        """The service's offers for a customer."""
        request = {"customer_id": customer, "n": 5, "reasons": True} | more
        return self.http.post("/v1/recommendations", json=request).json()

    def timing(self, customer: str) -> dict[str, Any]:
        """The service's timing of a customer."""
        return self.http.get(f"/v1/customers/{customer}/timing").json()

    def scores(self, customer: str) -> dict[str, Any]:
        """The service's scores of a customer."""
        return self.http.get(f"/v1/customers/{customer}/scores", params={"reasons": "true"}).json()


def base(directory: Path, **settings: Any) -> Workspace:
    """Sixty random customers; every third has newer orders, every fourth looked at something, some are known from
    events alone, of whom one bought nothing in the catalogue; all have attributes."""
    costs = {"margin": 0.3, "acquisition_cost": 25.0, "contact_cost": 0.5}
    chosen = {"clock": "snapshot", "refresh_seconds": 0.05, "threads": 2} | costs | settings
    workspace = Workspace.create(Settings(workspace=directory / "workspace", **chosen))
    random = random_snapshot(11, 60).with_facts(timezone=TZ)
    people = [*random.customers, "new-4"]
    table = customers_table(people, age=["old", "young"] * 30 + ["young"])
    snapshot = publish_snapshot(workspace.directory, random, table)
    publish_models(workspace.directory)
    customers = [*list(snapshot.customers)[::3], "new-1", "new-2", "=new-3"]
    workspace.events().append(
        [purchase(i, customer, snapshot.as_of - 1000 * i) for i, customer in enumerate(customers)]
    )
    workspace.events().append([look(i, each, snapshot.as_of) for i, each in enumerate([*snapshot.customers][::4])])
    nothing = (EventLine("discontinued", 1.0, 350),)
    workspace.events().append([Event("nothing", "new-4", "purchase", snapshot.as_of - 9, nothing)])
    workspace.events().append([look(99, "new-4", snapshot.as_of)])
    return workspace


def look(number: int, customer: str, as_of: int) -> Event:
    """A view, a click or a cart of two products, up to twenty days ago."""
    lines = (EventLine(f"p{number * 5 % 12:03d}"), EventLine("discontinued"))
    return Event(f"l{number}", customer, ("view", "clicked", "cart")[number % 3], as_of - number % 20 * DAY, lines)


def purchase(number: int, customer: str, at: int) -> Event:
    """A purchase of two products."""
    lines = (EventLine(f"p{number % 12:03d}", 1.0, 350), EventLine("p005", 2.0, 499, 10))
    return Event(f"e{number}", customer, "purchase", at, lines)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scored]:
    """The base scored as Parquet in chunks of seven, and served."""
    place = tmp_path_factory.mktemp("parity")
    workspace = base(place)
    published = score_base(workspace, place / "out", Wanted(n=5, chunk=7))
    with ExitStack() as services:
        local = services.enter_context(serve_locally(workspace))
        yield Scored(workspace, published, services.enter_context(httpx.Client(base_url=local.address, timeout=60)))
