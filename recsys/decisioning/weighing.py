"""One customer weighed in one compiled call: newer orders laid over, features, churn, value, and what worth needs.

Each call of a kernel from Python costs as much as a kernel, and each array it is given a fifth of a microsecond; so all
of a snapshot and its models stands behind one reference, and the numbers of an answer come back in one array.
"""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba.experimental import structref

from recsys.data.history import HistoryArrays, visible_orders
from recsys.data.laying import laid_over
from recsys.data.tail import PackedOrders
from recsys.decisioning.books import historic
from recsys.decisioning.serving import Serving
from recsys.decisioning.worth import flow_of
from recsys.features.customer import CUSTOMER_FEATURES, N_FEATURES, customer_row, other_horizon
from recsys.features.orders import days_of, item_scratch
from recsys.features.timing import growth_of, next_after
from recsys.models.churn import ChurnModel, churn_tables, probability_row
from recsys.models.value import FORETOLD, ValueModel, foretold_row, row_tables
from recsys.population.timing import WINDOW

YEAR = 365
ALIVE = CUSTOMER_FEATURES.index("pareto_alive")

(ORDERS, CHURN, P_ALIVE, GROWN, BOUGHT, SOON, MIDDLE, LATE, PAST, COSTED, LEFT, FAR, NEAR, NOW, REPEATS, AGE, TOLD) = (
    range(17)
)
"""Places of the numbers of an answer: visible orders; P(churn); P(alive); purchases of a year over those of the value
model's horizon; purchase days, and days to the next one (80% window with its median); `historic`; `flow_of`; x and T of
the `Summary`; where `foretold_row` begins. CHURN and TOLD hold nothing without a model made for kernels."""

N_NUMBERS = TOLD + FORETOLD

(CHURN_DAYS, VALUE_DAYS, WORTH_DAYS, DAILY, HAS_COSTS, HAS_CHURN, HAS_VALUE) = range(7)
"""Places of `terms`: horizons of the models and days of worth [days], exponent of the discount rate, whether a unit
cost is known, whether there is a model made for kernels."""


@structref.register
class _ScalesType(numba.types.StructRef):
    """Type of `Scales` for kernels."""


