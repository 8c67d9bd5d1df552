"""What imported data can carry, told before anything is trained."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY
from recsys.data.ids import ABSENT
from recsys.data.snapshot import Snapshot

Verdict = Literal["yes", "weak", "no"]
_WORSE: tuple[Verdict, ...] = ("yes", "weak", "no")

FULL_HORIZONS, FEWEST_HORIZONS = 4.0, 2.0
"""Horizons of history for windows to learn, choose and report on; and the fewest a baseline can be calibrated on."""

GOOD_BUYERS, FEWEST_BUYERS = 1_000, 30
GOOD_ITEMS, FEWEST_ITEMS = 20, 3
MANY_PASSERS_BY = 0.8
RARE_REPEATS = 0.02


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether the data carry one model, and why."""

    model: str
    verdict: Verdict
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DataCheck:
    """Figures of the imported data and a verdict for each model.

    span_days            first to last order [days]
    passers_by_share     share of buyers with one order
    repeat_share         mean share of a basket's items that the customer had bought before, first baskets left out
    orders_per_customer  mean of buyers
    gap_days             10%, 50%, 90% quantiles of the days between two orders of a customer
    horizon_days         the horizon verdicts are given for [days]
    """

    span_days: float
    customers: int
    orders: int
    lines: int
    buyers_2: int
    buyers_3: int
    passers_by_share: float
    repeat_share: float
    products: int
    items: int
    orders_per_customer: float
    gap_days: tuple[float, float, float]
    horizon_days: int
    findings: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Facts:
    """Counts that the verdicts are made of."""

    horizons: float
    buyers_2: int
    buyers_3: int
    passers_by: float
    repeats: float
    items: int
    spend: int


def carries(snapshot: Snapshot, horizon_days: int | None = None) -> DataCheck:
    """Check a snapshot for a horizon (default: the 90% quantile of its gaps, at most a quarter of its span) [days]."""
    history = snapshot.history
    orders = _purchases(history.order_start, history.line_start, history.line_quantity)
    buyers = orders[orders > 0]
    first, last = int(history.order_time.min()), int(history.order_time.max())
    span = (last - first) / DAY
    gaps = _gap_quantiles(snapshot)
    horizon = horizon_days or max(1, round(min(gaps[2], span / FULL_HORIZONS)))
    items = _items_sold(snapshot)
    facts = _Facts(
        horizons=span / horizon,
        buyers_2=int((buyers >= 2).sum()),
        buyers_3=int((buyers >= 3).sum()),
        passers_by=float((buyers == 1).mean()) if len(buyers) else 1.0,
        repeats=_repeat_share(snapshot),
        items=items,
        spend=int(history.line_amount.sum()),
    )
    return DataCheck(
        span_days=round(span, 2),
        customers=len(buyers),
        orders=int(orders.sum()),
        lines=history.n_lines,
        buyers_2=facts.buyers_2,
        buyers_3=facts.buyers_3,
        passers_by_share=round(facts.passers_by, 4),
        repeat_share=round(facts.repeats, 4),
        products=snapshot.catalogue.n_products,
        items=items,
        orders_per_customer=round(float(buyers.mean()), 3) if len(buyers) else 0.0,
        gap_days=gaps,
        horizon_days=horizon,
        findings=(_offers(facts), _churn(facts), _value(facts)),
    )


def _offers(facts: _Facts) -> Finding:
    if facts.items <= 1:
        return Finding("offers", "no", ("every line carries the same item, so there is nothing to choose from",))
    return _finding(
        "offers",
        _graded(facts.items, GOOD_ITEMS, FEWEST_ITEMS, "{} items were sold"),
        _graded(facts.buyers_2, GOOD_BUYERS, FEWEST_BUYERS, "{} customers bought twice or more"),
        _history_length(facts),
        ("weak", f"only {facts.repeats:.1%} of a basket was bought before") if facts.repeats < RARE_REPEATS else None,
    )


def _churn(facts: _Facts) -> Finding:
    return _finding(
        "churn",
        _graded(facts.buyers_3, GOOD_BUYERS, FEWEST_BUYERS, "{} customers bought three times or more"),
        _history_length(facts),
        ("weak", f"{facts.passers_by:.0%} of customers bought once") if facts.passers_by > MANY_PASSERS_BY else None,
    )


