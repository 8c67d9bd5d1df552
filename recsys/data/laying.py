"""Laying newer orders over rows: ids looked up, orders keyed and sorted, both merged, in one kernel."""

from typing import Any

import numba
import numpy as np

from recsys.data.history import UNKNOWN_CODE, HistoryArrays
from recsys.data.ids import find
from recsys.data.keys import fed, key_in, opened

NONE = -1
"""Length of a text that is not given."""

BASKET_KEY = 2**64 - 1
"""Key of the basket a request carries; it sorts after every order of the same second."""

ORDER = 7
"""Numbers of an order: time [s], sort (BOUGHT, REFUNDED or BASKET), lengths of event id, order id, store and channel
[bytes], how many lines."""

BOUGHT, REFUNDED, BASKET = 0, 1, 2

LINE = 3
"""Numbers of a line: length of the product's id [bytes], amount, discount [minor units]."""


@numba.njit(cache=True, nogil=True)
def laid_over(
    old: HistoryArrays,
    low: int,
    high: int,
    as_of: int,
    customer: Any,
    text: Any,
    numbers: Any,
    quantity: Any,
    products: Any,
    stores: Any,
    channels: Any,
) -> HistoryArrays:
    """Orders `low:high` of `old` and newer ones of the same customer, in one history sorted by (time, key).

    as_of      newer orders after this instant are left out [s]
    customer   uint8    UTF-8 of the customer's id
    text       uint8    UTF-8 of each order's event id, order id, store and channel and of its lines' products, one
                        after the other
    numbers    int64    of each order ORDER numbers, then LINE numbers of each of its lines
    quantity   float64  of each line
    products, stores, channels   (offsets, blob) of the snapshot's ids

    A newer order whose key `old` or an earlier one has is the same order and left out.
    """
    new = _read(customer, text, numbers, quantity, products, stores, channels)
    kept = _sorted_fresh(old, low, high, new, as_of)
    n_orders, n_lines = high - low + kept.size, np.int64(old.line_start[high]) - np.int64(old.line_start[low])
    for order in kept:
        n_lines += np.int64(new.line_start[order + 1]) - np.int64(new.line_start[order])
    out: HistoryArrays = _room(n_orders, n_lines)
    left, right, line = low, 0, 0
    for order in range(n_orders):
        if right == kept.size or (left < high and not _before(new, kept[right], old, left)):
            line = _copy_order(old, left, out, order, line)
            left += 1
        else:
            line = _copy_order(new, kept[right], out, order, line)
            right += 1
    return out


@numba.njit(cache=True, nogil=True)
def _room(n_orders: int, n_lines: int) -> HistoryArrays:
    return HistoryArrays(
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


@numba.njit(cache=True, nogil=True)
def _read(
    customer: Any, text: Any, numbers: Any, quantity: Any, products: Any, stores: Any, channels: Any
) -> HistoryArrays:
    """The newer orders as they came, each with its lines in the sequence a snapshot keeps them."""
    n_lines = quantity.size
    n_orders = (numbers.size - LINE * n_lines) // ORDER
    new: HistoryArrays = _room(n_orders, n_lines)
    state = opened(customer)
    at, char, line = 0, 0, 0
    for order in range(n_orders):
        event, named, store, channel, count = (
            numbers[at + 2],
            numbers[at + 3],
            numbers[at + 4],
            numbers[at + 5],
            numbers[at + 6],
        )
        new.order_time[order] = numbers[at]
        new.order_key[order] = _key(state, text, char, numbers[at + 1], event, named)
        char += event + max(named, 0)
        new.order_store[order] = _code(stores, text, char, store)
        char += max(store, 0)
        new.order_channel[order] = _code(channels, text, char, channel)
        char += max(channel, 0)
        at += ORDER
        for place in range(line, line + count):
            new.line_product[place] = find(products[0], products[1], text[char : char + numbers[at]])
            new.line_quantity[place] = np.float32(quantity[place])
            new.line_amount[place], new.line_discount[place] = numbers[at + 1], numbers[at + 2]
            char += numbers[at]
            at += LINE
            _sink_line(new, line, place)
        line += count
        new.line_start[order + 1] = line
    return new


@numba.njit(cache=True, nogil=True)
def _key(state: Any, text: Any, char: int, sort: int, event: int, named: int) -> Any:
    """Key of an order: of its id, or of `!` and the event's where it has none and for a refund."""
    if sort == BASKET:
        return np.uint64(BASKET_KEY)
    if sort == BOUGHT and named != NONE:
        return key_in(state, text, char + event, char + event + named)
    return key_in(fed(state, MARK, 0, 1), text, char, char + event)


MARK = np.frombuffer(b"!", np.uint8)


@numba.njit(cache=True, nogil=True)
def _code(ids: Any, text: Any, char: int, length: int) -> int:
    if length == NONE:
        return UNKNOWN_CODE
    found = find(ids[0], ids[1], text[char : char + length])
    return UNKNOWN_CODE if found < 0 else found


@numba.njit(cache=True, nogil=True)
def _sink_line(h: HistoryArrays, first: int, place: int) -> None:
    """Move the line at `place` down among the sorted ones `first:place`."""
    while place > first and _smaller_line(h, place, place - 1):
        for column in (h.line_product, h.line_discount):
            column[place], column[place - 1] = column[place - 1], column[place]
        h.line_quantity[place], h.line_quantity[place - 1] = h.line_quantity[place - 1], h.line_quantity[place]
        h.line_amount[place], h.line_amount[place - 1] = h.line_amount[place - 1], h.line_amount[place]
        place -= 1


@numba.njit(cache=True, nogil=True)
def _smaller_line(h: HistoryArrays, i: int, j: int) -> bool:
    """Whether line `i` sorts before line `j`: by product, quantity, amount, discount."""
    if h.line_product[i] != h.line_product[j]:
        return bool(h.line_product[i] < h.line_product[j])
    if h.line_quantity[i] != h.line_quantity[j]:
        return bool(h.line_quantity[i] < h.line_quantity[j])
    if h.line_amount[i] != h.line_amount[j]:
        return bool(h.line_amount[i] < h.line_amount[j])
    return bool(h.line_discount[i] < h.line_discount[j])


@numba.njit(cache=True, nogil=True)
def _sorted_fresh(old: HistoryArrays, low: int, high: int, new: HistoryArrays, as_of: int) -> Any:
    """Orders of `new` up to `as_of` that neither `old` nor an earlier one of them has, by (time, key)."""
    seen = np.flatnonzero(new.order_time <= as_of)
    # stable: of equal keys the first reported stands first
    by_key = seen[np.argsort(new.order_key[seen], kind="mergesort")]
    keys, fresh = new.order_key[by_key], np.ones(by_key.size, np.bool_)
    for i in range(1, keys.size):
        fresh[i] = keys[i] != keys[i - 1]
    for order in range(low, high):
        at = _place(keys, old.order_key[order])
        if at < keys.size and keys[at] == old.order_key[order]:
            fresh[at] = False
    kept = by_key[fresh]
    return kept[np.argsort(new.order_time[kept], kind="mergesort")]


@numba.njit(cache=True, nogil=True)
def _place(keys: Any, wanted: Any) -> int:
    """First place among sorted `keys` that is not below `wanted`."""
    low, high = 0, keys.size
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


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