class Scales(structref.StructRefProxy):
    """All that one thread weighs customers with, behind one reference.

    history, start    the snapshot's orders, and where those of each customer begin
    products, stores, channels   (offsets, blob) of the snapshot's ids
    product_item, zone, base, timing, unit_cost   as in `Serving`
    terms             float64, see CHURN_DAYS and the following
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
        "terms",
        "items",
        "churn",
        "value",
        "rows",
        "numbers",
    ],
)


@numba.njit(cache=True)
def _scales(
    history: Any,
    start: Any,
    products: Any,
    stores: Any,
    channels: Any,
    product_item: Any,
    zone: Any,
    base: Any,
    timing: Any,
    unit_cost: Any,
    terms: Any,
    items: Any,
    churn: Any,
    value: Any,
    rows: Any,
    numbers: Any,
) -> Any:
    """`Scales`; made once a thread."""
    return Scales(
        history,
        start,
        products,
        stores,
        channels,
        product_item,
        zone,
        base,
        timing,
        unit_cost,
        terms,
        items,
        churn,
        value,
        rows,
        numbers,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Weighing:
    """`Scales` of one thread with what they were made for; each call overwrites `rows` and `numbers`.

    made_for  population, books and models
    rows   float32 (2, N_FEATURES)  the feature row of the churn model, that of the value model
    minor  minor units of one unit of the currency
    """

    made_for: tuple[Any, ...]
    scales: Scales
    rows: npt.NDArray[np.float32]
    numbers: npt.NDArray[np.float64]
    minor: float

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
        if not newer.size:
            _weigh(self.scales, customer, as_of)
        else:
            _weigh_with(self.scales, customer, as_of, newer.customer, newer.text, newer.numbers, newer.quantity)
        numbers: list[float] = self.numbers.tolist()
        return numbers


def _new(serving: Serving) -> Weighing:
    snapshot, facts = serving.snapshot, serving.population.arrays
    rows, numbers = np.zeros((2, N_FEATURES), np.float32), np.zeros(N_NUMBERS)
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
        _terms(serving),
        item_scratch(snapshot.catalogue.n_items),
        _churn_tables(serving.churn) or churn_tables(None),
        _value_tables(serving.value) or row_tables(None),
        rows,
        numbers,
    )
    return Weighing(made_for, scales, rows, numbers, float(10**snapshot.facts.minor_digits))


def _churn_tables(model: ChurnModel | None) -> Any:
    return None if model is None else model.tables


def _value_tables(model: ValueModel | None) -> Any:
    return None if model is None else model.tables


def _terms(serving: Serving) -> npt.NDArray[np.float64]:
    """`terms` of `Scales`; a model that is missing has the other one's horizon, both a year's."""
    value = serving.value.horizon_days if serving.value else YEAR
    churn = serving.churn.horizon_days if serving.churn else value
    costs = serving.books.costs
    known = bool(np.isfinite(serving.books.unit_cost).any())
    kernels = _churn_tables(serving.churn) is not None, _value_tables(serving.value) is not None
    return np.array([churn, value, costs.value_days, costs.daily_rate, known, *kernels], np.float64)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _weigh(scales: Any, customer: int, as_of: int) -> None:
    low, high = _span(scales, customer, as_of)
    _look(scales, scales.history, low, high, as_of)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _weigh_with(scales: Any, customer: int, as_of: int, named: Any, text: Any, numbers: Any, quantity: Any) -> None:
    """`_weigh` with newer orders, see `laid_over`."""
    low, high = _span(scales, customer, as_of)
    ids = scales.products, scales.stores, scales.channels
    laid = laid_over(scales.history, low, high, as_of, named, text, numbers, quantity, ids[0], ids[1], ids[2])
    _look(scales, laid, 0, laid.order_time.size, as_of)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _span(scales: Any, customer: int, as_of: int) -> Any:
    """Orders of a customer of the snapshot that are visible at `as_of` [s]."""
    if customer < 0:
        return np.int64(0), np.int64(0)
    low, high = scales.start[customer], scales.start[customer + 1]
    return low, np.int64(visible_orders(scales.history.order_time, low, high, as_of))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _look(scales: Any, h: HistoryArrays, low: int, high: int, as_of: int) -> None:
    terms, zone, base, rows, out = scales.terms, scales.zone, scales.base, scales.rows, scales.numbers
    churn, value = terms[CHURN_DAYS], terms[VALUE_DAYS]
    orders, own, alive = customer_row(
        h, low, high, as_of, scales.product_item, zone, base, churn, scales.items, rows[0]
    )
    other_horizon(orders, as_of, own, alive, base, value, rows[0], rows[1])
    out[ORDERS], out[P_ALIVE], out[REPEATS], out[AGE] = high - low, np.float64(rows[1, ALIVE]), own.x, own.T
    visits = days_of(orders)
    out[BOUGHT] = visits.size
    if visits.size > 0:
        next_after(visits, as_of, scales.timing, WINDOW, out[SOON : LATE + 1])
    out[PAST], out[COSTED], out[LEFT] = np.float64(orders.spent_before[high - low]), 0.0, 0.0
    if terms[HAS_COSTS] > 0.0:
        out[PAST], out[COSTED], out[LEFT] = historic(h, low, high, as_of, scales.unit_cost)
    out[GROWN] = growth_of(own, base, value, float(YEAR))
    out[FAR], out[NEAR], out[NOW] = flow_of(own, base, value, terms[WORTH_DAYS], terms[DAILY])
    if terms[HAS_CHURN] > 0.0:
        out[CHURN] = probability_row(rows[0], scales.churn)
    if terms[HAS_VALUE] > 0.0:
        foretold_row(rows[1], scales.value, out[TOLD:])
