"""A new import over what is there: append, correct, replace a period, fold in the orders the service was told of."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from recsys.data import columns as c
from recsys.data.assemble import assemble, assemble_coded
from recsys.data.cataloguing import CatalogueRules
from recsys.data.coding import KEY, CodedLines, Coder, IdCodes, indices_in
from recsys.data.history import UNKNOWN_CODE
from recsys.data.ids import IdMap
from recsys.data.snapshot import Snapshot
from recsys.data.tail import OrderEvent
from recsys.errors import ImportRefused

PRODUCTS_FILE = "products.parquet"
CUSTOMERS_FILE = "customers.parquet"
IMPORT_FILE = "import.json"
MOST_DIFFERENCES = 100

PRODUCTS_ARE_ITEMS = CatalogueRules()

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """Imported data: a snapshot, its products and customers tables (None: never given) and how items are made."""

    snapshot: Snapshot
    products: pl.DataFrame | None = None
    customers: pl.DataFrame | None = None
    rules: CatalogueRules = PRODUCTS_ARE_ITEMS


def open_base(directory: Path) -> Base:
    """What an earlier import saved in a snapshot's directory.

    Raises:
        SnapshotError: there is none.
    """
    snapshot = Snapshot.open(directory)
    facts = json.loads(path.read_text()) if (path := directory / IMPORT_FILE).is_file() else {}
    rules = facts.get("rules") or {
        "levels": snapshot.catalogue.levels,
        "item_level": snapshot.catalogue.item_level,
        "not_offerable": {},
    }
    banned = {level: tuple(patterns) for level, patterns in (rules["not_offerable"] or {}).items()}
    return Base(
        snapshot,
        read_table(directory, PRODUCTS_FILE),
        read_table(directory, CUSTOMERS_FILE),
        CatalogueRules(tuple(rules["levels"]), rules["item_level"], banned),
    )


def read_table(directory: Path, name: str) -> pl.DataFrame | None:
    """A table saved with a snapshot, None where there is none."""
    path = directory / name
    return pl.read_parquet(path) if path.is_file() else None


def rules_as_dict(rules: CatalogueRules) -> dict[str, Any]:
    """For import.json."""
    return asdict(rules)


def updated(old: pl.DataFrame | None, new: pl.DataFrame | None, column: str) -> pl.DataFrame | None:
    """Rows of `new`, and those of `old` whose id is not among them; columns of both."""
    if old is None or new is None:
        return new if old is None else old
    kept = old.join(new, on=column, how="anti")
    return pl.concat([new, kept], how="diagonal_relaxed").sort(column)


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Orders of `old` and `new` that are the same: one customer, one key. Arrays of one length, indices of orders."""

    old: npt.NDArray[np.int64]
    new: npt.NDArray[np.int64]


def matches(old: Snapshot, new: Snapshot) -> Matches:
    """Pairs of orders with the same customer and key."""
    customer = indices_in(old.customers, pl.Series(list(new.customers), dtype=pl.String))
    left = pl.DataFrame({"customer": owners(old), "key": old.history.order_key}).with_row_index("old")
    right = pl.DataFrame({"customer": customer[owners(new)], "key": new.history.order_key}).with_row_index("new")
    pairs = right.join(left, on=["customer", "key"], how="inner").sort("new", "old")
    return Matches(pairs["old"].cast(pl.Int64).to_numpy(), pairs["new"].cast(pl.Int64).to_numpy())


def owners(snapshot: Snapshot) -> npt.NDArray[np.int32]:
    """Customer of each order, (n_orders,)."""
    history = snapshot.history
    counts = history.order_start[1:] - history.order_start[:-1]
    return np.repeat(np.arange(history.n_customers, dtype=np.int32), counts)


