"""Tail: what a customer did since the snapshot, laid over its rows so that kernels see one sorted history."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numba
import numpy as np

from recsys.data.history import UNKNOWN_CODE, HistoryArrays, PurchaseHistory, order_key, visible_orders
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
    if not events and not basket:
        return CustomerRows(arrays, low, high, as_of)
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
    fresh.sort(key=_when)
    lines = [line for order in fresh for line in order.lines]
    products, quantities, amounts, discounts = zip(*lines, strict=True) if lines else ((), (), (), ())
    starts = [0, *accumulate(len(order.lines) for order in fresh)]
    times, keys, stores, channels, _ = zip(*fresh, strict=True)
    columns = (times, keys, stores, channels, starts, products, quantities, amounts, discounts)
    added = HistoryArrays._make(np.array(column, kind) for column, kind in zip(columns, _KINDS, strict=True))
    merged: HistoryArrays = _laid_over(arrays, low, high, added)
    return merged


_KINDS = tuple(each.dtype for each in PurchaseHistory.empty().arrays())
"""Types of the columns of `HistoryArrays`."""


def _when(order: _Order) -> tuple[int, int]:
    return order.time, order.key


@numba.njit(cache=True, nogil=True)
def _laid_over(old: HistoryArrays, low: int, high: int, new: HistoryArrays) -> HistoryArrays:
    """Orders `low:high` of `old` and all of `new`, both sorted by (time, key), in one history; ties: old ones first."""
    n_orders = high - low + new.order_time.size
    first_line, last_line = np.int64(old.line_start[low]), np.int64(old.line_start[high])
    n_lines = last_line - first_line + new.line_product.size
    out = HistoryArrays(
        np.empty(n_orders, np.int64),
        np.empty(n_orders, np.uint64),
        np.empty(n_orders, np.uint16),
        np.empty(n_orders, np.uint16),
        np.zeros(n_orders + 1, np.uint32),
        np.empty(n_lines, np.int32),
        np.empty(n_lines, np.float32),
        np.empty(n_lines, np.int64),
        np.empty(n_lines, np.int32),
    )
    left, right, line = low, 0, 0
    for order in range(n_orders):
        if right == new.order_time.size or (left < high and not _before(new, right, old, left)):
            line = _copy_order(old, left, out, order, line)
            left += 1
        else:
            line = _copy_order(new, right, out, order, line)
            right += 1
    return out


@numba.njit(cache=True, nogil=True)
def _before(one: HistoryArrays, i: int, other: HistoryArrays, j: int) -> bool:
    """Whether order `i` of `one` sorts before order `j` of `other`."""
    if one.order_time[i] != other.order_time[j]:
        return bool(one.order_time[i] < other.order_time[j])
    return bool(one.order_key[i] < other.order_key[j])


@numba.njit(cache=True, nogil=True)
def _copy_order(source: HistoryArrays, i: int, out: HistoryArrays, order: int, line: int) -> int:
    """Order `i` of `source` as `order` of `out`, its lines from `line` on; one past its last line."""
    out.order_time[order], out.order_key[order] = source.order_time[i], source.order_key[i]
    out.order_store[order], out.order_channel[order] = source.order_store[i], source.order_channel[i]
    for at in range(source.line_start[i], source.line_start[i + 1]):
        out.line_product[line], out.line_quantity[line] = source.line_product[at], source.line_quantity[at]
        out.line_amount[line], out.line_discount[line] = source.line_amount[at], source.line_discount[at]
        line += 1
    out.line_start[order + 1] = line
    return line
