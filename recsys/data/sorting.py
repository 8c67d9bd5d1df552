"""Kernels that bring coded lines into the sequence of `PurchaseHistory`: by customer, time, key and content."""

from typing import Any

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, error_model="numpy")
def count_lines(customer: Any, index: Any, counts: Any) -> None:
    """Add the lines of a chunk to `counts[i]` of each customer *i*."""
    for code in customer:
        counts[index[code]] += 1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def place_lines(customer: Any, index: Any, cursor: Any) -> None:
    """Counting sort: overwrite each line's customer code by its place, the next free one of its customer."""
    for i in range(len(customer)):
        owner = index[customer[i]]
        customer[i] = cursor[owner]
        cursor[owner] += 1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def scatter(places: Any, values: Any, out: Any) -> None:
    """`out[places[i]] = values[i]`."""
    for i in range(len(places)):
        out[places[i]] = values[i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def scatter_mapped(places: Any, values: Any, index: Any, out: Any) -> None:
    """`out[places[i]] = index[values[i]]`."""
    for i in range(len(places)):
        out[places[i]] = index[values[i]]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _after(a: int, b: int, lines: Any) -> bool:  # noqa: PLR0911 - one return a sort key
    """Line `a` sorts strictly after line `b`."""
    time, key, product, quantity, amount, discount, store, channel = lines
    if time[a] != time[b]:
        return bool(time[a] > time[b])
    if key[a] != key[b]:
        return bool(key[a] > key[b])
    if product[a] != product[b]:
        return bool(product[a] > product[b])
    if quantity[a] != quantity[b]:
        return bool(quantity[a] > quantity[b])
    if amount[a] != amount[b]:
        return bool(amount[a] > amount[b])
    if discount[a] != discount[b]:
        return bool(discount[a] > discount[b])
    if store[a] != store[b]:
        return bool(store[a] > store[b])
    return bool(channel[a] > channel[b])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _merge(row: Any, spare: Any, low: int, middle: int, high: int, lines: Any) -> None:
    """Merge the sorted runs `row[low:middle]` and `row[middle:high]` into `spare[low:high]`."""
    left, right = low, middle
    for out in range(low, high):
        if left < middle and (right >= high or not _after(row[left], row[right], lines)):
            spare[out] = row[left]
            left += 1
        else:
            spare[out] = row[right]
            right += 1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sort_rows(low: int, high: int, row: Any, spare: Any, lines: Any) -> None:
    """Fill `row` with the lines `low:high` in sorted sequence: runs of 16 by insertion, then bottom-up merges."""
    n = high - low
    for i in range(n):
        row[i] = low + i
    for start in range(0, n, 16):
        for i in range(start + 1, min(start + 16, n)):
            moving, j = row[i], i
            while j > start and _after(row[j - 1], moving, lines):
                row[j] = row[j - 1]
                j -= 1
            row[j] = moving
    width = 16
    while width < n:
        for start in range(0, n, 2 * width):
            _merge(row, spare, start, min(start + width, n), min(start + 2 * width, n), lines)
        for i in range(n):
            row[i] = spare[i]
        width *= 2


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _permute(column: Any, low: int, rows: Any, spare: Any) -> None:
    for i in range(len(rows)):
        spare[i] = column[rows[i]]
    for i in range(len(rows)):
        column[low + i] = spare[i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sort_lines(starts: Any, first: int, last: int, lines: Any) -> None:
    """Sort in place the lines of the customers `first:last`; customer *i* owns lines `starts[i]:starts[i + 1]`.

    `lines` are (time, key, product, quantity, amount, discount, store, channel), the sort keys in this sequence.
    """
    longest = 0
    for customer in range(first, last):
        longest = max(longest, starts[customer + 1] - starts[customer])
    row, spare = np.empty(longest, np.int64), np.empty(longest, np.int64)
    words, floats = np.empty(longest, np.uint64), np.empty(longest, np.float32)
    time, key, product, quantity, amount, discount, store, channel = lines
    for customer in range(first, last):
        low, high = starts[customer], starts[customer + 1]
        at = low + 1
        while at < high and not _after(at - 1, at, lines):
            at += 1
        if at >= high:
            continue  # as it came
        _sort_rows(low, high, row, spare, lines)
        rows = row[: high - low]
        _permute(time, low, rows, spare)
        _permute(key, low, rows, words)
        _permute(product, low, rows, spare)
        _permute(quantity, low, rows, floats)
        _permute(amount, low, rows, spare)
        _permute(discount, low, rows, spare)
        _permute(store, low, rows, spare)
        _permute(channel, low, rows, spare)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def count_orders(starts: Any, time: Any, key: Any, order_start: Any) -> int:
    """Fill `order_start` (n_customers + 1,) and return the number of orders: runs of one (customer, time, key)."""
    orders = 0
    for customer in range(len(starts) - 1):
        order_start[customer] = orders
        for line in range(starts[customer], starts[customer + 1]):
            new = line == starts[customer] or time[line] != time[line - 1] or key[line] != key[line - 1]
            orders += 1 if new else 0
    order_start[len(starts) - 1] = orders
    return orders


@numba.njit(cache=True, nogil=True, error_model="numpy")
def first_lines(starts: Any, time: Any, key: Any, line_start: Any) -> None:
    """Fill `line_start` (n_orders + 1,) with the first line of each order."""
    order = 0
    for customer in range(len(starts) - 1):
        for line in range(starts[customer], starts[customer + 1]):
            if line == starts[customer] or time[line] != time[line - 1] or key[line] != key[line - 1]:
                line_start[order] = line
                order += 1
    line_start[order] = starts[len(starts) - 1]
