"""Orders of customers asked about lately, as they were packed, so that the next answer need not read them again."""

from threading import Lock
from typing import NamedTuple

from recsys.data.tail import PackedOrders

MOST_BYTES = 8_000_000
"""What is kept at most, in each process: of some 2,800 customers with a dozen newer orders each."""

OVERHEAD = 1_000
"""What keeping one customer takes beside the packed orders [bytes]."""


class Remembered(NamedTuple):
    """How often orders were still remembered and how often they had to be read; what is remembered takes [bytes]."""

    hits: int = 0
    misses: int = 0
    nbytes: int = 0


class Lately:
    """Packed orders by customer, those read longest ago forgotten first.

    Who asks says how many orders there are and which came last. Events are only ever added, each with a higher sequence
    number than all before, or removed all together, so equal numbers mean the same orders. `round` counts the readings
    of tombstones that came in between.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._bytes, self._lock = most_bytes, 0, Lock()
        self._asked = self._missed = 0
        self._kept: dict[str, tuple[int, PackedOrders]] = {}
        self.round = 0

    def find(self, customer_id: str, newest: int, count: int) -> PackedOrders | None:
        """Orders of a customer of whom `count` are kept, the last with the sequence number `newest`."""
        self._asked += 1
        found = self._kept.get(customer_id)
        if found is None or found[0] != newest or len(found[1]) != count:
            self._missed += 1
            return None
        return found[1]

    def tally(self) -> Remembered:
        """How often it was asked so far, and what it takes."""
        missed = self._missed
        return Remembered(max(0, self._asked - missed), missed, self._bytes)

    def keep(self, customer_id: str, newest: int, orders: PackedOrders, asked: int | None = None) -> None:
        """Remember what was read, unless somebody was erased since the round it was `asked` for in."""
        with self._lock:
            if asked not in (None, self.round):
                return
            self._drop(customer_id)
            self._kept[customer_id] = newest, orders
            self._bytes += orders.nbytes + OVERHEAD
            while self._bytes > self._most:
                self._drop(next(iter(self._kept)))

    def forget(self, customer_id: str | None = None) -> None:
        """Forget a customer, or all."""
        with self._lock:
            for each in [*self._kept] if customer_id is None else [customer_id]:
                self._drop(each)

    def begin_round(self) -> None:
        """Somebody was erased: what is being read now may be of before, and is not kept."""
        with self._lock:
            self.round += 1

    def customers(self) -> list[str]:
        """Of whom orders are remembered."""
        with self._lock:
            return [*self._kept]

    def _drop(self, customer_id: str) -> None:
        found = self._kept.pop(customer_id, None)
        if found is not None:
            self._bytes -= found[1].nbytes + OVERHEAD

    def __contains__(self, customer_id: str) -> bool:
        return customer_id in self._kept
