"""One customer → churn, value and next purchase."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from msgspec import structs

from recsys.data.tail import CustomerRows, OrderEvent, PackedOrders, rows_at
from recsys.decisioning.answers import ChurnScore, Reason, ScoresAnswer, ValueScore
from recsys.decisioning.churn_reasons import churn_reasons
from recsys.decisioning.serving import Serving
from recsys.decisioning.timing import after
from recsys.decisioning.weighing import (
    BOUGHT,
    CHURN,
    GROWN,
    LATE,
    MIDDLE,
    ORDERS,
    P_ALIVE,
    PAST,
    SOON,
    TOLD,
    YEAR,
    Weighing,
)
from recsys.decisioning.words import Language, checked_language
from recsys.decisioning.worth import MIDDLE as MEDIAN
from recsys.decisioning.worth import Known, intervals, tier, worth
from recsys.models.churn import ChurnModel
from recsys.models.value import ValueModel, carried_one, forecast_of


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
    told = checked_language(language) if reasons else None
    weighing = Weighing.of(serving)
    numbers = weighing.weigh(customer, as_of, PackedOrders.of(events))
    churn, value = _churn(serving.churn, weighing, numbers), _value(serving, weighing, customer, as_of, numbers)
    if told is not None and churn is not None:
        why = _reasons(serving, rows_at(serving.snapshot, customer, as_of, events), weighing.rows[0], told)
        churn = structs.replace(churn, reasons=why)
    return ScoresAnswer(
        customer_id,
        as_of,
        serving.snapshot.snapshot_id,
        "history" if numbers[ORDERS] > 0 else "low",
        churn,
        value,
    )


def _churn(model: ChurnModel | None, weighing: Weighing, numbers: list[float]) -> ChurnScore | None:
    """The churn score without reasons."""
    if model is None:
        return None
    probability = model.probability_one(weighing.rows[0]) if model.tables is None else numbers[CHURN]
    return ChurnScore(probability, model.horizon_days, model.version, (), model.threshold)


def _reasons(
    serving: Serving, rows: CustomerRows, row: npt.NDArray[np.float32], language: Language
) -> tuple[Reason, ...]:
    """Why the churn score of the feature `row` (N_FEATURES,) is what it is."""
    model = serving.churn
    if model is None:
        return ()
    contributions = model.contributions(row.reshape(1, -1))[0]
    return churn_reasons(serving, rows, model.horizon_days, contributions, row, language)


def _value(serving: Serving, weighing: Weighing, customer: int, as_of: int, numbers: list[float]) -> ValueScore | None:
    model, minor = serving.value, weighing.minor
    if model is None:
        return None
    expected = model.foretold_one(weighing.rows[1]) if model.tables is None else forecast_of(numbers[TOLD:])
    bought, spend, counts, amounts = numbers[BOUGHT] > 0, expected.spend, expected.counts, expected.amounts
    known = Known(*numbers[PAST:TOLD])
    return ValueScore(
        expected_spend=spend / minor,
        spend_low=expected.low / minor,
        spend_high=expected.high / minor,
        expected_orders=expected.orders,
        p_alive=numbers[P_ALIVE],
        next_purchase_low=after(as_of, numbers[SOON]) if bought else None,
        next_purchase_at=after(as_of, numbers[MIDDLE]) if bought else None,
        next_purchase_high=after(as_of, numbers[LATE]) if bought else None,
        horizon_days=model.horizon_days,
        year_spend=spend * _year(model, numbers[GROWN]) / minor,
        year_is_extrapolated=model.horizon_days < YEAR,
        model_version=model.version,
        median_spend=None if amounts is None else amounts[MEDIAN] / minor,
        median_orders=None if counts is None else counts[MEDIAN],
        tier=tier(model, spend),
        intervals=() if counts is None or amounts is None else intervals(counts, amounts, minor),
        worth=worth(serving, customer, as_of, model, known, spend, minor),
    )


def _year(model: ValueModel, grown: float) -> float:
    """A year's value over that of the horizon."""
    if model.horizon_days >= YEAR:
        return 1.0
    return carried_one(grown, model.growth_exponent, float(model.horizon_days), float(YEAR))
