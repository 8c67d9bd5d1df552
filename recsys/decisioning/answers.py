"""What is asked and what is answered; the same objects for a request, a night's batch and a replay."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from msgspec import Struct

from recsys.data.tail import EventLine

Mode = Literal["new", "repeat", "mixed"]
Level = Literal["item", "family", "group"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""Levels of novelty, narrowest first."""
LONGEST_LOOK_BACK = 3_650
"""Longest look-back of novelty [days]."""
Evidence = Literal["history", "low"]
Tier = Literal["low", "medium", "high", "top"]


@dataclass(frozen=True, slots=True)
class OfferContext:
    """Where the offer will be shown.

    store_id  only items this store sold in the last 56 days; None or a store never seen: all items
    groups    only items of these broadest catalogue levels ("BAKERY"); empty: all
    """

    store_id: str | None = None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Novelty:
    """What new means: the customer bought nothing of the item's category within the look-back, else it is a repeat.

    level           the category: `item` the item itself; `family` the level right above it; `group` the broadest
    look_back_days  purchases longer ago don't count, so what was bought last before that is new again [days]; None:
                    all count, new is what was never bought
    """

    level: Level = "item"
    look_back_days: int | None = None


@dataclass(frozen=True, slots=True)
class OfferRequest:
    """What a channel asks for.

    customer_id  external id; an unknown one is answered from attributes and popularity, labelled `evidence: low`
    n            number of offers wanted; fewer come back when fewer are eligible
    mode         `new`: new items as `novelty` says; `repeat`: all that are not new; `mixed`: both
    exclude      item ids that must not be offered
    basket       lines in the customer's hands; they count as bought at `as_of`
    context      where the offer will be shown
    reasons      say why with numbers (costs a few milliseconds)
    language     of the reasons' text: en, ru or uk
    novelty      what new means; without a wish an item never bought
    attributes   what the caller knows of a customer with hardly any purchases ("age": "35-44")
    """

    customer_id: str
    n: int = 10
    mode: Mode = "mixed"
    exclude: tuple[str, ...] = ()
    basket: tuple[EventLine, ...] = ()
    context: OfferContext = field(default_factory=OfferContext)
    reasons: bool = False
    language: str = "en"
    novelty: Novelty = field(default_factory=Novelty)
    attributes: dict[str, str | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, with the numbers behind it: `code` for programs, `text` for people, `evidence` the figures in the text."""

    code: str
    text: str
    evidence: dict[str, float | str]


class Offer(Struct, frozen=True):
    """One offered item; a struct, which is made in a fifth of a frozen dataclass's time.

    raw             the ranker's score; offers are sorted by it, ties by item id
    probability     P(the customer buys the item within the offers horizon), calibrated
    expected_value  probability × what the item usually brings per order [currency]
    novelty         `new` as the request's novelty says (without a wish: never bought up to `as_of`), else `repeat`
    sources         candidate sources that proposed it
    """

    item_id: str
    name: str
    group: str | None
    raw: float
    probability: float
    expected_value: float
    novelty: Literal["new", "repeat"]
    sources: tuple[str, ...]
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class OffersAnswer:
    """Offers, best first, and what they were computed from.

    evidence      `low` for a customer without purchases: popularity, among customers with the same attributes where
                  some are known, answers; raw and probability are its share
    as_of         instant the answer holds for [s]; horizon of the probabilities [days]
    candidates    how many items were ranked
    """

    customer_id: str
    as_of: int
    snapshot_id: str
    model_version: str
    horizon_days: int
    evidence: Evidence
    candidates: int
    offers: tuple[Offer, ...]


class ChurnScore(Struct, frozen=True):
    """P(no purchase within the horizon), calibrated; `reasons` (at most three) raise or lower it, strongest first.

    at_risk  whether a contact pays: the probability is at least `threshold`; both None where no costs are known
    """

    probability: float
    horizon_days: int
    model_version: str
    reasons: tuple[Reason, ...] = ()
    threshold: float | None = None

    @property
    def at_risk(self) -> bool | None:
        """Whether a contact pays."""
        return None if self.threshold is None else self.probability >= self.threshold


class Interval(Struct, frozen=True):
    """Where spend [currency] and orders fall with probability `level`, (1 - level) / 2 beyond each end."""

    level: float
    spend_low: float
    spend_high: float
    orders_low: float
    orders_high: float


class Worth(Struct, frozen=True):
    """What a customer is worth, money in currency; None where a cost it needs is unknown.

    historic_*, future_*, total_*  up to now; over the next `days` at today's money (`discount_rate` a year); both
    margin_share                   own share of spend that is left after the goods' cost, drawn to the base's
    expected_margin                of the expected spend over the model's horizon
    paid_back, pays_back_at        the margin up to now has earned the acquisition cost; else when it will [s], None
                                   where not within `days`
    profitable                     the expected margin is above the cost of a contact
    """

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
    pays_back_at: int | None
    profitable: bool | None


class ValueScore(Struct, frozen=True):
    """What a customer is expected to bring over `horizon_days`.

    expected_spend, spend_low, spend_high   [currency]; the interval covers 80%
    expected_orders                         number of orders
    median_spend, median_orders             half of such customers bring less, half more; often 0 where the mean is not
    intervals                               50%, 80%, 95%; empty where the model holds no distribution
    tier                                    `low`, `medium`, `high`, `top` by the model's thresholds of expected spend
    worth                                   past and future value, margin, payback
    p_alive                                 P(still a customer) by Pareto/NBD; not the churn score
    next_purchase_at                        expected instant of the next purchase [s], None without a purchase so far
    next_purchase_low, next_purchase_high   80% window [s]
    year_spend                              expected spend over the next 365 days [currency], extrapolated
    """

    expected_spend: float
    spend_low: float
    spend_high: float
    expected_orders: float
    p_alive: float
    next_purchase_at: int | None
    next_purchase_low: int | None
    next_purchase_high: int | None
    horizon_days: int
    year_spend: float
    year_is_extrapolated: bool
    model_version: str
    median_spend: float | None
    median_orders: float | None
    tier: Tier | None
    intervals: tuple[Interval, ...]
    worth: Worth


class ScoresAnswer(Struct, frozen=True):
    """Churn and value of one customer; None where the workspace has no such model."""

    customer_id: str
    as_of: int
    snapshot_id: str
    evidence: Evidence
    churn: ChurnScore | None
    value: ValueScore | None
