"""Tail: what a customer did since the snapshot, laid over its rows so that kernels see one sorted history."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from recsys.data.history import HistoryArrays, order_key, visible_orders
from recsys.data.ids import ABSENT
from recsys.data.laying import BASKET, BOUGHT, LINE, NONE, ORDER, REFUNDED, laid_over
from recsys.data.snapshot import Snapshot


class EventLine(Struct, frozen=True, gc=False):
    """One line of a purchase or refund. `quantity` < 0 is a return; `amount`, `discount` in minor units."""

    product_id: str
    quantity: float = 1.0
    amount: int = 0
    discount: int = 0


class OrderEvent(Struct, frozen=True, gc=False):
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


class OrderRow(NamedTuple):
    """An `OrderEvent` of a customer who is named elsewhere; `lines` are the fields of an `EventLine`."""

    event_id: str
    occurred_at: int
    order_id: str | None
    store_id: str | None
    channel: str | None
    refund: bool
    lines: Iterable[tuple[str, float, int, int]]


class PackedOrders(Sequence[OrderEvent]):
    """Orders of one customer as the kernel reads them, see `laid_over`: packed once, read for many answers."""

    __slots__ = ("customer", "numbers", "quantity", "size", "text")

    def __init__(self, customer_id: str, rows: Iterable[OrderRow]) -> None:
        texts: list[bytes] = []
        numbers: list[int] = []
        quantities: list[float] = []
        self.size = 0
        for event_id, occurred_at, order_id, store_id, channel, refund, lines in rows:
            self.size += 1
            numbers += (occurred_at, REFUNDED if refund else BOUGHT)
            _pack_order((event_id, order_id, store_id, channel), lines, texts, numbers, quantities)
        self.customer = _bytes_array(customer_id.encode())
        self._keep(texts, numbers, quantities)

    @classmethod
    def of(cls, events: Sequence[OrderEvent]) -> "PackedOrders":
        """Events of one customer."""
        return events if isinstance(events, cls) else cls(events[0].customer_id if events else "", map(_row, events))

    def with_basket(self, basket: Sequence[EventLine], as_of: int) -> "PackedOrders":
        """These orders, and lines that count as bought at `as_of` [s]."""
        texts, numbers, quantities = [self.text.tobytes()], self.numbers.tolist(), self.quantity.tolist()
        numbers += (as_of, BASKET)
        _pack_order(("", None, None, None), map(_fields, basket), texts, numbers, quantities)
        whole = PackedOrders("", ())
        whole.customer, whole.size = self.customer, self.size + 1
        whole._keep(texts, numbers, quantities)
        return whole

    def _keep(self, texts: list[bytes], numbers: list[int], quantities: list[float]) -> None:
        self.text = _bytes_array(b"".join(texts))
        self.numbers, self.quantity = np.array(numbers, np.int64), np.array(quantities, np.float64)

    @property
    def nbytes(self) -> int:
        """What it holds [bytes]."""
        return self.text.nbytes + self.numbers.nbytes + self.quantity.nbytes + self.customer.nbytes

    @property
    def content(self) -> bytes:
        """All that it says of the orders; equal for equal ones in the same sequence."""
        return self.text.tobytes() + self.numbers.tobytes() + self.quantity.tobytes()

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> OrderEvent: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[OrderEvent]: ...

    def __getitem__(self, index: int | slice) -> OrderEvent | Sequence[OrderEvent]:
        return tuple(self)[index]

    def __iter__(self) -> Iterator[OrderEvent]:
        text, numbers, quantities = self.text.tobytes(), iter(self.numbers.tolist()), iter(self.quantity.tolist())
        customer_id, char = self.customer.tobytes().decode(), 0

        def told(length: int) -> str | None:
            """The text that follows the ones told, of so many bytes; None where none was given."""
            nonlocal char
            if length == NONE:
                return None
            char += length
            return text[char - length : char].decode()

        for at in numbers:
            sort, *lengths, count = islice(numbers, ORDER - 1)
            event_id, order_id, store_id, channel = map(told, lengths)
            lines = tuple(
                EventLine(str(told(next(numbers))), quantity, next(numbers), next(numbers))
                for quantity in islice(quantities, count)
            )
            yield OrderEvent(str(event_id), customer_id, at, lines, order_id, store_id, channel, sort == REFUNDED)


def _pack_order(
    names: Sequence[str | None],
    lines: Iterable[tuple[str, float, int, int]],
    texts: list[bytes],
    numbers: list[int],
    quantities: list[float],
) -> None:
    """One order after its instant and sort, as `laid_over` reads it."""
    for name in names:
        if name is None:
            numbers.append(NONE)
        else:
            encoded = name.encode()
            texts.append(encoded)
            numbers.append(len(encoded))
    place = len(numbers)
    numbers.append(0)
    for product_id, quantity, amount, discount in lines:
        encoded = product_id.encode()
        texts.append(encoded)
        numbers += (len(encoded), amount, discount)
        quantities.append(quantity)
    numbers[place] = (len(numbers) - place) // LINE


def _row(event: OrderEvent) -> OrderRow:
    names = (event.order_id, event.store_id, event.channel)
    return OrderRow(event.event_id, event.occurred_at, *names, event.refund, map(_fields, event.lines))


def _fields(line: EventLine) -> tuple[str, float, int, int]:
    return line.product_id, line.quantity, line.amount, line.discount


def _bytes_array(text: bytes) -> npt.NDArray[np.uint8]:
    """As an array that may be written, so that all of them are of one type to kernels."""
    return np.frombuffer(bytearray(text), np.uint8)


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
    packed = PackedOrders.of(events)
    if basket:
        packed = packed.with_basket(basket, as_of)
    products, stores, channels = snapshot.catalogue.products, snapshot.stores, snapshot.channels
    merged: HistoryArrays = laid_over(
        arrays,
        low,
        high,
        as_of,
        packed.customer,
        packed.text,
        packed.numbers,
        packed.quantity,
        (products.offsets, products.blob),
        (stores.offsets, stores.blob),
        (channels.offsets, channels.blob),
    )
    return CustomerRows(merged, 0, len(merged.order_time), as_of)
