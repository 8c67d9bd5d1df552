"""What one customer is worth: past, future at today's money, margin, payback, profit after contact."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple

import numba

from recsys.data.clock import DAY
from recsys.data.tail import CustomerRows
from recsys.decisioning.answers import Interval, Tier, Worth
from recsys.decisioning.serving import Serving
from recsys.models.predictive import LEVELS, PROBABILITIES
from recsys.models.value import ValueModel, carried_one
from recsys.population.btyd import Summary, summary
from recsys.population.facts import Base
from recsys.population.pareto import pareto_discounted, pareto_living

MIDDLE = PROBABILITIES.index(0.5)

LEAST = 1e-300
"""Expected purchases are divided by no less."""

TIERS: tuple[Tier, ...] = ("low", "medium", "high", "top")
"""Below the median expected spend, below the 80% quantile, below the 95% quantile, above; see `training.value`."""


class Known(NamedTuple):
    """What a customer's rows say about worth; see `historic` and `flow_of`.

    past, costed, left  spend up to now, of lines with a known cost, and what was left of these [minor units]
    far, near           expected purchases of a living customer within the days that value is counted for, and within
                        the model's horizon
    now                 the former, each worth what it is today
    """

    past: float
    costed: float
    left: float
    far: float
    near: float
    now: float


@numba.njit(cache=True, nogil=True, error_model="numpy")
def flow_of(own: Summary, base: Base, horizon: float, days: float, daily: float) -> Any:
    """`far`, `near` and `now` of `Known`: Pareto/NBD's over `days` and over `horizon`, discounted at a `daily` rate."""
    r, alpha, s, beta = base.btyd[7], base.btyd[8], base.btyd[9], base.btyd[10]
    x, T = float(own.x), own.T
    far, near = pareto_living(r, alpha, s, beta, x, T, days), pareto_living(r, alpha, s, beta, x, T, horizon)
    return far, near, pareto_discounted(r, alpha, s, beta, x, T, days, daily)


def worth(serving: Serving, customer: int, rows: CustomerRows, model: ValueModel, known: Known, spend: float) -> Worth:
    """Of the customer at index `customer` (negative for one not imported), with the expected `spend` [minor units]."""
    books, money, past = serving.books, serving.snapshot.money, known.past
    share = (known.left + books.usual * books.margin) / (known.costed + books.usual)
    earned = known.left + (past - known.costed) * share
    days = float(books.costs.value_days)
    future = spend * (_times(model, known.far, known.near, days) * known.now / max(known.far, LEAST))
    cost = float(books.acquisition[customer]) if customer >= 0 else _told_cost(serving)
    return Worth(
        days=books.costs.value_days,
        discount_rate=books.costs.discount_rate,
        historic_spend=money(past),
        future_spend=money(future),
        total_spend=money(past + future),
        margin_share=_known(share),
        expected_margin=_known(money(spend * share)),
        historic_margin=_known(money(earned)),
        future_margin=_known(money(future * share)),
        total_margin=_known(money(earned + future * share)),
        acquisition_cost=_known(money(cost)),
        paid_back=None if math.isnan(cost - earned) else bool(earned >= cost),
        pays_back_at=_payback(serving, model, rows, cost - earned, spend * share),
        profitable=None if math.isnan(share) else bool(money(spend * share) > books.costs.contact_cost),
    )


def _times(model: ValueModel, living: float, near: float, days: float) -> float:
    """Expected purchases within `days` over those within the horizon: Pareto/NBD's, carried as values are."""
    horizon = float(model.horizon_days)
    kept = model.growth_exponent if days > horizon else 0.0
    return carried_one(max(living, LEAST) / max(near, LEAST), kept, horizon, days)


def intervals(serving: Serving, counts: Sequence[float], amounts: Sequence[float]) -> tuple[Interval, ...]:
    """Central intervals of one customer, narrowest first, from quantiles of orders and of spend at PROBABILITIES."""
    money = serving.snapshot.money
    return tuple(
        Interval(
            level,
            money(amounts[MIDDLE - place]),
            money(amounts[MIDDLE + place]),
            counts[MIDDLE - place],
            counts[MIDDLE + place],
        )
        for place, level in enumerate(LEVELS, 1)
    )


def tier(model: ValueModel, spend: float) -> Tier | None:
    """Where the expected `spend` [minor units] lies among the thresholds of the bundle; None in older ones."""
    thresholds = model.tiers
    return TIERS[bisect_right(thresholds, spend)] if len(thresholds) == len(TIERS) - 1 else None


def _payback(serving: Serving, model: ValueModel, rows: CustomerRows, open_cost: float, margin: float) -> int | None:
    """First day within `value_days` by which the expected margin has earned `open_cost` [minor units]; None if none."""
    if not (open_cost > 0.0 and margin > 0.0):
        return None
    own, base = summary(rows.arrays, rows.low, rows.high, rows.as_of, serving.zone), serving.population.arrays.base
    r, alpha, s, beta = base.btyd[7:11]

    def living(days: float) -> float:
        """Purchases expected of the customer, if still one, within so many days."""
        return float(pareto_living(r, alpha, s, beta, float(own.x), own.T, days))

    near = living(float(model.horizon_days))

    def earned(days: int) -> bool:
        """Whether the expected margin covers the open cost within so many days."""
        return margin * _times(model, living(float(days)), near, float(days)) >= open_cost

    low, high = 0, serving.books.costs.value_days
    if not earned(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if earned(middle):
            high = middle
        else:
            low = middle
    return rows.as_of + high * DAY


def _told_cost(serving: Serving) -> float:
    """Acquisition cost of a customer who was not imported [minor units]."""
    told = serving.books.costs.acquisition_cost
    return float("nan") if told is None else told * 10**serving.snapshot.facts.minor_digits


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
