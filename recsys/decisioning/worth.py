"""What one customer is worth: past, future at today's money, margin, payback, profit after contact."""

import math
from dataclasses import dataclass

import numpy as np

from recsys.data.clock import DAY
from recsys.data.tail import CustomerRows
from recsys.decisioning.answers import Interval, Tier, Worth
from recsys.decisioning.books import Books, historic
from recsys.decisioning.serving import Serving
from recsys.models.predictive import LEVELS, PROBABILITIES
from recsys.models.value import Outlook, ValueModel, carried
from recsys.population.btyd import Summary, summary
from recsys.population.facts import Base
from recsys.population.pareto import pareto_discounted, pareto_living

YEAR = 365.0

TIERS: tuple[Tier, ...] = ("low", "medium", "high", "top")
"""Below the median expected spend, below the 80% quantile, below the 95% quantile, above; see `training.value`."""


@dataclass(frozen=True, slots=True)
class Flow:
    """How a customer's purchases spread over time, seen from the model's horizon."""

    base: Base
    own: Summary
    exponent: float
    horizon: float

    def times(self, days: float) -> float:
        """Expected purchases within `days` over those within the horizon: Pareto/NBD's, carried as values are."""
        return float(carried(self._living(days) / self._living(self.horizon), self._kept(days), self.horizon, days))

    def discounted(self, days: float, yearly: float) -> float:
        """`times` with each purchase worth what it is today at a `yearly` rate."""
        r, alpha, s, beta = self.base.btyd[7:11]
        daily = math.log1p(yearly) / YEAR
        now = pareto_discounted(r, alpha, s, beta, float(self.own.x), self.own.T, days, daily)
        return self.times(days) * float(now) / self._living(days)

    def _living(self, days: float) -> float:
        r, alpha, s, beta = self.base.btyd[7:11]
        return max(float(pareto_living(r, alpha, s, beta, float(self.own.x), self.own.T, days)), 1e-300)

    def _kept(self, days: float) -> float:
        return self.exponent if days > self.horizon else 0.0


def flow_of(serving: Serving, model: ValueModel, rows: CustomerRows) -> Flow:
    """Of one customer at `rows.as_of`."""
    own = summary(rows.arrays, rows.low, rows.high, rows.as_of, serving.zone)
    return Flow(serving.population.arrays.base, own, model.growth_exponent, float(model.horizon_days))


def worth(serving: Serving, customer: int, rows: CustomerRows, model: ValueModel, spend: float) -> Worth:
    """Of the customer at index `customer` (negative for one not imported), with the expected `spend` [minor units]."""
    books, money, flow = serving.books, serving.snapshot.money, flow_of(serving, model, rows)
    past, known, left = historic(rows.arrays, rows.low, rows.high, rows.as_of, books.unit_cost)
    share = (left + books.usual * books.margin) / (known + books.usual)
    earned = left + (past - known) * share
    future = spend * flow.discounted(float(books.costs.value_days), books.costs.discount_rate)
    cost = float(books.acquisition[customer]) if customer >= 0 else _told_cost(serving)
    contact = books.costs.contact_cost
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
        pays_back_at=_payback(books, flow, rows.as_of, cost - earned, spend * share),
        profitable=None if math.isnan(share) else bool(money(spend * share) > contact),
    )


def intervals(serving: Serving, outlook: Outlook) -> tuple[Interval, ...]:
    """Central intervals of one customer, narrowest first."""
    money, middle = serving.snapshot.money, PROBABILITIES.index(0.5)
    spend, orders = outlook.spend[0], outlook.orders[0]
    return tuple(
        Interval(
            level,
            money(float(spend[middle - place])),
            money(float(spend[middle + place])),
            float(orders[middle - place]),
            float(orders[middle + place]),
        )
        for place, level in enumerate(LEVELS, 1)
    )


def tier(model: ValueModel, spend: float) -> Tier | None:
    """Where the expected `spend` [minor units] lies among the thresholds of the bundle; None in older ones."""
    thresholds = model.tiers
    return TIERS[int(np.searchsorted(thresholds, spend, side="right"))] if len(thresholds) == len(TIERS) - 1 else None


def _payback(books: Books, flow: Flow, as_of: int, open_cost: float, margin: float) -> int | None:
    """First day within `value_days` by which the expected margin has earned `open_cost` [minor units]; None if none."""
    farthest = books.costs.value_days
    if not (open_cost > 0.0 and margin > 0.0 and margin * flow.times(float(farthest)) >= open_cost):
        return None
    low, high = 0, farthest
    while high - low > 1:
        middle = (low + high) // 2
        if margin * flow.times(float(middle)) >= open_cost:
            high = middle
        else:
            low = middle
    return as_of + high * DAY


def _told_cost(serving: Serving) -> float:
    """Acquisition cost of a customer who was not imported [minor units]."""
    told = serving.books.costs.acquisition_cost
    return float("nan") if told is None else told * 10**serving.snapshot.facts.minor_digits


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
