"""Reported events → store: instants against the clock, money into minor units, one outcome an event."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from msgspec import structs

from recsys.data.clock import to_iso, to_seconds
from recsys.data.snapshot import Snapshot
from recsys.data.tail import EventLine
from recsys.store import ORDER_KINDS, Event, EventStore
from serving.http.bodies import EventOutcome, EventReport, EventsBody, Line
from serving.http.problems import FieldFault, describe
from serving.http.requests import invalid

SKEW = 300
"""How far a reporter's clock may be ahead [s]; such an event counts as happening at `as_of`."""

LATEST = 253_402_214_400
"""Last instant that can be told in every zone, 9999-12-31 [s]."""

_OUTCOME = {"accepted": "accepted", "repeated": "repeated", "conflicting": "conflict", "erased": "erased"}


@dataclass(frozen=True, slots=True)
class Money:
    """Currency → minor units, exact or refused."""

    digits: int

    def minor(self, amount: float) -> int | None:
        """`amount` [currency] in minor units; None when it has more decimals than the currency."""
        shifted = Decimal(repr(amount)).scaleb(self.digits)
        return int(shifted) if shifted == shifted.to_integral_value() else None


def basket_lines(lines: Iterable[Line], digits: int, path: str = "/basket") -> tuple[EventLine, ...]:
    """Lines of a request in minor units; raises `Problem` 422."""
    faults: list[FieldFault] = []
    coded = tuple(_line(line, Money(digits), f"{path}/{i}", faults) for i, line in enumerate(lines))
    if faults:
        raise invalid(faults, "body")
    return coded


def read_events(reports: Iterable[EventReport], snapshot: Snapshot, as_of: int) -> list[Event]:
    """Events as the store keeps them, all of them or none.

    An instant up to `SKEW` after `as_of` [s] becomes `as_of`; a missing one too.

    Raises:
        Problem: 422 with every fault of every event.
    """
    faults: list[FieldFault] = []
    money = Money(snapshot.facts.minor_digits)
    events = [_event(report, f"/events/{i}", money, as_of, faults) for i, report in enumerate(reports)]
    if faults:
        raise invalid(faults[:50], "body")
    return events


def _event(report: EventReport, path: str, money: Money, as_of: int, faults: list[FieldFault]) -> Event:
    at = _instant(report.occurred_at, f"{path}/occurred_at", as_of, faults)
    if report.type in ORDER_KINDS and not report.lines:
        faults.append(FieldFault(f"{path}/lines", "An order without lines.", "nothing", "at least one line"))
    lines = tuple(_line(line, money, f"{path}/lines/{i}", faults) for i, line in enumerate(report.lines))
    if report.type == "refund":
        lines = tuple(_taken_back(line, f"{path}/lines/{i}", faults) for i, line in enumerate(lines))
    return Event(
        report.event_id,
        report.customer_id,
        report.type,
        at,
        lines,
        report.order_id,
        report.store_id,
        report.channel,
        report.decision_id,
    )


def _instant(text: str | None, path: str, as_of: int, faults: list[FieldFault]) -> int:
    if text is None:
        return as_of
    try:
        instant = datetime.fromisoformat(text)
        at = to_seconds(instant) if instant.tzinfo else None
    except (ValueError, OverflowError):
        at = None
    if at is None or not 0 <= at <= LATEST:
        expected = "an ISO 8601 instant with a zone, from 1970 to 9999, as 2017-12-31T08:15:00-05:00"
        faults.append(FieldFault(path, "Not an instant.", describe(text), expected))
        return as_of
    if at > as_of + SKEW:
        expected = (
            f"{to_iso(as_of)} or earlier, this service's as_of; BARISTA_CLOCK sets it (now, snapshot or an instant)"
        )
        faults.append(FieldFault(path, "The event lies in the future of this service's clock.", to_iso(at), expected))
    return min(at, as_of)


def _line(line: Line, money: Money, path: str, faults: list[FieldFault]) -> EventLine:
    amounts = {"amount": money.minor(line.amount), "discount": money.minor(line.discount)}
    for name, minor in amounts.items():
        if minor is None:
            found = describe(getattr(line, name))
            expected = f"at most {money.digits} decimals"
            faults.append(FieldFault(f"{path}/{name}", "More decimals than the currency has.", found, expected))
    if line.quantity == 0:
        faults.append(FieldFault(f"{path}/quantity", "A line of nothing.", "0", "a quantity other than 0"))
    return EventLine(line.product_id, line.quantity, amounts["amount"] or 0, amounts["discount"] or 0)


def _taken_back(line: EventLine, path: str, faults: list[FieldFault]) -> EventLine:
    if line.quantity < 0 or line.amount < 0:
        name = "quantity" if line.quantity < 0 else "amount"
        expected = "what came back, above 0"
        faults.append(FieldFault(f"{path}/{name}", "A refund counts what came back.", "a negative number", expected))
    return structs.replace(line, quantity=-line.quantity, amount=-line.amount)


def keep(
    store: EventStore, events: list[Event], reports: Iterable[EventReport], snapshot: Snapshot, as_of: int
) -> EventsBody:
    """Append durably and answer with one outcome an event."""
    events = _as_first_told(store, events, reports)
    outcomes = [_OUTCOME[outcome] for outcome in store.append(events)]
    zone = snapshot.facts.timezone
    return EventsBody(
        as_of=to_iso(as_of, zone),
        accepted=outcomes.count("accepted"),
        repeated=outcomes.count("repeated"),
        conflict=outcomes.count("conflict"),
        outcomes=tuple(
            EventOutcome(event.event_id, outcome, to_iso(event.occurred_at, zone))  # type: ignore[arg-type]
            for event, outcome in zip(events, outcomes, strict=True)
        ),
    )


def _as_first_told(store: EventStore, events: list[Event], reports: Iterable[EventReport]) -> list[Event]:
    """Events whose instant the service chose keep the one chosen at first, so that a retry is a repetition."""
    known = store.instants_of([event.event_id for event in events])
    told = []
    for event, report in zip(events, reports, strict=True):
        kept = known.get(event.event_id)
        chosen = kept is not None and (report.occurred_at is None or kept <= event.occurred_at <= kept + SKEW)
        told.append(replace(event, occurred_at=kept) if chosen and kept is not None else event)
    return told
