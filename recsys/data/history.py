"""PurchaseHistory: who bought what when, as flat typed arrays sorted by customer and time."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, Self

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.arrays import load_array, save_array
from recsys.data.keys import key_of_bytes

UNKNOWN_CODE = 65_535
"""Store or channel code of an order whose store or channel is unknown."""


class HistoryArrays(NamedTuple):
    """The arrays of a history as kernels take them. Shapes and meaning: see `PurchaseHistory`."""

    order_time: npt.NDArray[np.int64]
    order_key: npt.NDArray[np.uint64]
    order_store: npt.NDArray[np.uint16]
    order_channel: npt.NDArray[np.uint16]
    line_start: npt.NDArray[np.uint32]
    line_product: npt.NDArray[np.int32]
    line_quantity: npt.NDArray[np.float32]
    line_amount: npt.NDArray[np.int64]
    line_discount: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class PurchaseHistory:
    """Transaction lines of all customers.

    An order is what one customer bought at one instant under one order id; it is a *purchase* when one of its lines has
    quantity > 0 (a refund alone is not). Orders are sorted by (customer, time, key), lines keep the order's sequence:
    sorted by (product, quantity, amount, discount), so that equal data gives equal arrays whatever order rows came in.

    order_start    int64  (n_customers + 1,)  customer i owns orders `order_start[i]:order_start[i + 1]`
    order_time     int64  (n_orders,)         [s since 1970 UTC]
    order_key      uint64 (n_orders,)         see `order_key`
    order_store    uint16 (n_orders,)         code into the snapshot's stores, UNKNOWN_CODE if not given
    order_channel  uint16 (n_orders,)         code into the snapshot's channels, UNKNOWN_CODE if not given
    line_start     uint32 (n_orders + 1,)     order o owns lines `line_start[o]:line_start[o + 1]`
    line_product   int32  (n_lines,)          index of the product, -1 if it is not in the catalogue
    line_quantity  float32 (n_lines,)         negative = return
    line_amount    int64  (n_lines,)          line total [minor units of the currency]
    line_discount  int32  (n_lines,)          discount given on the line, >= 0 [minor units]

    20 bytes a line, 24 an order, 8 a customer.
    """

    order_start: npt.NDArray[np.int64]
    order_time: npt.NDArray[np.int64]
    order_key: npt.NDArray[np.uint64]
    order_store: npt.NDArray[np.uint16]
    order_channel: npt.NDArray[np.uint16]
    line_start: npt.NDArray[np.uint32]
    line_product: npt.NDArray[np.int32]
    line_quantity: npt.NDArray[np.float32]
    line_amount: npt.NDArray[np.int64]
    line_discount: npt.NDArray[np.int32]

    @property
    def n_customers(self) -> int:
        """Number of customers."""
        return len(self.order_start) - 1

    @property
    def n_orders(self) -> int:
        """Number of orders."""
        return len(self.order_time)

    @property
    def n_lines(self) -> int:
        """Number of transaction lines."""
        return len(self.line_product)

    @property
    def mean_order(self) -> float:
        """Mean amount of an order, 0 without orders [minor units]."""
        return float(self.line_amount.sum()) / max(1, self.n_orders)

    def arrays(self) -> HistoryArrays:
        """The arrays as one named tuple for kernels."""
        return HistoryArrays(
            self.order_time,
            self.order_key,
            self.order_store,
            self.order_channel,
            self.line_start,
            self.line_product,
            self.line_quantity,
            self.line_amount,
            self.line_discount,
        )

    def span(self, customer: int) -> tuple[int, int]:
        """First and one-past-last order of a customer."""
        return int(self.order_start[customer]), int(self.order_start[customer + 1])

    def save(self, directory: Path) -> None:
        """Write one `.npy` an array."""
        for field in fields(self):
            save_array(directory / f"{field.name}.npy", getattr(self, field.name))

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Open what `save` wrote, memory-mapped."""
        return cls(**{field.name: load_array(directory / f"{field.name}.npy") for field in fields(cls)})

    @classmethod
    def empty(cls, n_customers: int = 0) -> Self:
        """A history without orders."""
        return cls(
            np.zeros(n_customers + 1, np.int64),
            np.zeros(0, np.int64),
            np.zeros(0, np.uint64),
            np.zeros(0, np.uint16),
            np.zeros(0, np.uint16),
            np.zeros(1, np.uint32),
            np.zeros(0, np.int32),
            np.zeros(0, np.float32),
            np.zeros(0, np.int64),
            np.zeros(0, np.int32),
        )


def order_key(customer_id: str, order: str) -> int:
    """64-bit key of an order of a customer, see `recsys.data.keys`.

    `order` is the order id; rows without one take `@<seconds>` of their instant, an event without one `!<event_id>`.
    """
    customer, name = customer_id.encode(), order.encode()
    return int(key_of_bytes(np.frombuffer(customer, np.uint8), np.frombuffer(name, np.uint8)))


@numba.njit(cache=True, nogil=True)
def visible_orders(order_time: Any, low: int, high: int, as_of: int) -> int:
    """One past the last order in `low:high` with time <= `as_of` (binary search; orders are sorted by time)."""
    while low < high:
        middle = (low + high) // 2
        if order_time[middle] <= as_of:
            low = middle + 1
        else:
            high = middle
    return low
