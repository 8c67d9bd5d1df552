"""What one order is: kernels shared by all features."""

import numba

from recsys.data.clock import DAY, ZoneTable
from recsys.data.history import HistoryArrays

__all__ = ["DAY", "is_purchase", "local_offset", "order_spend"]


@numba.njit(cache=True, nogil=True)
def local_offset(at: int, zone: ZoneTable) -> int:
    """Offset of business time from UTC at instant `at` [s]."""
    low, high = 0, len(zone.starts)
    while high - low > 1:
        middle = (low + high) // 2
        if zone.starts[middle] <= at:
            low = middle
        else:
            high = middle
    return zone.offsets[low]


@numba.njit(cache=True, nogil=True)
def is_purchase(h: HistoryArrays, order: int) -> bool:
    """Whether an order has a line with quantity > 0."""
    for line in range(h.line_start[order], h.line_start[order + 1]):
        if h.line_quantity[line] > 0:
            return True
    return False


@numba.njit(cache=True, nogil=True)
def order_spend(h: HistoryArrays, order: int) -> int:
    """Sum of the order's lines [minor units]; integers, so the order of summing does not matter."""
    total = 0
    for line in range(h.line_start[order], h.line_start[order + 1]):
        total += h.line_amount[line]
    return total
