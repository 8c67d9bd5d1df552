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
from recsys.decisioning.churn_reasons import churn_reasons
from recsys.decisioning.serving import Serving
from recsys.decisioning.timing import next_due
from recsys.decisioning.words import Language, checked_language
from recsys.decisioning.worth import intervals, tier, worth
from recsys.features.customer import CUSTOMER_FEATURES, N_FEATURES, customer_row, other_horizon
from recsys.features.timing import growth
from recsys.models.predictive import PROBABILITIES
from recsys.models.value import ValueModel, carried
from recsys.population.facts import Base

YEAR = 365
MIDDLE = PROBABILITIES.index(0.5)
ALIVE = CUSTOMER_FEATURES.index("pareto_alive")


def score(
    serving: Serving,
    customer_id: str,
    events: Sequence[OrderEvent],
    as_of: int,
    *,
    reasons: bool = False,
    language: str = "en",
) -> ScoresAnswer:
    """Churn and value of one customer at `as_of` [s], with the tail `events` folded in; `language` of the reasons.

    Pure: the same serving, events and `as_of` give the same bits, alone or in a batch. An unknown customer gets what
    the base's priors say, labelled `evidence: low`.
    """
    customer = serving.snapshot.customers.index(customer_id)
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
    """What both models are applied to: feature rows (1, N_FEATURES) by horizon, and how purchases grow.

    grown  expected purchases of a year over those of the value model's horizon
    """

    churn: npt.NDArray[np.float32]
    value: npt.NDArray[np.float32]
    grown: float


def look(serving: Serving, rows: CustomerRows) -> Seen:
    """All kernels over one customer in one call: the calls cost more than most of the kernels."""
    value = serving.value.horizon_days if serving.value else YEAR
    churn = serving.churn.horizon_days if serving.churn else value
    table = np.empty((2, N_FEATURES), np.float32)
    grown = _look_at(
        rows.arrays,
        rows.low,
        rows.high,
        rows.as_of,
        serving.cat.product_item,
        serving.zone,
        serving.population.arrays.base,
        float(churn),
        float(value),
        serving.desk().counts,
        table,
    )
    return Seen(table[:1], table[1:], grown)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _look_at(
    h: HistoryArrays,
    low: int,
    high: int,
    as_of: int,
    product_item: Any,
    zone: ZoneTable,
    base: Base,
    churn: float,
    value: float,
    scratch: Any,
    table: Any,
) -> Any:
    customer_row(h, low, high, as_of, product_item, zone, base, churn, scratch, table[0])
    other_horizon(h, low, high, as_of, zone, base, value, table[0], table[1])
    return growth(h, low, high, as_of, zone, base, value, float(YEAR))


def _churn(serving: Serving, rows: CustomerRows, seen: Seen, language: Language | None) -> ChurnScore | None:
    """The churn score, with reasons if there is a language to tell them in."""
    model, row = serving.churn, seen.churn
    if model is None:
        return None
    why: tuple[Reason, ...] = ()
    if language is not None:
        why = churn_reasons(serving, rows, model.horizon_days, model.contributions(row)[0], row[0], language)
    return ChurnScore(float(model.probability(row)[0]), model.horizon_days, model.version, why, model.threshold)


def _value(serving: Serving, customer: int, rows: CustomerRows, seen: Seen) -> ValueScore | None:
    model = serving.value
    if model is None:
        return None
    (expected, outlook), money = model.foretold(seen.value), serving.snapshot.money
    due = next_due(serving, rows)
    spend = float(expected.spend[0])
    return ValueScore(
        expected_spend=money(spend),
        spend_low=money(float(expected.low[0])),
        spend_high=money(float(expected.high[0])),
        expected_orders=float(expected.orders[0]),
        p_alive=float(seen.value[0, ALIVE]),
        next_purchase_low=due.low,
        next_purchase_at=due.at,
        next_purchase_high=due.high,
        horizon_days=model.horizon_days,
        year_spend=money(spend * _year(model, seen.grown)),
        year_is_extrapolated=model.horizon_days < YEAR,
        model_version=model.version,
        median_spend=None if outlook is None else money(float(outlook.spend[0, MIDDLE])),
        median_orders=None if outlook is None else float(outlook.orders[0, MIDDLE]),
        tier=tier(model, spend),
        intervals=() if outlook is None else intervals(serving, outlook),
        worth=worth(serving, customer, rows, model, spend),
    )


def _year(model: ValueModel, grown: float) -> float:
    """A year's value over that of the horizon."""
    if model.horizon_days >= YEAR:
        return 1.0
    return float(carried(grown, model.growth_exponent, float(model.horizon_days), float(YEAR)))
