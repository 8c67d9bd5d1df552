"""Events: what customers did since the snapshot, kept once each and read back for every answer."""

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import msgspec
import orjson
from sqlalchemy import RowMapping, func, select

from recsys.data.looks import MOST_LOOKS, Look
from recsys.data.tail import EventLine, OrderEvent, OrderRow, PackedOrders
from recsys.store.database import Database
from recsys.store.lately import Lately, Remembered
from recsys.store.schema import EVENTS
from recsys.store.tombstones import Tombstones, erased_among

Kind = Literal["purchase", "refund", "view", "cart", "shown", "clicked", "accepted", "declined"]
KINDS: frozenset[str] = frozenset(get_args(Kind))
ORDER_KINDS = frozenset({"purchase", "refund"})
"""Kinds that become orders of a history; the others are kept for learning and attribution."""
LOOK_KINDS = ("cart", "clicked", "view")
"""Kinds that say a customer looked at something; being shown something is not the customer's act."""

Outcome = Literal["accepted", "repeated", "conflicting", "erased"]

_BODY = ("customer_id", "kind", "occurred_at", "order_id", "store_id", "channel", "decision_id", "lines")
_ORDER_COLUMNS = "event_id, customer_id, occurred_at, lines, order_id, store_id, channel, kind"
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Event:
    """Something a customer did or was shown.

    `event_id` makes it idempotent; `occurred_at` [s]; `lines` name products and, for orders, quantities and amounts;
    `decision_id` links it to the decision that caused it.
    """

    event_id: str
    customer_id: str
    kind: Kind
    occurred_at: int
    lines: tuple[EventLine, ...] = ()
    order_id: str | None = None
    store_id: str | None = None
    channel: str | None = None
    decision_id: str | None = None

    def order(self) -> OrderEvent | None:
        """The order it stands for; None when it is neither purchase nor refund."""
        if self.kind not in ORDER_KINDS:
            return None
        return OrderEvent(
            self.event_id,
            self.customer_id,
            self.occurred_at,
            self.lines,
            self.order_id,
            self.store_id,
            self.channel,
            refund=self.kind == "refund",
        )


class Tail(NamedTuple):
    """A customer's orders in the sequence they were received, and the sequence number of the last (0 without any).

    `looks` are there where they were asked for, in the sequence they were received; `last_sequence` counts them too.
    `erasures` is how many erasures there were when they were read, where looks were asked for.
    """

    orders: PackedOrders
    last_sequence: int
    looks: tuple[Look, ...] = ()
    erasures: int = 0


NO_ORDERS = PackedOrders("", ())
NO_TAIL = Tail(NO_ORDERS, 0)


