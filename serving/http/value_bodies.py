"""Bodies about a customer's value: forecast, distribution, worth; money in the workspace's currency."""

from typing import Annotated, Literal

from msgspec import Meta, Struct


class IntervalBody(Struct, frozen=True):
    """Where spend [currency] and orders fall with probability `level`."""

    level: Annotated[float, Meta(gt=0, lt=1)]
    spend_low: float
    spend_high: float
    orders_low: float
    orders_high: float


class WorthBody(Struct, frozen=True):
    """Past value, that of the next `days` at today's money, both; margin and payback, null where a cost is unknown."""

    days: int
    discount_rate: float
    historic_spend: float
    future_spend: float
    total_spend: float
    margin_share: float | None
    expected_margin: float | None
    historic_margin: float | None
    future_margin: float | None
    total_margin: float | None
    acquisition_cost: float | None
    paid_back: bool | None
    pays_back_at: str | None
    profitable: bool | None


class ValueBody(Struct, frozen=True):
    """Expected and median spend and orders, 50/80/95% intervals, P(alive), next purchase, tier, worth [currency]."""

    expected_spend: float
    spend_low: float
    spend_high: float
    expected_orders: float
    p_alive: Annotated[float, Meta(ge=0, le=1)]
    next_purchase_at: str | None
    next_purchase_low: str | None
    next_purchase_high: str | None
    horizon_days: int
    year_spend: float
    year_is_extrapolated: bool
    model_version: str
    median_spend: float | None
    median_orders: float | None
    tier: Literal["low", "medium", "high", "top"] | None
    intervals: tuple[IntervalBody, ...]
    worth: WorthBody
