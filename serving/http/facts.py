"""What is known of a customer: plain counts over the imported history with the newer events folded in."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from recsys.data.clock import to_iso
from recsys.data.history import UNKNOWN_CODE
from recsys.data.ids import ABSENT, IdMap
from recsys.data.snapshot import Snapshot
from recsys.data.tail import CustomerRows, OrderEvent, rows_at
from recsys.data.told import told_row
from serving.http.bodies import CustomerBody, OrderBody, OrderLineBody, WeekBody

MOST_WEEKS = 261
"""Weeks shown, newest last: five years."""

LAST_ORDERS = 8
"""Orders shown with their lines, newest first."""


def customer_facts(
    snapshot: Snapshot, customer_id: str, events: Sequence[OrderEvent], as_of: int, *, stale: bool = False
) -> CustomerBody | None:
    """Known facts of a customer at `as_of` [s]; None for one never heard of."""
    customer, forgotten = snapshot.customers.index(customer_id), snapshot.customers.forgets(customer_id)
    if customer == ABSENT and not events:
        return None
    rows = rows_at(snapshot, customer, as_of, events)
    times = rows.arrays.order_time[rows.low : rows.high]
    amounts = _order_amounts(rows)
    zone = snapshot.facts.timezone
    return CustomerBody(
        customer_id=customer_id,
        as_of=to_iso(as_of, zone),
        snapshot_id=snapshot.snapshot_id,
        stale=stale,
        currency=snapshot.facts.currency,
        orders=len(times),
        spend=snapshot.money(int(amounts.sum())),
        events_since_snapshot=len(events),
        first_purchase_at=to_iso(int(times[0]), zone) if len(times) else None,
        last_purchase_at=to_iso(int(times[-1]), zone) if len(times) else None,
        weeks=_weeks(times, amounts, as_of, snapshot),
        last_orders=orders_of(snapshot, rows, LAST_ORDERS),
        attributes={} if forgotten else told_row(snapshot.directory, customer_id),
    )


def orders_of(snapshot: Snapshot, rows: CustomerRows, most: int | None = None) -> tuple[OrderBody, ...]:
    """Orders of a customer with their lines, newest first, at most so many."""
    return tuple(_order(snapshot, rows, order) for order in range(rows.high - 1, rows.low - 1, -1)[:most])


def _order_amounts(rows: CustomerRows) -> npt.NDArray[np.int64]:
    """Amount of each visible order, (n_orders,) [minor units]."""
    bounds = rows.arrays.line_start[rows.low : rows.high + 1].astype(np.int64)
    running = np.zeros(bounds[-1] - bounds[0] + 1, np.int64)
    np.cumsum(rows.arrays.line_amount[bounds[0] : bounds[-1]], out=running[1:])
    totals: npt.NDArray[np.int64] = np.diff(running[bounds - bounds[0]])
    return totals


def _weeks(
    times: npt.NDArray[np.int64], amounts: npt.NDArray[np.int64], as_of: int, snapshot: Snapshot
) -> tuple[WeekBody, ...]:
    """Every week from the first purchase to `as_of`, also those without purchases."""
    if not len(times):
        return ()
    zone = ZoneInfo(snapshot.facts.timezone)
    weeks: dict[date, list[int]] = {}
    week, last = _monday(int(times[0]), zone), _monday(as_of, zone)
    week = max(week, last - timedelta(weeks=MOST_WEEKS - 1))
    while week <= last:
        weeks[week] = [0, 0]
        week += timedelta(weeks=1)
    for time, amount in zip(times.tolist(), amounts.tolist(), strict=True):
        row = weeks.get(_monday(time, zone))
        if row is not None:
            row[0] += 1
            row[1] += amount
    return tuple(WeekBody(day.isoformat(), orders, snapshot.money(spend)) for day, (orders, spend) in weeks.items())


def _monday(time: int, zone: ZoneInfo) -> date:
    day = datetime.fromtimestamp(time, zone).date()
    return day - timedelta(days=day.weekday())


def _order(snapshot: Snapshot, rows: CustomerRows, order: int) -> OrderBody:
    arrays = rows.arrays
    lines = range(int(arrays.line_start[order]), int(arrays.line_start[order + 1]))
    return OrderBody(
        occurred_at=to_iso(int(arrays.order_time[order]), snapshot.facts.timezone),
        amount=snapshot.money(int(arrays.line_amount[lines.start : lines.stop].sum())),
        store_id=_decoded(snapshot.stores, int(arrays.order_store[order])),
        channel=_decoded(snapshot.channels, int(arrays.order_channel[order])),
        lines=tuple(_line(snapshot, rows, line) for line in lines),
    )


def _decoded(ids: IdMap, code: int) -> str | None:
    return None if code == UNKNOWN_CODE else ids[code]


def _line(snapshot: Snapshot, rows: CustomerRows, line: int) -> OrderLineBody:
    catalogue = snapshot.catalogue
    product = int(rows.arrays.line_product[line])
    item = int(catalogue.product_item[product]) if product != ABSENT else ABSENT
    return OrderLineBody(
        product_id=catalogue.products[product] if product != ABSENT else None,
        item_id=catalogue.items[item] if item != ABSENT else None,
        name=catalogue.name(item) if item != ABSENT else None,
        quantity=float(rows.arrays.line_quantity[line]),
        amount=snapshot.money(int(rows.arrays.line_amount[line])),
    )
