"""One customer → when the next purchase comes, of anything and of each category."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys.data.catalogue import category_names
from recsys.data.clock import DAY
from recsys.data.tail import CustomerRows, OrderEvent, rows_at
from recsys.decisioning.answers import Evidence
from recsys.decisioning.serving import Serving
from recsys.features.timing import next_by_category, next_purchase
from recsys.population.timing import HIGH, LIKELY_HIGH, LIKELY_LOW, LOW, MIDDLE, chance_within

LEAST_PURCHASES = 3
"""Purchase days in a category from which on its rhythm is told."""

WITHIN = (7, 14, 28)
"""Days for which the chance of a purchase is told."""


@dataclass(frozen=True, slots=True)
class Due:
    """When the next purchase comes; all instants [s], None without a purchase so far.

    purchases               days with a purchase so far
    last_at                 the last of them
    at                      median of the next one
    low, high               80% window
    likely_low, likely_high 50% window
    within                  P(a purchase within WITHIN days)
    quantiles               days from `as_of` to the next purchase at the levels 5%, 10% … 95% [days]
    """

    purchases: int
    last_at: int | None
    at: int | None
    low: int | None
    high: int | None
    likely_low: int | None
    likely_high: int | None
    within: tuple[float, ...] | None
    quantiles: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CategoryDue:
    """The same for one category."""

    category: str
    due: Due


@dataclass(frozen=True, slots=True)
class TimingAnswer:
    """`next` of anything; `categories` bought on LEAST_PURCHASES days or more, soonest first, ties by name."""

    customer_id: str
    as_of: int
    snapshot_id: str
    evidence: Evidence
    next: Due
    categories: tuple[CategoryDue, ...]


def timing(
    serving: Serving, customer_id: str, events: Sequence[OrderEvent], as_of: int, *, categories: bool = True
) -> TimingAnswer:
    """When one customer buys next, seen at `as_of` [s], with the tail `events` folded in.

    Pure: the same serving, events and `as_of` give the same bits, alone or in a batch. A stranger gets no date.
    """
    customer = serving.snapshot.customers.index(customer_id)
    rows = rows_at(serving.snapshot, customer, as_of, events)
    return TimingAnswer(
        customer_id=customer_id,
        as_of=as_of,
        snapshot_id=serving.snapshot.snapshot_id,
        evidence="history" if rows.high > rows.low else "low",
        next=next_due(serving, rows),
        categories=_by_category(serving, rows) if categories else (),
    )


def next_due(serving: Serving, rows: CustomerRows) -> Due:
    """When the customer of `rows` buys anything next."""
    facts = serving.population.arrays.timing
    bought, last, quantiles = next_purchase(rows.arrays, rows.low, rows.high, rows.as_of, serving.zone, facts)
    return _due(rows.as_of, int(bought), int(last), quantiles)


def _by_category(serving: Serving, rows: CustomerRows) -> tuple[CategoryDue, ...]:
    facts = serving.population.arrays.timing
    names = category_names(serving.snapshot.catalogue)
    span = (rows.arrays, rows.low, rows.high, rows.as_of, serving.zone, facts)
    found = zip(*next_by_category(*span, LEAST_PURCHASES), strict=True)
    due = [CategoryDue(names[of], _due(rows.as_of, int(bought), int(last), q)) for of, bought, last, q in found]
    return tuple(sorted(due, key=lambda each: (each.due.quantiles[MIDDLE], each.category)))


def after(as_of: int, days: float) -> int:
    """The instant so many days after `as_of`, to the second [s]."""
    return as_of + round(days * DAY)


def _due(as_of: int, bought: int, last: int, quantiles: npt.NDArray[np.float64]) -> Due:
    if not bought:
        return Due(0, None, None, None, None, None, None, None, ())
    low, likely_low, middle, likely_high, high = (
        after(as_of, float(quantiles[k])) for k in (LOW, LIKELY_LOW, MIDDLE, LIKELY_HIGH, HIGH)
    )
    within = tuple(float(chance_within(float(days), quantiles)) for days in WITHIN)
    return Due(bought, last, middle, low, high, likely_low, likely_high, within, tuple(quantiles.tolist()))