def _value(facts: _Facts) -> Finding:
    if facts.spend <= 0:
        return Finding("value", "no", ("no money is in the data: map `amount`",))
    return _finding(
        "value",
        _graded(facts.buyers_2, GOOD_BUYERS, FEWEST_BUYERS, "{} customers bought twice or more"),
        _history_length(facts),
    )


def _finding(model: str, *grades: tuple[Verdict, str] | None) -> Finding:
    """The worst grade decides; reasons of the worst grade are given, all of them when everything is well."""
    given = [grade for grade in grades if grade is not None]
    worst = max((grade[0] for grade in given), key=_WORSE.index)
    return Finding(model, worst, tuple(reason for grade, reason in given if grade == worst))


def _graded(count: int, good: int, fewest: int, text: str) -> tuple[Verdict, str]:
    said = text.format(f"{count:,}")
    if count >= good:
        return "yes", said
    if count >= fewest:
        return "weak", f"{said}; {good:,} would be better"
    return "no", f"{said}; at least {fewest:,} are needed"


def _history_length(facts: _Facts) -> tuple[Verdict, str]:
    said = f"the history is {facts.horizons:.1f} horizons long"
    if facts.horizons >= FULL_HORIZONS:
        return "yes", said
    if facts.horizons >= FEWEST_HORIZONS:
        return "weak", f"{said}; {FULL_HORIZONS:g} are needed to learn, choose and report on windows of their own"
    return "no", f"{said}; at least {FEWEST_HORIZONS:g} are needed"


def _items_sold(snapshot: Snapshot) -> int:
    products = snapshot.history.line_product
    items = snapshot.catalogue.product_item[np.unique(products[products != ABSENT])]
    return int(np.unique(items[items != ABSENT]).size)


def _gap_quantiles(snapshot: Snapshot) -> tuple[float, float, float]:
    """Quantiles of the time between two orders of one customer, those of one day apart from each other left out."""
    history = snapshot.history
    gaps = history.order_time[1:] - history.order_time[:-1]
    within = np.ones(len(gaps), np.bool_)
    starts = history.order_start[1:-1]
    within[starts[(starts > 0) & (starts <= len(gaps))] - 1] = False
    days = gaps[within & (gaps >= DAY // 2)] / DAY
    if not len(days):
        return 0.0, 0.0, 0.0
    low, middle, high = np.quantile(days, (0.1, 0.5, 0.9))
    return round(float(low), 2), round(float(middle), 2), round(float(high), 2)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _purchases(order_start: Any, line_start: Any, line_quantity: Any) -> npt.NDArray[np.int64]:
    """Purchases of each customer: orders with a line of positive quantity, (n_customers,)."""
    counts = np.zeros(len(order_start) - 1, np.int64)
    for customer in range(len(counts)):
        for order in range(order_start[customer], order_start[customer + 1]):
            for line in range(line_start[order], line_start[order + 1]):
                if line_quantity[line] > 0:
                    counts[customer] += 1
                    break
    return counts


def _repeat_share(snapshot: Snapshot) -> float:
    n_items = snapshot.catalogue.n_items
    shares, baskets = _repeats(
        snapshot.history.arrays(),
        snapshot.history.order_start,
        snapshot.catalogue.product_item,
        np.full(n_items, -1, np.int32),
        np.full(n_items, -1, np.int64),
    )
    return shares / baskets if baskets else 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _repeats(arrays: Any, order_start: Any, product_item: Any, bought_by: Any, counted_in: Any) -> tuple[float, int]:
    """Sum over baskets after a customer's first of the share of their items bought before, and the number of baskets.

    Scratch (n_items,), -1 at first: `bought_by` the customer who bought an item last, `counted_in` in which order.
    """
    shares, baskets = 0.0, 0
    for customer in range(len(order_start) - 1):
        first = True
        for order in range(order_start[customer], order_start[customer + 1]):
            repeated, items = 0, 0
            for line in range(arrays.line_start[order], arrays.line_start[order + 1]):
                product = arrays.line_product[line]
                item = product_item[product] if product >= 0 else -1
                if arrays.line_quantity[line] <= 0 or item < 0 or counted_in[item] == order:
                    continue
                repeated += 1 if bought_by[item] == customer else 0
                items += 1
                bought_by[item], counted_in[item] = customer, order
            if items and not first:
                shares += repeated / items
                baskets += 1
            first = first and items == 0
    return shares, baskets
