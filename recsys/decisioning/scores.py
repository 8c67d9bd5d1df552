"""One customer → churn, value and next purchase."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from msgspec import structs

from recsys.data.tail import CustomerRows, OrderEvent, PackedOrders, rows_at
from recsys.decisioning import places as p
from recsys.decisioning.answers import ChurnScore, Reason, ScoresAnswer, ValueScore
from recsys.decisioning.books import YEAR
from recsys.decisioning.churn_reasons import churn_reasons
from recsys.decisioning.serving import Serving
from recsys.decisioning.timing import after
from recsys.decisioning.weighing import Weighing
from recsys.decisioning.words import Language, checked_language
from recsys.decisioning.worth import intervals, tier, worth
from recsys.models.churn import ChurnModel


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
    churn, value = _churn(serving.churn, numbers[p.CHURN]), _value(serving, as_of, numbers)
    if told is not None and churn is not None:
        why = _reasons(serving, rows_at(serving.snapshot, customer, as_of, events), weighing.rows[0], told)
        churn = structs.replace(churn, reasons=why)
    return ScoresAnswer(
        customer_id,
        as_of,
        serving.snapshot.snapshot_id,
        "history" if numbers[p.ORDERS] > 0 else "low",
        churn,
        value,
    )


def _churn(model: ChurnModel | None, probability: float) -> ChurnScore | None:
    """The churn score without reasons."""
    if model is None:
        return None
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


def _value(serving: Serving, as_of: int, n: list[float]) -> ValueScore | None:
    """What the numbers `n` of a customer say of value, see `recsys.decisioning.places`."""
    model = serving.value
    if model is None:
        return None
    bought, distributed = n[p.BOUGHT] > 0, model.predictive is not None
    return ValueScore(
        n[p.SPEND],
        n[p.SPEND_LOW],
        n[p.SPEND_HIGH],
        n[p.TOLD + 1],
        n[p.P_ALIVE],
        after(as_of, n[p.MIDDLE]) if bought else None,
        after(as_of, n[p.SOON]) if bought else None,
        after(as_of, n[p.LATE]) if bought else None,
        model.horizon_days,
        n[p.YEAR_SPEND],
        model.horizon_days < YEAR,
        model.version,
        n[p.MEDIAN_SPEND] if distributed else None,
        n[p.MEDIAN_ORDERS] if distributed else None,
        tier(model, n[p.TOLD]),
        intervals(n) if distributed else (),
        worth(serving, as_of, model, n),
    )
