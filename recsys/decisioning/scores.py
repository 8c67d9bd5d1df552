"""One customer → churn, value and next purchase."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.clock import ZoneTable
from recsys.data.history import HistoryArrays
from recsys.data.tail import CustomerRows, OrderEvent, rows_at
from recsys.decisioning.answers import ChurnScore, Reason, ScoresAnswer, ValueScore
from recsys.decisioning.books import historic
from recsys.decisioning.churn_reasons import churn_reasons
from recsys.decisioning.serving import Serving
from recsys.decisioning.timing import after
from recsys.decisioning.words import Language, checked_language
from recsys.decisioning.worth import MIDDLE, Known, flow_at, intervals, tier, worth
from recsys.features.customer import CUSTOMER_FEATURES, N_FEATURES, customer_row, other_horizon
from recsys.features.timing import growth, next_purchase
from recsys.models.value import ValueModel, carried_one
from recsys.population.facts import Base, Timing
from recsys.population.timing import HIGH, LEVELS, LOW
from recsys.population.timing import MIDDLE as AT

YEAR = 365
ALIVE = CUSTOMER_FEATURES.index("pareto_alive")


def score(
    serving: Serving,
    customer_id: str,
    events: Sequence[OrderEvent],
    as_of: int,
    *,
    reasons: bool = False,
    language: str = "en",
    customer: int | None = None,
) -> ScoresAnswer:
    """Churn and value of one customer at `as_of` [s], with the tail `events` folded in; `language` of the reasons.

    `customer` is the index in the snapshot where it was looked up already.
    Pure: the same serving, events and `as_of` give the same bits, alone or in a batch. An unknown customer gets what
    the base's priors say, labelled `evidence: low`.
    """
    customer = serving.snapshot.customers.index(customer_id) if customer is None else customer
    rows = rows_at(serving.snapshot, customer, as_of, events)
    seen = look(serving, rows)
    return ScoresAnswer(
        customer_id=customer_id,
        as_of=as_of,
        snapshot_id=serving.snapshot.snapshot_id,
        evidence="history" if rows.high > rows.low else "low",
        churn=_churn(serving, rows, seen, checked_language(language) if reasons else None),
        value=_value(serving, customer, rows, seen),
    )


class Seen(NamedTuple):
    """What a customer's rows say: the feature rows (N_FEATURES,) of both models, and what needs no model.

    told  the numbers of `_look_at`
    """

    churn: npt.NDArray[np.float32]
    value: npt.NDArray[np.float32]
    told: list[float]


GROWN, BOUGHT, QUANTILES = 0, 1, 2
PAST = QUANTILES + len(LEVELS)
FLOW = PAST + 3
TOLD = FLOW + 3
"""Places in `Seen.told`: purchases of a year over those of the value model's horizon; purchase days and quantiles of
`next_purchase`; `historic`; `flow_at`."""


def look(serving: Serving, rows: CustomerRows) -> Seen:
    """All kernels over one customer in one call: the calls cost more than most of the kernels."""
    value = serving.value.horizon_days if serving.value else YEAR
    churn = serving.churn.horizon_days if serving.churn else value
    facts, books = serving.population.arrays, serving.books
    table, told = np.empty((2, N_FEATURES), np.float32), np.empty(TOLD)
    _look_at(
        rows.arrays,
        rows.low,
        rows.high,
        rows.as_of,
        serving.cat.product_item,
        serving.zone,
        facts.base,
        facts.timing,
        books.unit_cost,
        (float(churn), float(value), float(books.costs.value_days), books.costs.daily_rate),
        serving.desk().counts,
        table,
        told,
    )
    return Seen(table[0], table[1], told.tolist())


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _look_at(
    h: HistoryArrays,
    low: int,
    high: int,
    as_of: int,
    product_item: Any,
    zone: ZoneTable,
    base: Base,
    timing: Timing,
    unit_cost: Any,
    terms: Any,
    scratch: Any,
    table: Any,
    told: Any,
) -> None:
    churn, value, days, daily = terms
    customer_row(h, low, high, as_of, product_item, zone, base, churn, scratch, table[0])
    other_horizon(h, low, high, as_of, zone, base, value, table[0], table[1])
    told[GROWN] = growth(h, low, high, as_of, zone, base, value, float(YEAR))
    told[BOUGHT], _, told[QUANTILES:PAST] = next_purchase(h, low, high, as_of, zone, timing)
    told[PAST], told[PAST + 1], told[PAST + 2] = historic(h, low, high, as_of, unit_cost)
    told[FLOW], told[FLOW + 1], told[FLOW + 2] = flow_at(h, low, high, as_of, zone, base, value, days, daily)


def _churn(serving: Serving, rows: CustomerRows, seen: Seen, language: Language | None) -> ChurnScore | None:
    """The churn score, with reasons if there is a language to tell them in."""
    model, row = serving.churn, seen.churn
    if model is None:
        return None
    why: tuple[Reason, ...] = ()
    if language is not None:
        contributions = model.contributions(row.reshape(1, -1))[0]
        why = churn_reasons(serving, rows, model.horizon_days, contributions, row, language)
    return ChurnScore(model.probability_one(row), model.horizon_days, model.version, why, model.threshold)


def _value(serving: Serving, customer: int, rows: CustomerRows, seen: Seen) -> ValueScore | None:
    model = serving.value
    if model is None:
        return None
    expected, money, told = model.foretold_one(seen.value), serving.snapshot.money, seen.told
    bought, quantiles = told[BOUGHT] > 0, told[QUANTILES:PAST]
    spend, counts, amounts = expected.spend, expected.counts, expected.amounts
    known = Known(*told[PAST:TOLD])
    return ValueScore(
        expected_spend=money(spend),
        spend_low=money(expected.low),
        spend_high=money(expected.high),
        expected_orders=expected.orders,
        p_alive=float(seen.value[ALIVE]),
        next_purchase_low=after(rows.as_of, quantiles[LOW]) if bought else None,
        next_purchase_at=after(rows.as_of, quantiles[AT]) if bought else None,
        next_purchase_high=after(rows.as_of, quantiles[HIGH]) if bought else None,
        horizon_days=model.horizon_days,
        year_spend=money(spend * _year(model, told[GROWN])),
        year_is_extrapolated=model.horizon_days < YEAR,
        model_version=model.version,
        median_spend=None if amounts is None else money(amounts[MIDDLE]),
        median_orders=None if counts is None else counts[MIDDLE],
        tier=tier(model, spend),
        intervals=() if counts is None or amounts is None else intervals(serving, counts, amounts),
        worth=worth(serving, customer, rows, model, known, spend),
    )


def _year(model: ValueModel, grown: float) -> float:
    """A year's value over that of the horizon."""
    if model.horizon_days >= YEAR:
        return 1.0
    return carried_one(grown, model.growth_exponent, float(model.horizon_days), float(YEAR))
