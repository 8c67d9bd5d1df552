"""What points to items besides purchases: attributes of a customer with hardly any, and items looked at lately.

No training data says what a look is worth, and a customer's attributes are no feature of the ranker. So attributes
answer only where the ranker does not, for a customer who bought nothing; and a look raises the log-odds of its item by
at most `MOST_LIFT`, a choice and no measurement: a view just made doubles the odds, the cart doubles them again.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY
from recsys.data.looks import Look, looks_since
from recsys.data.tail import CustomerRows
from recsys.decisioning.answers import OfferRequest
from recsys.decisioning.best import best_of
from recsys.decisioning.candidates import LIST
from recsys.decisioning.serving import Serving
from recsys.models.offers import OffersModel

FEW_ORDERS = 1
"""A customer with more orders says more by them than by age or city."""
HALF_LIFE = 3.0
"""Days after which a look weighs half."""
VIEW_LIFT, MOST_LIFT = math.log(2.0), math.log(4.0)
"""Added to the log-odds of an item just viewed, just put in the cart."""


class LookedAt(NamedTuple):
    """An item looked at since the customer's last order with it: how often, when last [s], and how fresh in all."""

    item: int
    views: int
    carts: int
    last: int
    weight: float


class Pointed(NamedTuple):
    """What points to items of one customer.

    named   int64 (2, k)            items best first, -1 padded: those of lookalikes, those looked at
    rows    int16 (n_attributes,)   rows of the attributes' values, None where they don't answer
    likely  float32 (n_items,)      share of customers alike that is expected to buy each item, None without rows
    """

    named: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int16] | None = None
    likely: npt.NDArray[np.float32] | None = None
    looked: tuple[LookedAt, ...] = ()


NOTHING = Pointed(np.zeros((2, 0), np.int64))


def pointed_at(
    serving: Serving,
    request: OfferRequest,
    rows: CustomerRows,
    allowed: npt.NDArray[np.uint8],
    looks: Sequence[Look],
) -> Pointed:
    """What points to items, of the `allowed` uint8 (n_items,); raises `RequestRefused` for an unknown attribute."""
    known = _attributes(serving, request, rows)
    looked = looked_at(serving, rows, looks) if looks else ()
    if known is None and not looked:
        return NOTHING
    named = np.full((2, max(LIST, len(looked))), -1, np.int64)
    named[1, : len(looked)] = [each.item for each in looked]
    if known is None:
        return Pointed(named, looked=looked)
    likely = serving.population.lookalikes.scores(known, serving.population.arrays.items.rate_28)
    best_of(likely, -allowed.astype(np.int32), named[0, :LIST])
    return Pointed(named, known, likely, looked)


def _attributes(serving: Serving, request: OfferRequest, rows: CustomerRows) -> npt.NDArray[np.int16] | None:
    """Rows of the values known of a customer with hardly any order: told with the request before imported."""
    facts = serving.population.lookalikes
    told = facts.rows_told(request.attributes) if request.attributes else None
    if rows.high - rows.low > FEW_ORDERS or not facts.attributes:
        return None
    known = facts.rows_of(request.customer_id)
    if known is not None and serving.snapshot.customers.forgets(request.customer_id):
        known = None
    if told is not None:
        known = told if known is None else np.where(told >= 0, told, known).astype(np.int16)
    return known if known is not None and (known >= 0).any() else None


def looked_at(serving: Serving, rows: CustomerRows, looks: Sequence[Look]) -> tuple[LookedAt, ...]:
    """Items looked at within the look-back and neither bought nor brought back since.

    Those in the cart come first, then the freshest and most frequent, ties by item. Products without an item and looks
    after `as_of` don't count.
    """
    seen: dict[int, list[Look]] = {}
    since, find = looks_since(rows.as_of), serving.snapshot.catalogue.item_of_product
    for look in looks:
        if since < look.occurred_at <= rows.as_of:
            for item in {find(product) for product in look.product_ids}:
                seen.setdefault(item, []).append(look)
    last = _last_orders(serving, rows, [item for item in seen if item >= 0])
    found = (_looked(item, each, last.get(item, -1), rows.as_of) for item, each in seen.items() if item >= 0)
    return tuple(sorted((each for each in found if each.weight > 0), key=_sooner))


def _sooner(each: LookedAt) -> tuple[bool, float, int]:
    return each.carts == 0, -each.weight, each.item


def _looked(item: int, looks: list[Look], ordered: int, as_of: int) -> LookedAt:
    after = sorted((look.occurred_at, look.cart) for look in looks if look.occurred_at > ordered)
    weight = sum(0.5 ** ((as_of - at) / DAY / HALF_LIFE) for at, _ in after)
    carts = sum(cart for _, cart in after)
    return LookedAt(item, len(after) - carts, carts, after[-1][0] if after else -1, weight)


def _last_orders(serving: Serving, rows: CustomerRows, items: list[int]) -> dict[int, int]:
    """Instant of the last order, or return, with each of `items` [s]."""
    h = rows.arrays
    starts = h.line_start[rows.low : rows.high + 1].astype(np.int64)
    product = h.line_product[starts[0] : starts[-1]]
    item = np.where(product >= 0, serving.cat.product_item[product], -1)
    at = np.flatnonzero(np.isin(item, items))
    order = rows.low + np.searchsorted(starts, starts[0] + at, side="right") - 1
    return dict(zip(item[at].tolist(), h.order_time[order].tolist(), strict=True))  # oldest first: the last stays


def lifts(looked: Sequence[LookedAt], items: npt.NDArray[np.int64], as_of: int) -> npt.NDArray[np.float64]:
    """What looks add to the log-odds of `items` (n,), at most `MOST_LIFT` each."""
    lift = np.zeros(len(items))
    for each in looked:
        most = MOST_LIFT if each.carts else VIEW_LIFT
        lift[items == each.item] = most * 0.5 ** ((as_of - each.last) / DAY / HALF_LIFE)
    return lift


def raised_share(share: npt.NDArray[np.float64], lift: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Shares (n,) whose odds are raised by `lift`; those without a lift keep their bits."""
    out = share.copy()
    for at in np.flatnonzero(lift).tolist():
        odds = float(share[at]) * math.exp(lift[at])
        out[at] = odds / (1.0 - float(share[at]) + odds)
    return out


def speaks_log_odds(model: OffersModel) -> bool:
    """Whether the ranker's raw scores are log-odds, as trees' are; a baseline's are shares and counts."""
    return model.ranker.kind == "lightgbm"