class EventStore:
    """Events of one workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database
        sign = "?" if database.is_sqlite else "%s"
        yes, no = ("1", "0") if database.is_sqlite else ("true", "false")
        mine = f"FROM events WHERE customer_id = {sign} AND is_order ="
        gate = "(SELECT erasures FROM erasure_gate)"
        self._newest_of = f"SELECT max(sequence), count(*), (SELECT max(sequence) {mine} {no}), {gate} {mine} {yes}"
        erased = f"SELECT max(erased_at) FROM erasures WHERE subject = {sign}"
        self._told_of = (
            f"SELECT max(sequence), count(*), EXISTS (SELECT 1 FROM erasure_secret), ({erased}) {mine} {yes}"
        )
        self._orders_of = (
            f"SELECT event_id, occurred_at, order_id, store_id, channel, kind, lines, sequence {mine} {yes} "
            f"AND sequence <= {sign} ORDER BY sequence"
        )
        self._looks_of = (
            f"SELECT occurred_at, lines, kind, sequence {mine} {no} AND kind IN {LOOK_KINDS} AND occurred_at > {sign} "
            f"AND sequence <= {sign} ORDER BY sequence DESC LIMIT {MOST_LOOKS}"
        )
        self._last_of = f"SELECT max(sequence) FROM events WHERE customer_id = {sign}"
        self._lately = Lately()

    def append(self, events: Sequence[Event]) -> list[Outcome]:
        """Keep each event once, all in one durable transaction; one outcome an event, in the same sequence.

        `repeated`: the same event is already there. `conflicting`: its id is there with another content; not kept.
        `erased`: it happened before its customer was erased; not kept.

        Raises:
            StoreUnavailable: nothing was kept.
        """
        if not events:
            return []
        rows = [_row(event) for event in events]
        with self._database.writing() as connection:
            known = {}
            for ids in _chunks([row["event_id"] for row in rows]):
                found = connection.execute(select(EVENTS).where(EVENTS.c.event_id.in_(ids))).mappings()
                known.update({row["event_id"]: _body(row) for row in found})
            erased = erased_among(connection, {row["customer_id"] for row in rows})
            outcomes, fresh = _judge(rows, known, erased)
            if fresh:
                connection.execute(EVENTS.insert(), fresh)
        return outcomes

    def orders_of(self, customer_id: str) -> tuple[OrderEvent, ...]:
        """Purchases and refunds of a customer, in the sequence they were received: one indexed read."""
        return tuple(self.tail_of(customer_id).orders)

    def tail_of(self, customer_id: str, upto: int | None = None) -> Tail:
        """The orders of a customer with the sequence number of the newest; with `upto`, as they were at that number."""
        if upto is not None:
            return self._read_orders(customer_id, upto)
        newest, count, *_ = self._database.fetch(self._newest_of, (customer_id, customer_id))[0]
        return self._orders_at(customer_id, newest, count)

    def tail_and_erasure(self, customer_id: str, subject: str) -> tuple[Tail, bool, int | None]:
        """`tail_of`, whether anybody was ever erased, and up to when [s] who has that `subject` was: one indexed read.

        `subject` is what `ErasureStore.subject` knows the customer by.
        """
        newest, count, any_erased, erased = self._database.fetch(self._told_of, (subject, customer_id))[0]
        return self._orders_at(customer_id, newest, count), bool(any_erased), erased

    def tail_with_looks(self, customer_id: str, since: int, upto: int | None = None) -> Tail:
        """`tail_of` and the newest MOST_LOOKS looks after an instant [s]."""
        newest, count, look, erasures = self._database.fetch(self._newest_of, (customer_id, customer_id))[0]
        tail = self._orders_at(customer_id, newest, count) if upto is None else self._read_orders(customer_id, upto)
        tail = tail._replace(erasures=erasures or 0)
        if look is None:
            return tail
        # no look of after that first read, which an order that is not in `tail` may have come before
        rows = self._database.fetch(
            self._looks_of, (customer_id, since, max(newest or 0, look) if upto is None else upto)
        )
        looks = tuple(_look(row) for row in reversed(rows))
        return tail._replace(last_sequence=max(tail.last_sequence, rows[0][-1]), looks=looks) if rows else tail

    def _orders_at(self, customer_id: str, newest: int | None, count: int) -> Tail:
        """The `count` orders of a customer up to `newest`, remembered or read."""
        if newest is None:
            self._lately.forget(customer_id)
            return NO_TAIL
        orders = self._lately.find(customer_id, newest, count)
        if orders is not None:
            return Tail(orders, newest)
        asked = self._lately.round
        tail = self._read_orders(customer_id, newest)
        if len(tail.orders) == count:  # else the customer was erased meanwhile
            self._lately.keep(customer_id, newest, tail.orders, asked)
        return tail

    def _read_orders(self, customer_id: str, upto: int) -> Tail:
        rows = self._database.fetch(self._orders_of, (customer_id, upto))
        return Tail(PackedOrders(customer_id, map(_order_row, rows)), rows[-1][-1]) if rows else NO_TAIL

    def looks_by_customer(self, since: int, upto: int) -> dict[str, tuple[Look, ...]]:
        """Looks of all customers after an instant [s], each as `tail_with_looks` gives them."""
        chosen = (EVENTS.c.occurred_at, EVENTS.c.lines, EVENTS.c.kind, EVENTS.c.customer_id)
        wanted = (~EVENTS.c.is_order, EVENTS.c.kind.in_(LOOK_KINDS), EVENTS.c.occurred_at > since)
        query = select(*chosen).where(*wanted, EVENTS.c.sequence <= upto).order_by(EVENTS.c.sequence)
        looks: dict[str, deque[Look]] = {}
        with self._database.reading() as connection:
            for row in connection.execution_options(yield_per=10_000).execute(query):
                looks.setdefault(row.customer_id, deque(maxlen=MOST_LOOKS)).append(_look(row))
        return {customer: tuple(each) for customer, each in looks.items()}

    def orders_by_customer(self, after: int = 0, upto: int | None = None) -> dict[str, tuple[OrderEvent, ...]]:
        """Purchases and refunds of all customers, each as `orders_of` gives them, in one consistent read.

        Only those with `after < sequence <= upto`; a night's batch passes the `last_sequence()` it started from.
        """
        chosen = [EVENTS.c[name.strip()] for name in _ORDER_COLUMNS.split(",")]
        query = select(*chosen).where(EVENTS.c.is_order, EVENTS.c.sequence > after)
        if upto is not None:
            query = query.where(EVENTS.c.sequence <= upto)
        orders: dict[str, list[OrderEvent]] = {}
        with self._database.reading() as connection:
            for row in connection.execution_options(yield_per=10_000).execute(query.order_by(EVENTS.c.sequence)):
                orders.setdefault(row.customer_id, []).append(_order(tuple(row)))
        return {customer: tuple(each) for customer, each in orders.items()}

    def instants_of(self, event_ids: Sequence[str]) -> dict[str, int]:
        """When those of the events that are already kept occurred [s], by event id."""
        instants: dict[str, int] = {}
        with self._database.reading() as connection:
            for ids in _chunks(list(event_ids)):
                query = select(EVENTS.c.event_id, EVENTS.c.occurred_at).where(EVENTS.c.event_id.in_(ids))
                instants.update((row.event_id, row.occurred_at) for row in connection.execute(query))
        return instants

    def last_sequence(self, customer_id: str | None = None) -> int:
        """Sequence number of the newest event of a customer, or of all; 0 without any."""
        if customer_id is not None:
            return int(self._database.fetch(self._last_of, (customer_id,))[0][0] or 0)
        with self._database.reading() as connection:
            return int(connection.execute(select(func.max(EVENTS.c.sequence))).scalar() or 0)

    def count(self) -> int:
        """Number of events."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(EVENTS)).scalar_one())

    def count_orders(self, after: int) -> int:
        """Number of purchases and refunds that occurred after an instant [s]."""
        query = select(func.count()).where(EVENTS.c.is_order, EVENTS.c.occurred_at > after)
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def remembered(self) -> Remembered:
        """How often newer orders did not have to be read again, since the process began."""
        return self._lately.tally()

    def forget_erased(self, tombstones: Tombstones) -> None:
        """Remember no newer orders of customers erased, nor what other threads read of them before and keep after."""
        self._lately.begin_round()
        for customer_id in tombstones.among(self._lately.customers()):
            self._lately.forget(customer_id)

    def reopen(self) -> None:
        """To be called in a forked process before anything else."""
        self._lately = Lately()
        self._database.reopen()

    def close(self) -> None:
        """Close connections."""
        self._database.close()


