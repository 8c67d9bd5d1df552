"""What a customer may ask for by law: everything that is held of them, and to be forgotten."""

from typing import Any

from recsys.data.clock import to_iso
from recsys.data.ids import ABSENT
from recsys.data.snapshot import read_manifest
from recsys.data.tail import rows_at
from recsys.data.told import told_row
from recsys.errors import SnapshotError
from recsys.store.export import decisions_of, events_of
from recsys.workspace import Workspace
from serving.http.asking import no_database
from serving.http.bodies import ExportBody, ReportedBody
from serving.http.erasure_bodies import ErasureBody
from serving.http.facts import orders_of
from serving.http.problems import Problem
from serving.http.remains import remains
from serving.http.service import Service


class People:
    """Erasure and export over the workspace of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        service.state.erased.away = lambda: service.outage.now

    def erase(self, customer_id: str) -> ErasureBody:
        """Forget a customer, known or not; whether there was one is told by counts alone.

        Raises:
            StoreUnavailable: the database can't be reached or has no space left; nothing was erased.
        """
        state, workspace = self._service.state, self._service.workspace
        snapshot = state.current().snapshot
        upto = max(workspace.as_of(snapshot), snapshot.as_of, _end_of_data(workspace))
        receipt = workspace.erasures().erase(customer_id, upto)
        state.erased.refresh()
        zone = snapshot.facts.timezone
        return ErasureBody(
            receipt.receipt_id,
            to_iso(receipt.erased_at, zone),
            to_iso(receipt.requested_at, zone),
            receipt.events,
            receipt.decisions,
            receipt.answers,
            remains(workspace, customer_id),
        )

    def export(self, customer_id: str) -> ExportBody:
        """Everything held of a customer.

        Raises:
            Problem: 404 when that is nothing.
            StoreUnavailable: the database can't be reached.
        """
        if self._service.outage.now:
            raise no_database()
        loaded, workspace = self._service.state.current(), self._service.workspace
        snapshot, as_of = loaded.snapshot, workspace.as_of(loaded.snapshot)
        zone = snapshot.facts.timezone
        database = workspace.database()
        events, decisions = events_of(database, customer_id), decisions_of(database, customer_id)
        known, forgotten = snapshot.customers.index(customer_id), snapshot.customers.forgets(customer_id)
        told = {} if forgotten else told_row(snapshot.directory, customer_id)
        if known == ABSENT and not (events or decisions or told):
            raise Problem("unknown-customer", "Nothing is held of this customer.")
        rows = rows_at(snapshot, known, as_of, workspace.events().orders_of(customer_id))
        return ExportBody(
            customer_id=customer_id,
            as_of=to_iso(as_of, zone),
            currency=snapshot.facts.currency,
            attributes=told,
            orders=orders_of(snapshot, rows),
            events=tuple(_reported(event, zone, snapshot.facts.minor_digits) for event in events),
            decisions=tuple(_decided(decision, zone) for decision in decisions),
            scores=self._service.score(customer_id, reasons=True),
            timing=self._service.timing(customer_id, categories=True),
        )


def _end_of_data(workspace: Workspace) -> int:
    """Instant the imported data end at, also where this worker does not answer from them yet [s]; 0 without any."""
    current = workspace.snapshot_id()
    try:
        return int(read_manifest(workspace.snapshots / current)["facts"]["as_of"]) if current else 0
    except SnapshotError:
        return 0


def _reported(event: dict[str, Any], zone: str, digits: int) -> ReportedBody:
    lines = tuple(
        {
            "product_id": product,
            "quantity": quantity,
            "amount": amount / 10**digits,
            "discount": discount / 10**digits,
        }
        for product, quantity, amount, discount in event["lines"]
    )
    return ReportedBody(
        event_id=event["event_id"],
        type=event["kind"],
        occurred_at=to_iso(event["occurred_at"], zone),
        received_at=to_iso(event["received_at"], zone),
        order_id=event["order_id"],
        store_id=event["store_id"],
        channel=event["channel"],
        decision_id=event["decision_id"],
        lines=lines,
    )


def _decided(decision: dict[str, Any], zone: str) -> dict[str, Any]:
    """A decision as it is kept, with its instant as text; the customer's id is that of the export."""
    named = {name: decision[name] for name in ("decision_id", "snapshot_id", "content")}
    return named | {"decided_at": to_iso(decision["decided_at"], zone)}
