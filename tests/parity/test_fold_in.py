"""Purchases posted to the service count as rows of a snapshot would: the next answers are equal, bit for bit."""

from dataclasses import dataclass, replace
from typing import Any

import httpx
import polars as pl
import pytest

from recsys.data import columns as c
from recsys.data.clock import to_iso
from recsys.data.snapshot import Snapshot
from recsys.decisioning.answers import Mode, OfferRequest
from recsys.decisioning.recommend import recommend
from recsys.decisioning.serving import Serving
from recsys.population.facts import Population
from recsys.settings import Settings
from recsys.testing.builders import products, random_lines, snapshot
from recsys.testing.published import publish_models, publish_snapshot
from recsys.workspace import Workspace
from serving.http.local import serve_locally

CATALOGUE = products(*(f"p{i:03d} G{i % 2}>F{i % 4} {2 + i % 5}.50" for i in range(12)))
ROWS = random_lines(23, 30, awkward=False)
MOST = 5


@dataclass(frozen=True)
class Posted:
    """What the service answered after each purchase, and the workspace it served."""

    workspace: Workspace
    answers: dict[tuple[str, int, str], list[tuple[Any, ...]]]
    as_of: int


def bought(customer: str, number: int, as_of: int) -> list[dict[str, Any]]:
    """Lines of the purchase `number` of 1 to MOST: two products, one of them bought twice over."""
    at = as_of - 3_600 * (MOST + 1 - number)
    lines = [(f"p{(3 * number + len(customer)) % 12:03d}", 1.0, 350), (f"p{(5 * number) % 12:03d}", 2.0, 499)]
    names = dict.fromkeys((c.STORE, c.CHANNEL))
    named = {c.CUSTOMER: customer, c.TIME: at, c.ORDER: f"posted-{number}", c.DISCOUNT: 0, **names}
    return [
        {**named, c.PRODUCT: product, c.QUANTITY: quantity, c.AMOUNT: amount} for product, quantity, amount in lines
    ]


def event(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The purchase as a channel posts it."""
    lines = [{"product_id": row[c.PRODUCT], "quantity": row[c.QUANTITY], "amount": row[c.AMOUNT] / 100} for row in rows]
    first = rows[0]
    named = {"event_id": f"{first[c.CUSTOMER]}-{first[c.ORDER]}", "type": "purchase", "order_id": first[c.ORDER]}
    at = to_iso(first[c.TIME], "UTC")
    return {**named, "customer_id": first[c.CUSTOMER], "occurred_at": at, "lines": lines}


CUSTOMERS = ("c0004", "brand-new")
MODES: tuple[Mode, ...] = ("mixed", "new", "repeat")


@pytest.fixture(scope="module")
def posted(tmp_path_factory: pytest.TempPathFactory) -> Posted:
    """Both customers buy five times; the service is asked after each purchase."""
    directory = tmp_path_factory.mktemp("fold_in") / "workspace"
    workspace = Workspace.create(Settings(workspace=directory, clock="snapshot", refresh_seconds=0.05))
    saved = publish_snapshot(directory, snapshot(ROWS, catalogue=CATALOGUE))
    publish_models(directory, ["offers"])
    answers = {}
    with serve_locally(workspace) as local, httpx.Client(base_url=local.address, timeout=60) as http:
        for customer in CUSTOMERS:
            for k in range(1, MOST + 1):
                told = http.post("/v1/events", json={"events": [event(bought(customer, k, saved.as_of))]})
                told.raise_for_status()
                for mode in MODES:
                    request = {"customer_id": customer, "n": 12, "mode": mode}
                    offers = http.post("/v1/recommendations", json=request).json()["offers"]
                    answers[customer, k, mode] = [(o["item_id"], o["raw"], o["probability"]) for o in offers]
    return Posted(workspace, answers, saved.as_of)


def imported(customer: str, k: int, as_of: int) -> Snapshot:
    """The snapshot that holds the first k purchases as rows."""
    rows = [row for number in range(1, k + 1) for row in bought(customer, number, as_of)]
    return snapshot(pl.concat([ROWS, pl.DataFrame(rows, schema=ROWS.schema)]), catalogue=CATALOGUE)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("customer", CUSTOMERS)
@pytest.mark.parametrize("k", range(1, MOST + 1))
def test_k_posted_purchases_are_k_rows(posted: Posted, customer: str, k: int, mode: Mode) -> None:
    """Items, raw scores and probabilities, floats compared exactly, under the same model and population facts."""
    whole = imported(customer, k, posted.as_of)
    serving = posted.workspace.load_serving()
    facts: Population = replace(serving.population, snapshot_id=whole.snapshot_id)
    expected = recommend(
        Serving.of(whole, facts, serving.offers), OfferRequest(customer, n=12, mode=mode), (), posted.as_of
    )
    offers = [(offer.item_id, offer.raw, offer.probability) for offer in expected.offers]
    assert posted.answers[customer, k, mode] == offers


def test_every_purchase_changes_the_answer(posted: Posted) -> None:
    """Each further purchase moves scores, so that equality above says something."""
    answers = [[str(posted.answers[customer, k, "mixed"]) for k in range(1, MOST + 1)] for customer in CUSTOMERS]
    assert [len(set(each)) for each in answers] == [MOST, MOST]


def test_snapshots_of_the_twin_have_the_same_end(posted: Posted) -> None:
    """The rows that were posted lie before the end of the data, where the service's clock stands."""
    ends = {imported(customer, MOST, posted.as_of).as_of for customer in CUSTOMERS}
    assert ends == {posted.as_of}
