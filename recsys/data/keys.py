"""Order keys: a 64-bit hash of a customer id and an order id, the same for one event and for fifty million rows.

FNV-1a (Fowler, Noll, Vo) over the UTF-8 bytes of both ids, each closed by the 64-bit finaliser of MurmurHash3, which
spreads the last bytes over the whole word and keeps ("ab", "c") apart from ("a", "bc"). It needs no secret: keys are
compared within one customer only.
"""

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import polars as pl

OFFSET = np.uint64(0xCBF29CE484222325)
PRIME = np.uint64(0x100000001B3)
MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
HALF = np.uint64(33)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def fed(state: Any, text: Any, low: int, high: int) -> Any:
    """FNV-1a state after the bytes `text[low:high]`."""
    for i in range(low, high):
        state = (state ^ np.uint64(text[i])) * PRIME
    return state


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _closed(state: Any) -> Any:
    """MurmurHash3's finaliser."""
    state = (state ^ (state >> HALF)) * MIX_1
    state = (state ^ (state >> HALF)) * MIX_2
    return state ^ (state >> HALF)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def opened(customer: Any) -> Any:
    """State after the UTF-8 bytes of a customer's id, uint8; all keys of the customer go on from it."""
    return _closed(fed(OFFSET, customer, 0, len(customer)))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def key_in(state: Any, text: Any, low: int, high: int) -> Any:
    """Key of the order with the UTF-8 name `text[low:high]` of the customer who left `state`."""
    return _closed(fed(state, text, low, high))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def key_of_bytes(customer: Any, order: Any) -> Any:
    """Key of one order from the UTF-8 bytes of both ids, uint8 arrays."""
    return key_in(opened(customer), order, 0, len(order))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _instant_text(seconds: int, digits: Any) -> int:
    """Write `@<seconds>` right-aligned into `digits` and return where it starts."""
    at = len(digits)
    rest = abs(seconds)
    while True:
        at -= 1
        digits[at] = 48 + rest % 10
        rest //= 10
        if rest == 0:
            break
    if seconds < 0:
        at -= 1
        digits[at] = 45
    at -= 1
    digits[at] = 64
    return at


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _keys(
    customer_bounds: Any, customer_text: Any, order_bounds: Any, order_text: Any, named: Any, seconds: Any, keys: Any
) -> None:
    digits = np.empty(24, np.uint8)
    for i in range(len(keys)):
        state = _closed(fed(OFFSET, customer_text, customer_bounds[i], customer_bounds[i + 1]))
        if named[i]:
            state = fed(state, order_text, order_bounds[i], order_bounds[i + 1])
        else:
            state = fed(state, digits, _instant_text(seconds[i], digits), len(digits))
        keys[i] = _closed(state)


def keys_of(customer: "pl.Series", order: "pl.Series | None", seconds: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Keys of many rows: of the order id, or of `@<seconds>` where it is null or `order` is None."""
    import polars as pl  # here: whoever answers requests loads this module, and no polars

    keys = np.empty(len(customer), np.uint64)
    if order is None:
        order = pl.Series([None], dtype=pl.String).new_from_index(0, len(customer))
    _keys(*text_buffers(customer), *text_buffers(order), order.is_not_null().to_numpy(), seconds, keys)
    return keys


def text_buffers(texts: "pl.Series") -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Offsets int64 (n + 1,) and UTF-8 bytes of a column of texts; a null is empty."""
    import pyarrow as pa

    array = texts.fill_null("").rechunk().to_arrow().cast(pa.large_string())
    _, bounds, content = array.buffers()
    offsets = np.frombuffer(bounds, np.int64)[array.offset : array.offset + len(array) + 1] if len(array) else EMPTY
    return offsets, np.frombuffer(content, np.uint8) if content is not None else np.zeros(0, np.uint8)


EMPTY = np.zeros(1, np.int64)
