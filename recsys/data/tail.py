"""Tail: what a customer did since the snapshot, laid over its rows so that kernels see one sorted history."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.data.history import UNKNOWN_CODE, HistoryArrays, order_key, visible_orders
from recsys.data.ids import ABSENT, IdMap
from recsys.data.snapshot import Snapshot

BASKET_KEY = 2**64 - 1
"""Key of the basket a request carries; it sorts after every order of the same second."""


@dataclass(frozen=True, slots=True)
class EventLine:
    """One line of a purchase or refund. `quantity` < 0 is a return; `amount`, `discount` in minor units."""

    product_id: str
    quantity: float = 1.0
    amount: int = 0
    discount: int = 0


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """A purchase or refund reported while serving.

    `refund` events never share the key of the order they refund, so both count; a purchase shares the key of the same
    order id in an imported file, so it counts once and the file wins.
    """

    event_id: str
    customer_id: str
    occurred_at: int
    lines: tuple[EventLine, ...]
    order_id: str | None = None
    store_id: str | None = None
    channel: str | None = None
    refund: bool = False

    def key(self) -> int:
        """Key of the order this event stands for."""
        named = self.order_id is not None and not self.refund
        return order_key(self.customer_id, str(self.order_id) if named else f"!{self.event_id}")


class CustomerRows(NamedTuple):
    """One customer's orders visible at `as_of`: `arrays.order_*[low:high]`, oldest first."""

    arrays: HistoryArrays
    low: int
    high: int
    as_of: int


def rows_at(
    snapshot: Snapshot,
    customer: int,
    as_of: int,
    events: Sequence[OrderEvent] = (),
    basket: Sequence[EventLine] = (),
) -> CustomerRows:
    """Rows of customer `customer` (`ABSENT`: not in the snapshot) at `as_of` [s], with events and basket folded in.

    Without events and basket the snapshot's own arrays are used in place. An event whose key the snapshot (or an
    earlier event) already has is the same order and counts once. Basket lines count as bought at `as_of`.
    The result equals, array for array, the rows of a snapshot imported with the same orders.
    """
    arrays = snapshot.history.arrays()
    low, high = snapshot.history.span(customer) if customer != ABSENT else (0, 0)
    high = int(visible_orders(arrays.order_time, low, high, as_of))
    fresh = _fresh_orders(snapshot, set(arrays.order_key[low:high].tolist()), events, as_of)
    if basket:
        fresh.append(_Order(as_of, BASKET_KEY, UNKNOWN_CODE, UNKNOWN_CODE, _coded(snapshot, basket)))
    if not fresh:
        return CustomerRows(arrays, low, high, as_of)
    merged = _merge(arrays, low, high, fresh)
    return CustomerRows(merged, 0, len(merged.order_time), as_of)


class _Order(NamedTuple):
    time: int
    key: int
    store: int
    channel: int
    lines: list[tuple[int, float, int, int]]


def _fresh_orders(snapshot: Snapshot, seen: set[int], events: Iterable[OrderEvent], as_of: int) -> list[_Order]:
    fresh = []
    for event in events:
        key = event.key()
        if event.occurred_at > as_of or key in seen:
            continue
        seen.add(key)
        store, channel = _code(snapshot.stores, event.store_id), _code(snapshot.channels, event.channel)
        fresh.append(_Order(event.occurred_at, key, store, channel, _coded(snapshot, event.lines)))
    return fresh


def _code(ids: IdMap, external: str | None) -> int:
    index = ids.index(external) if external is not None else ABSENT
    return UNKNOWN_CODE if index == ABSENT else index


def _coded(snapshot: Snapshot, lines: Iterable[EventLine]) -> list[tuple[int, float, int, int]]:
    """Lines with product indices, in the sequence a snapshot keeps them."""
    find = snapshot.catalogue.products.index
    coded = ((find(line.product_id), float(np.float32(line.quantity)), line.amount, line.discount) for line in lines)
    return sorted(coded)


def _merge(arrays: HistoryArrays, low: int, high: int, fresh: list[_Order]) -> HistoryArrays:
    """Snapshot orders `low:high` and `fresh` ones, sorted by (time, key)."""
    old_lines = slice(int(arrays.line_start[low]), int(arrays.line_start[high]))
    old_counts = np.diff(arrays.line_start[low : high + 1].astype(np.int64))
    counts = np.concatenate([old_counts, [len(order.lines) for order in fresh]]).astype(np.int64)
    times = _joined(arrays.order_time[low:high], [order.time for order in fresh])
    keys = _joined(arrays.order_key[low:high], [order.key for order in fresh])
    sequence = np.lexsort((keys, times))
    starts = np.cumsum(counts) - counts
    rows = np.concatenate([np.arange(starts[o], starts[o] + counts[o]) for o in sequence]).astype(np.int64)
    flat = list(zip(*(line for order in fresh for line in order.lines), strict=True)) or [(), (), (), ()]
    return HistoryArrays(
        order_time=times[sequence],
        order_key=keys[sequence],
        order_store=_joined(arrays.order_store[low:high], [order.store for order in fresh])[sequence],
        order_channel=_joined(arrays.order_channel[low:high], [order.channel for order in fresh])[sequence],
        line_start=np.concatenate([[0], np.cumsum(counts[sequence])]).astype(np.uint32),
        line_product=_joined(arrays.line_product[old_lines], flat[0])[rows],
        line_quantity=_joined(arrays.line_quantity[old_lines], flat[1])[rows],
        line_amount=_joined(arrays.line_amount[old_lines], flat[2])[rows],
        line_discount=_joined(arrays.line_discount[old_lines], flat[3])[rows],
    )


def _joined(old: npt.NDArray[Any], new: Sequence[Any]) -> npt.NDArray[Any]:
    return np.concatenate([old, np.array(new, old.dtype)])
