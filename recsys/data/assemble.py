"""Clean rows → Snapshot: codes ids, sorts lines by customer and time, groups them into orders, derives the items."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys.data.cataloguing import CatalogueRules, build_catalogue
from recsys.data.coding import LINE_COLUMNS, CodedLines, Coder, indices_in, recoded
from recsys.data.history import UNKNOWN_CODE, PurchaseHistory
from recsys.data.ids import IdMap
from recsys.data.snapshot import Snapshot, SnapshotFacts
from recsys.data.sorting import count_lines, count_orders, first_lines, place_lines, scatter, scatter_mapped, sort_lines
from recsys.errors import ImportRefused

__all__ = ["CatalogueRules", "assemble", "assemble_coded", "build_catalogue"]

MOST_LINES = 2**32 - 1


def assemble(
    lines: pl.DataFrame,
    facts: SnapshotFacts,
    products: pl.DataFrame | None = None,
    rules: CatalogueRules | None = None,
) -> Snapshot:
    """In-memory snapshot of clean tables.

    `lines` has the transaction columns of the contract, already clean: `customer_id`, `product_id`, `order_id`,
    `store_id`, `channel` str (the last three may be missing or null), `occurred_at` int64 [s UTC], `quantity` float,
    `amount` and `discount` int64 [minor units]. Equal rows in any order give an equal snapshot.

    Raises:
        ImportRefused: no line at all, or more stores, channels or lines than the layout holds.
    """
    coder = Coder()
    coder.add(lines)
    return assemble_coded(coder, facts, products, rules)


def assemble_coded(
    coder: Coder,
    facts: SnapshotFacts,
    products: pl.DataFrame | None = None,
    rules: CatalogueRules | None = None,
    threads: int = 2,
) -> Snapshot:
    """In-memory snapshot of what `coder` collected; its chunks are used up, so that lines are never held twice.

    Raises:
        ImportRefused: no line at all, or more lines than the layout holds.
    """
    _refuse_sizes(coder.n_lines)
    customers, customer_index = coder.customers.sorted_map()
    sold, sold_index = coder.products.sorted_map()
    catalogue = build_catalogue(list(sold), products, rules or CatalogueRules())
    product_index = indices_in(catalogue.products, pl.Series(list(sold), dtype=pl.String))[sold_index]
    stores, store_index = coder.stores.sorted_map()
    channels, channel_index = coder.channels.sorted_map()
    blocks = coder.hand_over()
    for block in blocks:
        block.store = recoded(block.store, store_index)
        block.channel = recoded(block.channel, channel_index)
    sorted_lines = _sorted_lines(blocks, customer_index, product_index, threads)
    history = _grouped(sorted_lines)
    stores, order_store = _used(stores, history.order_store)
    channels, order_channel = _used(channels, history.order_channel)
    history = replace(history, order_store=order_store, order_channel=order_channel)
    facts = replace(facts, as_of=int(history.order_time.max()))
    return Snapshot("memory", facts, customers, stores, channels, catalogue, history)


def _refuse_sizes(n_lines: int) -> None:
    if n_lines == 0:
        raise ImportRefused("No line to build a snapshot from", expected="at least one purchase")
    if n_lines > MOST_LINES:
        raise ImportRefused("Too many lines for one snapshot", found=n_lines, expected=f"at most {MOST_LINES}")


@dataclass(frozen=True, slots=True, eq=False)
class _SortedLines:
    """Lines sorted by customer and content; customer *i* owns `starts[i]:starts[i + 1]`."""

    starts: npt.NDArray[np.int64]
    columns: dict[str, npt.NDArray[Any]]


def _sorted_lines(
    chunks: list[CodedLines], customer_index: npt.NDArray[np.int32], product_index: npt.NDArray[np.int32], threads: int
) -> _SortedLines:
    """Counting sort by customer, a column at a time so that little is held twice, then each customer's lines."""
    counts = np.zeros(len(customer_index), np.int64)
    for chunk in chunks:
        count_lines(chunk.customer, customer_index, counts)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    cursor = starts[:-1].copy()
    for chunk in chunks:
        place_lines(chunk.customer, customer_index, cursor)
    columns = {
        name: _scattered(chunks, name, product_index if name == "product" else None) for name in LINE_COLUMNS[1:]
    }
    chunks.clear()
    _sort(starts, columns, threads)
    return _SortedLines(starts, columns)


def _scattered(chunks: list[CodedLines], name: str, index: npt.NDArray[np.int32] | None) -> npt.NDArray[Any]:
    """One column of all chunks at the places `customer` holds by now; the chunks' own is freed."""
    total = sum(len(chunk) for chunk in chunks)
    out = np.empty(total, getattr(chunks[0], name).dtype)
    for chunk in chunks:
        values = getattr(chunk, name)
        if index is None:
            scatter(chunk.customer, values, out)
        else:
            scatter_mapped(chunk.customer, values, index, out)
        setattr(chunk, name, None)
    return out


def _sort(starts: npt.NDArray[np.int64], columns: dict[str, npt.NDArray[Any]], threads: int) -> None:
    """Sort every customer's lines, customers shared out among `threads` by their number of lines."""
    lines = tuple(columns.values())
    shares = np.searchsorted(starts, np.linspace(0, starts[-1], threads + 1)[1:-1])
    bounds = [0, *(int(each) for each in shares), len(starts) - 1]
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda low, high: sort_lines(starts, low, high, lines), bounds[:-1], bounds[1:]):
            pass


def _grouped(lines: _SortedLines) -> PurchaseHistory:
    """Runs of one (customer, time, key) become orders; an order's store and channel are those of its first line."""
    columns = lines.columns
    time, key = columns.pop("time"), columns.pop("key")
    order_start = np.empty(len(lines.starts), np.int64)
    n_orders = count_orders(lines.starts, time, key, order_start)
    line_start = np.empty(n_orders + 1, np.uint32)
    first_lines(lines.starts, time, key, line_start)
    first = line_start[:-1]
    return PurchaseHistory(
        order_start=order_start,
        order_time=time[first],
        order_key=key[first],
        order_store=columns["store"][first],
        order_channel=columns["channel"][first],
        line_start=line_start,
        line_product=columns["product"],
        line_quantity=columns["quantity"],
        line_amount=columns["amount"],
        line_discount=columns["discount"],
    )


def _used(places: IdMap, codes: npt.NDArray[np.uint16]) -> tuple[IdMap, npt.NDArray[np.uint16]]:
    """Only the places some order has: those of an order's later lines are not kept."""
    used = np.unique(codes[codes != UNKNOWN_CODE])
    if len(used) == len(places):
        return places, codes
    index = np.full(len(places), UNKNOWN_CODE, np.int32)
    index[used] = np.arange(len(used))
    return places.subset(used), recoded(codes, index)
