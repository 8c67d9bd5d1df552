"""One customer → churn, value and next purchase."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from recsys.data.tail import CustomerRows, OrderEvent, rows_at
from recsys.decisioning.answers import ChurnScore, Reason, ScoresAnswer, ValueScore
from recsys.decisioning.churn_reasons import churn_reasons
from recsys.decisioning.serving import Serving
from recsys.decisioning.timing import next_due
from recsys.features.customer import CUSTOMER_FEATURES, N_FEATURES, customer_row
from recsys.features.timing import growth
from recsys.models.value import ValueModel, carried

YEAR = 365
ALIVE = CUSTOMER_FEATURES.index("pareto_alive")


def score(
    serving: Serving, customer_id: str, events: Sequence[OrderEvent], as_of: int, *, reasons: bool = False
) -> ScoresAnswer:
    """Churn and value of one customer at `as_of` [s], with the tail `events` folded in.

    Pure: the same serving, events and `as_of` give the same bits, alone or in a batch. An unknown customer gets what
    the base's priors say, labelled `evidence: low`.
    """
    customer = serving.snapshot.customers.index(customer_id)
    rows = rows_at(serving.snapshot, customer, as_of, events)
    return ScoresAnswer(
        customer_id=customer_id,
        as_of=as_of,
        snapshot_id=serving.snapshot.snapshot_id,
        evidence="history" if rows.high > rows.low else "low",
        churn=_churn(serving, rows, reasons=reasons),
        value=_value(serving, rows),
    )


def features(serving: Serving, rows: CustomerRows, horizon_days: int) -> npt.NDArray[np.float32]:
    """Feature row (1, N_FEATURES) of one customer."""
    out = np.empty((1, N_FEATURES), np.float32)
    customer_row(
        rows.arrays,
        rows.low,
        rows.high,
        rows.as_of,
        serving.cat.product_item,
        serving.zone,
        serving.population.arrays.base,
        float(horizon_days),
        serving.desk().counts,
        out[0],
    )
    return out


def _churn(serving: Serving, rows: CustomerRows, *, reasons: bool) -> ChurnScore | None:
    model = serving.churn
    if model is None:
        return None
    row = features(serving, rows, model.horizon_days)
    why: tuple[Reason, ...] = churn_reasons(serving, model.contributions(row)[0], row[0]) if reasons else ()
    return ChurnScore(float(model.probability(row)[0]), model.horizon_days, model.version, why, model.threshold)


def _value(serving: Serving, rows: CustomerRows) -> ValueScore | None:
    model = serving.value
    if model is None:
        return None
    row = features(serving, rows, model.horizon_days)
    expected = model.expected(row)
    money = serving.snapshot.money
    span = (rows.arrays, rows.low, rows.high, rows.as_of, serving.zone, serving.population.arrays.base)
    due = next_due(serving, rows)
    spend = float(expected.spend[0])
    longer = _year(model, float(growth(*span, float(model.horizon_days), float(YEAR))))
    return ValueScore(
        expected_spend=money(spend),
        spend_low=money(float(expected.low[0])),
        spend_high=money(float(expected.high[0])),
        expected_orders=float(expected.orders[0]),
        p_alive=float(row[0, ALIVE]),
        next_purchase_low=due.low,
        next_purchase_at=due.at,
        next_purchase_high=due.high,
        horizon_days=model.horizon_days,
        year_spend=money(spend * longer),
        year_is_extrapolated=model.horizon_days < YEAR,
        model_version=model.version,
    )


def _year(model: ValueModel, grown: float) -> float:
    """A year's value over that of the horizon."""
    if model.horizon_days >= YEAR:
        return 1.0
    return float(carried(grown, model.growth_exponent, float(model.horizon_days), float(YEAR)))
