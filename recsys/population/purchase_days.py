"""Purchase days: the distinct local calendar days a customer bought on, the unit of all buy-till-you-die models."""

import numba
import numpy as np

from recsys.data.clock import DAY, ZoneTable
from recsys.data.history import HistoryArrays


@numba.njit(cache=True, nogil=True, error_model="numpy")
def local_day(zone: ZoneTable, at: int) -> int:
    """Days from 1970-01-01 to the calendar day of instant `at` [s UTC] in the zone of the table."""
    return int(local_time(zone, at) // DAY)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def local_time(zone: ZoneTable, at: int) -> int:
    """Seconds from 1970-01-01 00:00 on the wall clock of the zone to instant `at` [s UTC]."""
    entry = int(np.searchsorted(zone.starts, at, side="right")) - 1
    return int(at + zone.offsets[max(entry, 0)])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def is_purchase(arrays: HistoryArrays, order: int) -> bool:
    """Whether a line of `order` has quantity > 0; a refund alone is no purchase."""
    for line in range(arrays.line_start[order], arrays.line_start[order + 1]):
        if arrays.line_quantity[line] > 0.0:
            return True
    return False


@numba.njit(cache=True, nogil=True, error_model="numpy")
def order_amount(arrays: HistoryArrays, order: int) -> int:
    """Sum of the amounts of an order's lines [minor units]."""
    total = 0
    for line in range(arrays.line_start[order], arrays.line_start[order + 1]):
        total += arrays.line_amount[line]
    return total
