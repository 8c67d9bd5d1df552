"""Answers from transaction lines alone: what the MLflow model of a bundle does.

The lines become the events of an empty snapshot with the catalogue of the training, so that the same code answers as
for a request.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs

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

NESTED = {"reasons", "intervals", "worth"}
"""What a table of plain columns leaves out."""


def save_catalogue(snapshot: Snapshot, directory: Path) -> Path:
    """Write what of a snapshot is not about customers: catalogue, stores, channels and facts."""
    directory.mkdir(parents=True)
    snapshot.catalogue.save(directory)
    snapshot.stores.save(directory, "stores")
    snapshot.channels.save(directory, "channels")
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
    snapshot = Snapshot(
        text["snapshot_id"],
        facts,
        customers=IdMap.of([]),
        stores=IdMap.load(catalogue, "stores"),
        channels=IdMap.load(catalogue, "channels"),
        catalogue=Catalogue.load(catalogue),
        history=PurchaseHistory.empty(),
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

    `lines` has `customer_id`, `occurred_at`, `product_id` and may have `quantity` (else 1), `amount` and `discount`
    [currency], `store_id`, `channel`, and `order_id` (else what one customer bought at one instant is one order).
    Lines after `as_of` (ISO 8601; the last line's instant if it is empty) are not looked at; without a zone it is UTC.

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
    """Orders by customer, oldest first; an order id that comes back at another instant is another order."""
    baskets: dict[tuple[int, str, str], list[_Line]] = {}
    for line in _lines(serving, lines, at):
        baskets.setdefault((line.at, line.customer, line.order), []).append(line)
    orders: dict[str, list[OrderEvent]] = {}
    seen: set[tuple[str, str]] = set()
    for (instant, customer, order), content in sorted(baskets.items()):
        name = f"{order}@{instant}" if (customer, order) in seen else order
        seen.add((customer, order))
        store, channel = min((line.store or "", line.channel or "") for line in content)
        event = OrderEvent(name, customer, instant, tuple(each.content for each in content), name, store, channel)
        orders.setdefault(customer, []).append(event)
    return orders


class _Line(NamedTuple):
    customer: str
    order: str
    at: int
    store: str | None
    channel: str | None
    content: EventLine


def _lines(serving: Serving, lines: Any, at: Any) -> Iterator[_Line]:
    scale = 10**serving.snapshot.facts.minor_digits
    defaults = {c.ORDER: None, c.STORE: None, c.CHANNEL: None, c.QUANTITY: 1.0, c.AMOUNT: 0.0, c.DISCOUNT: 0.0}
    names = (c.CUSTOMER, c.PRODUCT, *defaults)
    columns = [lines[name].tolist() if name in lines.columns else [defaults[name]] * len(lines) for name in names]
    for instant, customer, product, order, store, channel, quantity, *money in zip(at.tolist(), *columns, strict=True):
        amount, discount = (round(float(each) * scale) for each in money)
        content = EventLine(str(product), float(quantity), amount, discount)
        yield _Line(str(customer), _text(order) or f"@{instant}", instant, _text(store), _text(channel), content)


def _text(value: Any) -> str | None:
    """None where pandas says missing: None, NaN, NaT, NA."""
    import pandas as pd

    return None if pd.isna(value) else str(value)


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
    values = structs.asdict(found) if found is not None else {}
    return {c.CUSTOMER: customer, **{name: value for name, value in values.items() if name not in NESTED}}
