"""What one customer is worth: past, future at today's money, margin, payback, profit after contact."""

import math
from bisect import bisect_right
from typing import Any

import numba

from recsys.data.clock import DAY
from recsys.decisioning import places as p
from recsys.decisioning.answers import Interval, Tier, Worth
from recsys.decisioning.books import YEAR
from recsys.decisioning.serving import Serving
from recsys.models.predictive import LEVELS
from recsys.models.value import ValueModel, carried_one, carrying
from recsys.population.btyd import Summary
from recsys.population.facts import Base
from recsys.population.pareto import pareto_discounted, pareto_living

LEAST = 1e-300
"""Expected purchases are divided by no less."""

TIERS: tuple[Tier, ...] = ("low", "medium", "high", "top")
"""Below the median expected spend, below the 80% quantile, below the 95% quantile, above; see `training.value`."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def flow_of(own: Summary, base: Base, horizon: float, days: float, daily: float) -> Any:
    """Pareto/NBD's purchases of a living customer within `days` and `horizon`; the former at a `daily` discount too."""
    r, alpha, s, beta = base.btyd[7], base.btyd[8], base.btyd[9], base.btyd[10]
    x, T = float(own.x), own.T
    far, near = pareto_living(r, alpha, s, beta, x, T, days), pareto_living(r, alpha, s, beta, x, T, horizon)
    return far, near, pareto_discounted(r, alpha, s, beta, x, T, days, daily)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def settle(n: Any, cost: float, terms: Any) -> None:
    """Set SPEND and what follows it of the numbers `n` from what stands before; `cost` of acquisition [minor units]."""
    minor, spend, past = terms[p.MINOR], n[p.TOLD], n[p.PAST]
    n[p.SPEND], n[p.SPEND_LOW], n[p.SPEND_HIGH] = spend / minor, n[p.LOWEST] / minor, n[p.HIGHEST] / minor
    year = 1.0
    if terms[p.VALUE_DAYS] < YEAR:
        year = carried_one(n[p.GROWN], terms[p.YEAR_TIMES], terms[p.YEAR_MOST])
    n[p.YEAR_SPEND], n[p.MEDIAN_SPEND] = spend * year / minor, n[p.AMOUNTS + p.MEDIAN] / minor
    for place in range(len(LEVELS)):
        low, high, at = p.MEDIAN - 1 - place, p.MEDIAN + 1 + place, p.INTERVALS + 4 * place
        n[at], n[at + 1] = n[p.AMOUNTS + low] / minor, n[p.AMOUNTS + high] / minor
        n[at + 2], n[at + 3] = n[p.COUNTS + low], n[p.COUNTS + high]
    share = (n[p.LEFT] + terms[p.USUAL] * terms[p.SHARE]) / (n[p.COSTED] + terms[p.USUAL])
    earned = n[p.LEFT] + (past - n[p.COSTED]) * share
    times = carried_one(_growth(n[p.FAR], n[p.NEAR]), terms[p.WORTH_TIMES], terms[p.WORTH_MOST])
    future = spend * (times * n[p.NOW] / _least(n[p.FAR]))
    n[p.WORTH], n[p.WORTH + 1], n[p.WORTH + 2] = past / minor, future / minor, (past + future) / minor
    n[p.MARGINS], n[p.MARGINS + 1] = share, spend * share / minor
    n[p.MARGINS + 2], n[p.MARGINS + 3] = earned / minor, future * share / minor
    n[p.MARGINS + 4] = (earned + future * share) / minor
    n[p.COST], n[p.OPEN_COST], n[p.MARGIN] = cost / minor, cost - earned, spend * share


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _least(purchases: float) -> float:
    """What expected purchases are divided by, see LEAST."""
    return LEAST if purchases < LEAST else purchases


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _growth(far: float, near: float) -> float:
    """Expected purchases of some days over those of others."""
    return float(_least(far) / _least(near))


def kept_exponent(exponent: float, horizon: float, days: float) -> float:
    """The exponent by which purchases of `horizon` days are carried to `days`; it counts beyond the horizon only."""
    return exponent if days > horizon else 0.0


def worth(serving: Serving, as_of: int, model: ValueModel, n: list[float]) -> Worth:
    """What the customer of the numbers `n` is worth."""
    costs, (share, expected, earned, to_come, whole) = serving.books.costs, map(_known, n[p.MARGINS : p.COST])
    open_cost = n[p.OPEN_COST]
    return Worth(
        costs.value_days,
        costs.discount_rate,
        n[p.WORTH],
        n[p.WORTH + 1],
        n[p.WORTH + 2],
        share,
        expected,
        earned,
        to_come,
        whole,
        _known(n[p.COST]),
        None if math.isnan(open_cost) else open_cost <= 0.0,
        _payback(serving, model, as_of, n),
        None if share is None else n[p.MARGINS + 1] > costs.contact_cost,
    )


def intervals(n: list[float]) -> tuple[Interval, ...]:
    """Central intervals of the customer of the numbers `n`, narrowest first."""
    places = range(p.INTERVALS, p.WORTH, 4)
    return tuple([Interval(level, *n[at : at + 4]) for level, at in zip(LEVELS, places, strict=True)])


def tier(model: ValueModel, spend: float) -> Tier | None:
    """Where the expected `spend` [minor units] lies among the thresholds of the bundle; None in older ones."""
    thresholds = model.tiers
    return TIERS[bisect_right(thresholds, spend)] if len(thresholds) == len(TIERS) - 1 else None


def _payback(serving: Serving, model: ValueModel, as_of: int, n: list[float]) -> int | None:
    """First day within `value_days` by which the expected margin has earned what the customer cost; None if none."""
    open_cost, margin = n[p.OPEN_COST], n[p.MARGIN]
    if not (open_cost > 0.0 and margin > 0.0):
        return None
    r, alpha, s, beta = serving.population.arrays.base.btyd[7:11]

    def living(days: float) -> float:
        """Purchases expected of the customer, if still one, within so many days."""
        return float(pareto_living(r, alpha, s, beta, n[p.REPEATS], n[p.AGE], days))

    horizon = float(model.horizon_days)
    near = living(horizon)

    def earned(days: int) -> bool:
        """Whether the expected margin covers the open cost within so many days."""
        kept = kept_exponent(model.growth_exponent, horizon, days)
        times = carried_one(_growth(living(float(days)), near), *carrying(kept, horizon, float(days)))
        return bool(margin * times >= open_cost)

    low, high = 0, serving.books.costs.value_days
    if not earned(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if earned(middle):
            high = middle
        else:
            low = middle
    return as_of + high * DAY


def stranger_cost(serving: Serving) -> float:
    """Acquisition cost of a customer who was not imported [minor units]."""
    told = serving.books.costs.acquisition_cost
    return float("nan") if told is None else told * 10**serving.snapshot.facts.minor_digits


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