def _row(event: Event) -> dict[str, Any]:
    order = event.order()
    return {
        "event_id": event.event_id,
        "customer_id": event.customer_id,
        "kind": event.kind,
        "is_order": order is not None,
        "occurred_at": event.occurred_at,
        "received_at": int(time.time()),
        "order_id": event.order_id,
        "order_key": _signed(order.key()) if order else None,
        "store_id": event.store_id,
        "channel": event.channel,
        "decision_id": event.decision_id,
        "lines": _encoded(event.lines),
    }


def _encoded(lines: Iterable[EventLine]) -> str:
    rows = [[line.product_id, float(line.quantity), line.amount, line.discount] for line in lines]
    return orjson.dumps(rows).decode()


def _order(row: Sequence[Any]) -> OrderEvent:
    event_id, customer_id, occurred_at, lines, order_id, store_id, channel, kind = row
    content = tuple([EventLine(*line) for line in _LINES(lines)])
    return OrderEvent(event_id, customer_id, occurred_at, content, order_id, store_id, channel, kind == "refund")


_LINES = msgspec.json.Decoder(list[tuple[str, float, int, int]]).decode


def _order_row(row: Sequence[Any]) -> OrderRow:
    event_id, occurred_at, order_id, store_id, channel, kind, lines, _ = row
    return OrderRow(event_id, occurred_at, order_id, store_id, channel, kind == "refund", _LINES(lines))


def _look(row: Sequence[Any]) -> Look:
    occurred_at, lines, kind, *_ = row
    return Look(occurred_at, tuple(line[0] for line in orjson.loads(lines)), kind == "cart")


def _signed(key: int) -> int:
    """Unsigned 64 bits as the signed number both databases hold."""
    return key - 2**64 if key >= 2**63 else key


def _body(row: Mapping[str, Any] | RowMapping) -> tuple[Any, ...]:
    """What makes two events with one id the same event: all but sequence and time of receipt."""
    return tuple(row[name] for name in _BODY)


def _judge(
    rows: list[dict[str, Any]], known: dict[str, tuple[Any, ...]], erased: Mapping[str, int]
) -> tuple[list[Outcome], list[dict[str, Any]]]:
    """Outcome of each row given the bodies already kept, and the rows to insert; `known` grows with them.

    `erased` names customers of whom nothing up to an instant [s] may come back.
    """
    outcomes: list[Outcome] = []
    fresh = []
    for row in rows:
        if row["occurred_at"] <= erased.get(row["customer_id"], -1):
            outcomes.append("erased")
            continue
        body = _body(row)
        kept = known.setdefault(row["event_id"], body)
        if kept is body:
            outcomes.append("accepted")
            fresh.append(row)
        else:
            outcomes.append("repeated" if kept == body else "conflicting")
    return outcomes, fresh


def _chunks(values: list[str]) -> Iterable[list[str]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))
