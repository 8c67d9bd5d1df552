"""From a customer's rows to a ranking table: candidates, their sources and features, in one kernel."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba.experimental import structref

from recsys.data.catalogue import Catalogue
from recsys.data.history import HistoryArrays, visible_orders
from recsys.data.snapshot import Snapshot
from recsys.decisioning.candidates import MIXED, candidates
from recsys.features.pairs import N_PAIR_FEATURES, pair_rows
from recsys.features.personal import clean, own_items, point_to_items
from recsys.features.state import CatalogueArrays, Scratch, new_scratch
from recsys.population.facts import Population, PopulationArrays

LIMIT = 200
"""Candidates ranked for one answer."""


def catalogue_arrays(catalogue: Catalogue) -> CatalogueArrays:
    """The catalogue's arrays as kernels take them."""
    return CatalogueArrays(catalogue.product_item, catalogue.item_family, catalogue.item_group)


def scratch_for(catalogue: Catalogue) -> Scratch:
    """Working memory of one thread for this catalogue."""
    return new_scratch(catalogue.n_items, len(catalogue.families), len(catalogue.groups))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def gather(
    h: HistoryArrays,
    low: int,
    high: int,
    as_of: int,
    cat: CatalogueArrays,
    population: PopulationArrays,
    allowed: Any,
    scratch: Scratch,
    named: Any,
    mode: int,
    items: Any,
    marks: Any,
    known: Any,
    X: Any,
) -> Any:
    """Candidates of the customer with the visible orders `low:high`; returns their number n.

    Fills `items` int64, `marks` uint16 (sources), `known` uint8 (1: bought before), all (limit,), and `X` float32
    (limit, N_PAIR_FEATURES). `allowed` uint8 (n_items,), `named` int64 (2, k): see `candidates`. What
    stands beyond n is left to chance.
    """
    own = own_items(h, low, high, as_of, cat, scratch)
    point_to_items(own, cat, population, scratch)
    n = candidates(own, population, allowed, scratch, named, mode, len(items), items, marks)
    pair_rows(own, as_of, cat, population, scratch, items, n, X)
    for k in range(n):
        known[k] = scratch.slot[items[k]] >= 0
    clean(own, cat, scratch)
    return n


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _gather_many(
    h: HistoryArrays,
    order_start: Any,
    customers: Any,
    as_of: int,
    cat: CatalogueArrays,
    population: PopulationArrays,
    allowed: Any,
    scratch: Scratch,
    mode: int,
    items: Any,
    marks: Any,
    known: Any,
    X: Any,
    counts: Any,
) -> None:
    named = np.zeros((2, 0), np.int64)
    for k in range(len(customers)):
        low, high = order_start[customers[k]], order_start[customers[k] + 1]
        high = visible_orders(h.order_time, low, high, as_of)
        counts[k] = gather(
            h, low, high, as_of, cat, population, allowed, scratch, named, mode, items[k], marks[k], known[k], X[k]
        )


@structref.register
class _BenchType(numba.types.StructRef):
    """Type of a `Bench` for kernels."""


class Bench(structref.StructRefProxy):
    """Catalogue, population and working memory of one thread behind one reference.

    Their 65 arrays one by one cost 12 µs a call, a reference none.
    """


structref.define_proxy(Bench, _BenchType, ["cat", "population", "scratch"])


@numba.njit(cache=True)
def bench(cat: CatalogueArrays, population: PopulationArrays, scratch: Scratch) -> Any:
    """What `gather_at` works with; made once a thread."""
    return Bench(cat, population, scratch)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def gather_at(
    bench: Any,
    h: HistoryArrays,
    low: int,
    high: int,
    as_of: int,
    allowed: Any,
    named: Any,
    mode: int,
    items: Any,
    marks: Any,
    known: Any,
    X: Any,
) -> Any:
    """`gather` with what is on a `Bench`: the form for single requests."""
    cat, population, scratch = bench.cat, bench.population, bench.scratch
    return gather(h, low, high, as_of, cat, population, allowed, scratch, named, mode, items, marks, known, X)


@dataclass(frozen=True, slots=True, eq=False)
class OffersTable:
    """Candidates of many customers, row by row.

    X float32 (n_rows, N_PAIR_FEATURES); customer int32 (position in what was asked for), item int32, known bool
    (bought before), sources uint16; all (n_rows,).
    """

    X: npt.NDArray[np.float32]
    customer: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    known: npt.NDArray[np.bool_]
    sources: npt.NDArray[np.uint16]


def offers_table(
    snapshot: Snapshot,
    population: Population,
    as_of: int,
    customers: npt.NDArray[np.integer],
    *,
    mode: int = MIXED,
    limit: int = LIMIT,
    threads: int = 1,
    chunk: int = 1_000,
    keep: Any = None,
) -> OffersTable:
    """Candidates and features of the customers with the indices `customers` of `snapshot` at `as_of` [s].

    Rows stand in the order of `customers`. `keep(customer positions, items, known) -> bool mask` thins rows chunk by
    chunk, so that memory stays bounded by what is kept. The same kernel answers requests.
    """
    starts = range(0, len(customers), chunk)
    allowed = snapshot.catalogue.offerable.astype(np.uint8)

    def part(start: int) -> OffersTable:
        chosen = np.asarray(customers[start : start + chunk], np.int64)
        table = _chunk(snapshot, population, as_of, chosen, allowed, mode, limit)
        table = OffersTable(table.X, (table.customer + start).astype(np.int32), table.item, table.known, table.sources)
        return table if keep is None else _masked(table, keep(table.customer, table.item, table.known))

    with ThreadPoolExecutor(max(1, threads)) as pool:
        parts = list(pool.map(part, starts))
    if not parts:
        return _chunk(snapshot, population, as_of, np.zeros(0, np.int64), allowed, mode, limit)
    return OffersTable(*(np.concatenate([getattr(each, name) for each in parts]) for name in OffersTable.__slots__))


def _masked(table: OffersTable, mask: npt.NDArray[np.bool_]) -> OffersTable:
    return OffersTable(*(getattr(table, name)[mask] for name in OffersTable.__slots__))


def _chunk(
    snapshot: Snapshot,
    population: Population,
    as_of: int,
    customers: npt.NDArray[np.int64],
    allowed: npt.NDArray[np.uint8],
    mode: int,
    limit: int,
) -> OffersTable:
    n = len(customers)
    items, marks = np.full((n, limit), -1, np.int64), np.zeros((n, limit), np.uint16)
    known, counts = np.zeros((n, limit), np.uint8), np.zeros(n, np.int64)
    X = np.empty((n, limit, N_PAIR_FEATURES), np.float32)
    _gather_many(
        snapshot.history.arrays(),
        snapshot.history.order_start,
        customers,
        as_of,
        catalogue_arrays(snapshot.catalogue),
        population.arrays,
        allowed,
        scratch_for(snapshot.catalogue),
        mode,
        items,
        marks,
        known,
        X,
        counts,
    )
    used = np.arange(limit) < counts[:, None]
    owner = np.repeat(np.arange(n, dtype=np.int32), counts)
    return OffersTable(X[used], owner, items[used].astype(np.int32), known[used].astype(np.bool_), marks[used])