def order_totals(snapshot: Snapshot) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Lines and amount [minor units] of each order, two arrays (n_orders,)."""
    history = snapshot.history
    amounts = np.concatenate([[0], np.cumsum(history.line_amount)])
    bounds = history.line_start.astype(np.int64)
    return bounds[1:] - bounds[:-1], amounts[bounds[1:]] - amounts[bounds[:-1]]


def same_orders(old: Snapshot, new: Snapshot, pairs: Matches) -> Mask:
    """Which pairs agree in instant and lines.

    Products are sorted by id in both snapshots, so that lines of equal orders stand in the same sequence.
    """
    codes = indices_in(old.catalogue.products, pl.Series(list(new.catalogue.products), dtype=pl.String))
    same = np.empty(len(pairs.old), np.bool_)
    _compare(old.history.arrays(), new.history.arrays(), codes, pairs.old, pairs.new, same)
    return same


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _compare(old: Any, new: Any, codes: Any, old_orders: Any, new_orders: Any, same: Any) -> None:
    for pair in range(len(same)):
        first, second = old_orders[pair], new_orders[pair]
        low, start = np.int64(old.line_start[first]), np.int64(new.line_start[second])
        count = np.int64(old.line_start[first + 1]) - low
        equal = old.order_time[first] == new.order_time[second]
        equal = equal and np.int64(new.line_start[second + 1]) - start == count
        line = 0
        while equal and line < count:
            a, b = low + line, start + line
            equal = old.line_product[a] == codes[new.line_product[b]] and old.line_quantity[a] == new.line_quantity[b]
            equal = equal and old.line_amount[a] == new.line_amount[b] and old.line_discount[a] == new.line_discount[b]
            line += 1
        same[pair] = equal


def joined(parts: Sequence[tuple[Snapshot, Mask | None]], base: Base) -> Snapshot:
    """One snapshot of the kept orders of several (None keeps all); catalogue and facts are those of `base`.

    Raises:
        ImportRefused: nothing is left.
    """
    coder = Coder()
    for snapshot, kept in parts:
        _add_orders(coder, snapshot, np.ones(snapshot.history.n_orders, np.bool_) if kept is None else kept)
    return assemble_coded(coder, base.snapshot.facts, base.products, base.rules)


def _add_orders(coder: Coder, snapshot: Snapshot, kept: Mask) -> None:
    history = snapshot.history
    counts = order_totals(snapshot)[0]
    lines = np.repeat(kept, counts)
    counts = counts[kept]
    coder.keep(
        CodedLines(
            customer=np.repeat(_codes(coder.customers, snapshot.customers, owners(snapshot)[kept]), counts),
            time=np.repeat(history.order_time[kept], counts),
            key=np.repeat(history.order_key[kept], counts),
            product=_codes(coder.products, snapshot.catalogue.products, history.line_product[lines]).astype(np.int32),
            quantity=history.line_quantity[lines],
            amount=history.line_amount[lines],
            discount=history.line_discount[lines],
            store=np.repeat(_places(coder.stores, snapshot.stores, history.order_store[kept]), counts),
            channel=np.repeat(_places(coder.channels, snapshot.channels, history.order_channel[kept]), counts),
        )
    )


def _codes(codes: IdCodes, ids: IdMap, indices: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    """Codes of the ids at `indices`; ids no row uses get none."""
    used = np.unique(indices)
    table = np.zeros(len(ids) + 1, np.uint32)
    table[used] = codes.codes(pl.Series(list(ids.subset(used)), dtype=pl.String)).to_numpy()
    coded: npt.NDArray[np.uint32] = table[indices]
    return coded


def _places(codes: IdCodes, ids: IdMap, indices: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    table = np.full(UNKNOWN_CODE + 1, UNKNOWN_CODE, np.uint16)
    table[: len(ids)] = codes.codes(pl.Series(list(ids), dtype=pl.String)).to_numpy()
    return table[indices]


def appended(old: Base, new: Base) -> tuple[Snapshot, dict[str, int]]:
    """All orders of both; an order already there with the same lines is not added again.

    Raises:
        ImportRefused: an order is already there with other lines.
    """
    pairs = matches(old.snapshot, new.snapshot)
    same = same_orders(old.snapshot, new.snapshot, pairs)
    if not same.all():
        raise ImportRefused(
            "Orders of the source are already there with other lines or at another instant",
            found=f"{len(np.unique(pairs.new[~same]))} orders",
            expected="new orders, or the same ones",
            cure="Use `--mode correct` to replace orders that are already there",
        )
    fresh = _without(new.snapshot, pairs.new)
    counts = {"orders_already_there": int((~fresh).sum()), "orders_added": int(fresh.sum())}
    return joined([(old.snapshot, None), (new.snapshot, fresh)], new), counts


def corrected(old: Base, new: Base) -> tuple[Snapshot, dict[str, int]]:
    """All orders of `new`, and those of `old` that `new` does not have."""
    pairs = matches(old.snapshot, new.snapshot)
    kept = _without(old.snapshot, pairs.old)
    replaced = len(np.unique(pairs.new))
    counts = {"orders_corrected": replaced, "orders_added": new.snapshot.history.n_orders - replaced}
    return joined([(old.snapshot, kept), (new.snapshot, None)], new), counts


def period_replaced(old: Base, new: Base, start: int, stop: int) -> tuple[Snapshot, dict[str, int]]:
    """Orders of `old` outside `start <= t < stop` [s], and all of `new`.

    Raises:
        ImportRefused: `new` has orders outside the period.
    """
    times = new.snapshot.history.order_time
    outside = int(((times < start) | (times >= stop)).sum())
    if outside:
        raise ImportRefused(
            "The source has orders outside the period to be replaced",
            found=f"{outside} orders",
            expected="only orders from `--from` up to, not including, `--until`",
            cure="Widen the period or cut the source",
        )
    times = old.snapshot.history.order_time
    kept = (times < start) | (times >= stop)
    counts = {"orders_removed": int((~kept).sum()), "orders_added": new.snapshot.history.n_orders}
    return joined([(old.snapshot, kept), (new.snapshot, None)], new), counts


def folded_in(base: Base, events: Sequence[OrderEvent]) -> tuple[Snapshot, dict[str, int], list[dict[str, Any]]]:
    """Orders of `base`, and those of `events` it does not have; where both have an order, `base` wins.

    Also counts, and the first hundred orders whose amount or number of lines differ.
    """
    told = _snapshot_of(base, events)
    if told is None:
        return base.snapshot, {"events_folded": 0, "events_in_source": 0, "events_differing": 0}, []
    pairs = matches(base.snapshot, told)
    differing = _differences(base.snapshot, told, pairs)
    fresh = _without(told, pairs.new)
    counts = {
        "events_folded": int(fresh.sum()),
        "events_in_source": int((~fresh).sum()),
        "events_differing": len(differing),
    }
    snapshot = joined([(base.snapshot, None), (told, fresh)], base) if fresh.any() else base.snapshot
    return snapshot, counts, differing[:MOST_DIFFERENCES]


def _snapshot_of(base: Base, events: Sequence[OrderEvent]) -> Snapshot | None:
    """The events as a snapshot of their own; of several with one key the first counts."""
    rows, seen = [], set()
    for event in events:
        identity = (event.customer_id, event.key())
        if identity not in seen:
            seen.add(identity)
            rows += _rows(event, identity[1])
    if not rows:
        return None
    return assemble(pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row"), base.snapshot.facts)


EVENT_SCHEMA: dict[str, Any] = {
    c.CUSTOMER: pl.String,
    c.TIME: pl.Int64,
    KEY: pl.UInt64,
    c.STORE: pl.String,
    c.CHANNEL: pl.String,
    c.PRODUCT: pl.String,
    c.QUANTITY: pl.Float64,
    c.AMOUNT: pl.Int64,
    c.DISCOUNT: pl.Int64,
}


def _rows(event: OrderEvent, key: int) -> list[tuple[Any, ...]]:
    order = (event.customer_id, event.occurred_at, key, event.store_id, event.channel)
    return [(*order, line.product_id, line.quantity, line.amount, line.discount) for line in event.lines]


def _differences(base: Snapshot, told: Snapshot, pairs: Matches) -> list[dict[str, Any]]:
    lines, amounts = order_totals(base)
    told_lines, told_amounts = order_totals(told)
    differ = (lines[pairs.old] != told_lines[pairs.new]) | (amounts[pairs.old] != told_amounts[pairs.new])
    owner = owners(base)
    return [
        {
            "customer_id": base.customers[int(owner[old])],
            "occurred_at": int(base.history.order_time[old]),
            "source": {"lines": int(lines[old]), "amount": int(amounts[old])},
            "event": {"lines": int(told_lines[new]), "amount": int(told_amounts[new])},
        }
        for old, new in zip(pairs.old[differ], pairs.new[differ], strict=True)
    ]


def _without(snapshot: Snapshot, orders: npt.NDArray[np.int64]) -> Mask:
    kept = np.ones(snapshot.history.n_orders, np.bool_)
    kept[orders] = False
    return kept


def refuse_other_facts(old: Base, new: Base) -> None:
    """Amounts of two currencies or days of two time zones can't be laid side by side.

    Raises:
        ImportRefused: currency, minor digits or time zone differ.
    """
    for name in ("currency", "minor_digits", "timezone"):
        before, now = getattr(old.snapshot.facts, name), getattr(new.snapshot.facts, name)
        if before != now:
            raise ImportRefused(
                f"[business] {name} is not that of the data already there",
                found=now,
                expected=repr(before),
                cure="Use the same [business] section, or `--mode replace`",
            )


def with_snapshot(base: Base, snapshot: Snapshot) -> Base:
    """`base` with another snapshot."""
    return replace(base, snapshot=snapshot)
