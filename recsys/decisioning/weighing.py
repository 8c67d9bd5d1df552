"""One customer weighed in one compiled call: newer orders laid over, features, churn, value, and what worth needs.

Each call of a kernel from Python costs as much as a kernel, and each array it is given a fifth of a microsecond; so all
of a snapshot and its models stands behind one reference, and the numbers of an answer come back in one array.
"""

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba.experimental import structref

from recsys.data.history import HistoryArrays, visible_orders
from recsys.data.laying import laid_over
from recsys.data.tail import PackedOrders
from recsys.decisioning import places as p
from recsys.decisioning.books import YEAR, historic
from recsys.decisioning.serving import Serving
from recsys.decisioning.worth import flow_of, kept_exponent, settle, stranger_cost
from recsys.features.customer import CUSTOMER_FEATURES, N_FEATURES, customer_row, other_horizon
from recsys.features.orders import days_of, item_scratch
from recsys.features.timing import growth_of, next_after
from recsys.models.churn import ChurnModel, churn_tables, probability_row
from recsys.models.predictive import PROBABILITIES
from recsys.models.value import ValueModel, carrying, foretold_ends, foretold_row, row_tables
from recsys.population.timing import WINDOW

ALIVE = CUSTOMER_FEATURES.index("pareto_alive")


@structref.register
class _ScalesType(numba.types.StructRef):
    """Type of `Scales` for kernels."""


class Scales(structref.StructRefProxy):
    """All that one thread weighs customers with, behind one reference.

    history, start    the snapshot's orders, and where those of each customer begin
    products, stores, channels   (offsets, blob) of the snapshot's ids
    product_item, zone, base, timing, unit_cost, acquisition   as in `Serving` and its books
    terms             float64 (N_TERMS,), see `recsys.decisioning.places`
    items             from `item_scratch`
    churn, value      `ChurnTables`, `RowTables`
    rows, numbers     where the feature rows float32 (2, N_FEATURES) and the numbers float64 (N_NUMBERS,) go
    """


structref.define_proxy(
    Scales,
    _ScalesType,
    [
        "history",
        "start",
        "products",
        "stores",
        "channels",
        "product_item",
        "zone",
        "base",
        "timing",
        "unit_cost",
        "acquisition",
        "terms",
        "items",
        "churn",
        "value",
        "rows",
        "numbers",
    ],
)


@numba.njit(cache=True)
def _scales(*parts: Any) -> Any:
    """`Scales` of its parts, in their sequence; made once a thread."""
    return Scales(*parts)


@dataclass(frozen=True, slots=True, eq=False)
class Weighing:
    """`Scales` of one thread with what they were made for; each call overwrites `rows` and `numbers`.

    made_for  population, books and models
    rows   float32 (2, N_FEATURES)  the feature row of the churn model, that of the value model
    """

    made_for: tuple[Any, ...]
    scales: Scales
    rows: npt.NDArray[np.float32]
    numbers: npt.NDArray[np.float64]

    @classmethod
    def of(cls, serving: Serving) -> "Weighing":
        """That of the calling thread."""
        found: Weighing | None = getattr(serving.threads, "weighing", None)
        if found is None or not found._fits(serving):
            found = serving.threads.weighing = _new(serving)
        return found

    def _fits(self, serving: Serving) -> bool:
        """Whether it was made for the very parts of `serving`; copies with other models share their threads."""
        population, books, churn, value = self.made_for
        same = population is serving.population and books is serving.books
        return same and churn is serving.churn and value is serving.value

    def weigh(self, customer: int, as_of: int, newer: PackedOrders) -> list[float]:
        """The numbers of the customer at index `customer` (negative: not imported) at `as_of` [s]."""
        _weigh(self.scales, customer, as_of, newer.customer, newer.text, newer.numbers, newer.quantity)
        self._ask_others(customer)
        numbers: list[float] = self.numbers.tolist()
        return numbers

    def _ask_others(self, customer: int) -> None:
        """Set what models tell that the kernel is not made for."""
        _, _, churn, value = self.made_for
        if churn is not None and churn.tables is None:
            self.numbers[p.CHURN] = churn.probability_one(self.rows[0])
        if value is not None and value.tables is None:
            told = value.foretold_one(self.rows[1])
            unknown = [math.nan] * len(PROBABILITIES)
            quantiles = *(told.counts or unknown), *(told.amounts or unknown)
            self.numbers[p.TOLD : p.SPEND] = told.spend, told.orders, *quantiles, told.low, told.high
            _settle(self.scales, customer)


def _new(serving: Serving) -> Weighing:
    snapshot, facts = serving.snapshot, serving.population.arrays
    rows, numbers = np.zeros((2, N_FEATURES), np.float32), np.zeros(p.N_NUMBERS)
    made_for = serving.population, serving.books, serving.churn, serving.value
    scales = _scales(
        snapshot.history.arrays(),
        snapshot.history.order_start,
        *((ids.offsets, ids.blob) for ids in (snapshot.catalogue.products, snapshot.stores, snapshot.channels)),
        serving.cat.product_item,
        serving.zone,
        facts.base,
        facts.timing,
        serving.books.unit_cost,
        serving.books.acquisition,
        _terms(serving),
        item_scratch(snapshot.catalogue.n_items),
        _tables(serving.churn) or churn_tables(None),
        _tables(serving.value) or row_tables(None),
        rows,
        numbers,
    )
    return Weighing(made_for, scales, rows, numbers)


