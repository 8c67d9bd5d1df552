"""What a customer costs and what is left of a sale: imported unit and acquisition costs beside the settings."""

import math
from dataclasses import dataclass
from typing import Any, Self

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.columns import ACQUISITION_COST, UNIT_COST
from recsys.data.history import HistoryArrays
from recsys.data.snapshot import Snapshot
from recsys.data.told import told_cost
from recsys.errors import SettingsError
from recsys.settings import Settings

Floats = npt.NDArray[np.float64]

YEAR = 365.0
"""Days of a year: one that is foretold, and one that money is discounted over."""

USUAL_ORDERS = 3.0
"""The base's margin counts as much as so many orders of a customer's own."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What the settings say, money in currency.

    discount_rate     a year from now money is worth 1 / (1 + rate) of today's
    value_days        how far ahead the value of a customer is counted [days]
    margin            share of spend that is left, where the products' unit costs are unknown; None: unknown
    contact_cost      what reaching the customer costs, once a horizon
    acquisition_cost  what winning the customer cost, where the customers table does not say; None: unknown
    """

    discount_rate: float = 0.1
    value_days: int = 1095
    margin: float | None = None
    contact_cost: float = 0.0
    acquisition_cost: float | None = None

    @property
    def daily_rate(self) -> float:
        """The discount rate as the exponent of a day."""
        return math.log1p(self.discount_rate) / YEAR

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The costs of a process."""
        return cls(
            settings.discount_rate,
            settings.value_days,
            settings.margin,
            settings.contact_cost,
            settings.acquisition_cost,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Books:
    """Costs beside a snapshot.

    unit_cost    float64 (n_products,)   cost of one piece, NaN where unknown [minor units]
    acquisition  float64 (n_customers,)  what winning the customer cost, NaN where unknown [minor units]
    margin       the base's share of spend that is left, NaN where nothing is known
    usual        spend that the base's share weighs as much as [minor units]
    """

    costs: Costs
    unit_cost: Floats
    acquisition: Floats
    margin: float
    usual: float

    @classmethod
    def of(cls, snapshot: Snapshot, costs: Costs | None = None, spend_per_order: float | None = None) -> Self:
        """Read the costs that were imported with `snapshot`.

        `spend_per_order` [minor units] is the base's mean where it is known already; without it all lines are read,
        and a worker would keep them in its memory.

        Raises:
            SettingsError: a cost or a rate makes no sense.
            SnapshotError: a file of costs is damaged.
        """
        told = costs or Costs()
        _check(told)
        minor = float(10**snapshot.facts.minor_digits)
        unit_cost = told_cost(snapshot.directory, UNIT_COST, snapshot.catalogue.products)
        acquisition = told_cost(snapshot.directory, ACQUISITION_COST, snapshot.customers)
        if told.acquisition_cost is not None:
            acquisition = np.where(np.isnan(acquisition), told.acquisition_cost, acquisition)
        margin, usual = _base_margin(snapshot, unit_cost * minor, spend_per_order)
        if np.isnan(margin) and told.margin is not None:
            margin = told.margin
        return cls(told, unit_cost * minor, acquisition * minor, margin, usual)


def _check(costs: Costs) -> None:
    if not (costs.discount_rate > -1 and costs.value_days > 0 and costs.contact_cost >= 0):
        raise SettingsError("The costs make no sense", found=costs, expected="a rate above -1, days above 0, costs ≥ 0")


def _base_margin(snapshot: Snapshot, unit_cost: Floats, spend_per_order: float | None) -> tuple[float, float]:
    """Share of the base's spend that is left where unit costs are known (else NaN), and `usual` of `Books`."""
    history = snapshot.history
    if history.n_orders == 0:
        return float("nan"), 1.0
    mean = history.mean_order if spend_per_order is None else spend_per_order
    usual = USUAL_ORDERS * max(mean, 1.0)
    if not np.isfinite(unit_cost).any():
        return float("nan"), usual
    _, known, left = historic(history.arrays(), 0, history.n_orders, snapshot.as_of, unit_cost)
    return (left / known if known > 0 else float("nan")), usual


@numba.njit(cache=True, nogil=True, error_model="numpy")
def historic(h: HistoryArrays, low: int, high: int, as_of: int, unit_cost: Any) -> Any:
    """Spend of the orders `low:high` up to `as_of`, of its lines with a known cost, and their margin [minor units]."""
    spend, known, left = 0.0, 0.0, 0.0
    for order in range(low, high):
        if h.order_time[order] > as_of:
            continue
        for line in range(h.line_start[order], h.line_start[order + 1]):
            amount, product = np.float64(h.line_amount[line]), h.line_product[line]
            spend += amount
            if product >= 0 and np.isfinite(unit_cost[product]):
                known += amount
                left += amount - unit_cost[product] * np.float64(h.line_quantity[line])
    return spend, known, left
