"""Answers from transaction lines alone: what the MLflow model of a bundle does.

The lines become the events of an empty snapshot with the catalogue of the training, so that the same code answers as
for a request.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recsys.data import columns as c
from recsys.data.catalogue import Catalogue
from recsys.data.clock import to_seconds, zone_table
from recsys.data.history import PurchaseHistory
from recsys.data.ids import IdMap
from recsys.data.snapshot import ZONE_YEARS, Snapshot, SnapshotFacts
from recsys.data.tail import EventLine, OrderEvent
from recsys.decisioning import OfferRequest, Serving, recommend, score
from recsys.errors import RequestRefused
from recsys.models.bundle import read_bundle
from recsys.models.churn import ChurnModel
from recsys.models.offers import OffersModel
from recsys.models.value import ValueModel
from recsys.population.facts import Population

N_OFFERS = 10


def save_catalogue(snapshot: Snapshot, directory: Path) -> Path:
    """Write what of a snapshot is not about customers: catalogue and facts."""
    directory.mkdir(parents=True)
    snapshot.catalogue.save(directory)
    text = {"snapshot_id": snapshot.snapshot_id, "facts": asdict(snapshot.facts)}
    (directory / "facts.json").write_text(json.dumps(text))
    return directory


def open_lines_serving(artifacts: Mapping[str, str]) -> Serving:
    """Serving without customers from the directories `bundle`, `population` and `catalogue`.

    Raises:
        BundleError, SnapshotError: a directory is damaged or belongs to another one.
    """
    catalogue = Path(artifacts["catalogue"])
    text = json.loads((catalogue / "facts.json").read_text())
    facts = SnapshotFacts(**text["facts"])
    none = IdMap.of([])
    snapshot = Snapshot(
        text["snapshot_id"], facts, none, none, none, Catalogue.load(catalogue), PurchaseHistory.empty()
    )
    bundle = read_bundle(Path(artifacts["bundle"]))
    version, name = bundle.digest[:12], bundle.content.name
    serving = Serving.of(
        snapshot,
        Population.load(Path(artifacts["population"])),
        offers=OffersModel.from_bundle(bundle, version) if name == "offers" else None,
        churn=ChurnModel.from_bundle(bundle, version) if name == "churn" else None,
        value=ValueModel.from_bundle(bundle, version) if name == "value" else None,
    )
    return replace(serving, zone=zone_table(facts.timezone, 0, facts.as_of + ZONE_YEARS))


def answer_lines(serving: Serving, lines: Any, as_of: str = "") -> Any:
    """One row a customer of the pandas table `lines`, in the order of their ids.

    `lines` has `customer_id`, `occurred_at`, `product_id` and may have `quantity` (else 1), `amount` [currency],
    `order_id` (else what one customer bought at one instant is one order). Lines after `as_of` (ISO 8601; the last
    line's instant if it is empty) are not looked at; an instant without a zone is UTC.

    Raises:
        RequestRefused: no line, an unreadable instant.
    """
    import pandas as pd

    if len(lines) == 0:
        raise RequestRefused("No transaction lines", expected="at least one")
    at = _instants(lines[c.TIME])
    until = _until(as_of) if as_of else int(at.max())
    orders = _orders(serving, lines, at)
    return pd.DataFrame([_row(serving, customer, orders[customer], until) for customer in sorted(orders)])


def _until(as_of: str) -> int:
    try:
        instant = datetime.fromisoformat(as_of)
    except ValueError as error:
        raise RequestRefused("as_of is no instant", found=as_of, expected="ISO 8601") from error
    return to_seconds(instant if instant.tzinfo else instant.replace(tzinfo=UTC))


def _instants(values: Any) -> Any:
    """Instants as int64 seconds; texts and instants without a zone are UTC."""
    import pandas as pd

    try:
        parsed = pd.to_datetime(values, utc=True)
    except (ValueError, TypeError) as error:
        raise RequestRefused("occurred_at holds what is no instant", found=str(error)[:200]) from error
    return parsed.astype("datetime64[s, UTC]").astype("int64")


def _orders(serving: Serving, lines: Any, at: Any) -> dict[str, list[OrderEvent]]:
    """Orders by customer; an order id that comes back at another instant is another order."""
    baskets: dict[tuple[str, str, int], list[EventLine]] = {}
    for customer, order, instant, line in _rows(serving, lines, at):
        baskets.setdefault((customer, order, instant), []).append(line)
    orders: dict[str, list[OrderEvent]] = {}
    seen: set[tuple[str, str]] = set()
    for (customer, order, instant), content in sorted(baskets.items(), key=lambda each: each[0][2]):
        name = f"{order}@{instant}" if (customer, order) in seen else order
        seen.add((customer, order))
        event = OrderEvent(f"{name}/{instant}", customer, instant, tuple(content), order_id=name)
        orders.setdefault(customer, []).append(event)
    return orders


def _rows(serving: Serving, lines: Any, at: Any) -> Iterator[tuple[str, str, int, EventLine]]:
    """Customer, order, instant and content of each line."""
    scale = 10**serving.snapshot.facts.minor_digits
    n = len(lines)

    def column(name: str, default: Any) -> Any:
        return lines[name].tolist() if name in lines.columns else [default] * n

    parts = zip(
        column(c.CUSTOMER, ""),
        column(c.ORDER, None),
        at.tolist(),
        column(c.PRODUCT, ""),
        column(c.QUANTITY, 1.0),
        column(c.AMOUNT, 0.0),
        strict=True,
    )
    for customer, order, instant, product, quantity, amount in parts:
        named = order is not None and order == order  # noqa: PLR0124  NaN is how pandas says missing
        text = str(order) if named else f"@{instant}"
        yield str(customer), text, instant, EventLine(str(product), float(quantity), round(float(amount) * scale))


def _row(serving: Serving, customer: str, orders: list[OrderEvent], as_of: int) -> dict[str, Any]:
    if serving.offers is not None:
        offers = recommend(serving, OfferRequest(customer, n=N_OFFERS), orders, as_of).offers
        return {
            c.CUSTOMER: customer,
            "items": [offer.item_id for offer in offers],
            "probabilities": [offer.probability for offer in offers],
            "expected_values": [offer.expected_value for offer in offers],
        }
    scores = score(serving, customer, orders, as_of)
    found = scores.churn or scores.value
    values = asdict(found) if found is not None else {}
    return {c.CUSTOMER: customer, **{name: value for name, value in values.items() if name != "reasons"}}