def _tables(model: ChurnModel | ValueModel | None) -> Any:
    return None if model is None else model.tables


def _terms(serving: Serving) -> npt.NDArray[np.float64]:
    """`terms` of `Scales`; a model that is missing has the other one's horizon, both a year's."""
    value = serving.value.horizon_days if serving.value else YEAR
    churn = serving.churn.horizon_days if serving.churn else value
    books, exponent = serving.books, serving.value.growth_exponent if serving.value else 0.0
    days = float(books.costs.value_days)
    terms = np.zeros(p.N_TERMS)
    terms[[p.CHURN_DAYS, p.VALUE_DAYS, p.WORTH_DAYS]] = churn, value, days
    terms[[p.DAILY, p.MINOR]] = books.costs.daily_rate, 10**serving.snapshot.facts.minor_digits
    terms[p.HAS_COSTS] = np.isfinite(books.unit_cost).any()
    terms[p.HAS_CHURN] = _tables(serving.churn) is not None
    terms[p.HAS_VALUE] = _tables(serving.value) is not None
    terms[[p.USUAL, p.SHARE, p.STRANGER_COST]] = books.usual, books.margin, stranger_cost(serving)
    terms[[p.YEAR_TIMES, p.YEAR_MOST]] = carrying(exponent, float(value), YEAR)
    terms[[p.WORTH_TIMES, p.WORTH_MOST]] = carrying(kept_exponent(exponent, value, days), float(value), days)
    return terms


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _weigh(scales: Any, customer: int, as_of: int, named: Any, text: Any, numbers: Any, quantity: Any) -> None:
    """Weigh a customer with newer orders, see `laid_over`; one kernel with and without, since its code is large."""
    low, high = _span(scales, customer, as_of)
    h, ids = scales.history, (scales.products, scales.stores, scales.channels)
    if numbers.size > 0:
        h = laid_over(h, low, high, as_of, named, text, numbers, quantity, ids[0], ids[1], ids[2])
        low, high = np.int64(0), np.int64(h.order_time.size)
    _look(scales, customer, h, low, high, as_of)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _span(scales: Any, customer: int, as_of: int) -> Any:
    """Orders of a customer of the snapshot that are visible at `as_of` [s]."""
    if customer < 0:
        return np.int64(0), np.int64(0)
    low, high = scales.start[customer], scales.start[customer + 1]
    return low, np.int64(visible_orders(scales.history.order_time, low, high, as_of))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _look(scales: Any, customer: int, h: HistoryArrays, low: int, high: int, as_of: int) -> None:
    """Set `rows` and `numbers` of the customer whose orders are `low:high` of `h`."""
    terms, zone, base, rows, out = scales.terms, scales.zone, scales.base, scales.rows, scales.numbers
    churn, value = terms[p.CHURN_DAYS], terms[p.VALUE_DAYS]
    orders, own, alive = customer_row(
        h, low, high, as_of, scales.product_item, zone, base, churn, scales.items, rows[0]
    )
    other_horizon(orders, as_of, own, alive, base, value, rows[0], rows[1])
    out[p.ORDERS], out[p.P_ALIVE], out[p.REPEATS], out[p.AGE] = high - low, np.float64(rows[1, ALIVE]), own.x, own.T
    visits = days_of(orders)
    out[p.BOUGHT] = visits.size
    if visits.size > 0:
        next_after(visits, as_of, scales.timing, WINDOW, out[p.SOON : p.LATE + 1])
    out[p.PAST], out[p.COSTED], out[p.LEFT] = np.float64(orders.spent_before[high - low]), 0.0, 0.0
    if terms[p.HAS_COSTS] > 0.0:
        out[p.PAST], out[p.COSTED], out[p.LEFT] = historic(h, low, high, as_of, scales.unit_cost)
    out[p.GROWN] = growth_of(own, base, value, YEAR)
    out[p.FAR], out[p.NEAR], out[p.NOW] = flow_of(own, base, value, terms[p.WORTH_DAYS], terms[p.DAILY])
    if terms[p.HAS_CHURN] > 0.0:
        out[p.CHURN] = probability_row(rows[0], scales.churn)
    if terms[p.HAS_VALUE] > 0.0:
        foretold_row(rows[1], scales.value, out[p.TOLD : p.LOWEST])
        out[p.LOWEST], out[p.HIGHEST] = foretold_ends(out[p.TOLD : p.LOWEST])
        _settle(scales, customer)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _settle(scales: Any, customer: int) -> None:
    """Set what the forecast is worth in money."""
    cost = scales.acquisition[customer] if customer >= 0 else scales.terms[p.STRANGER_COST]
    settle(scales.numbers, cost, scales.terms)
