"""Why a customer is likely to stay or leave: contributions of the score by meaning, told by what the numbers say.

The tree contributions of all features with one meaning are added up; the strongest meanings are told. Which sentence a
meaning gets is decided by its numbers alone ("the basket shrinks" only if it does), which way it moves the risk by the
sign of the sum.
"""

from collections.abc import Callable
from math import isnan
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY
from recsys.data.tail import CustomerRows
from recsys.decisioning.answers import Reason
from recsys.decisioning.serving import Serving
from recsys.decisioning.words import Language, say
from recsys.features.customer import CUSTOMER_FEATURES

STRONGEST = 3

_DUE = ("alive", "expected_orders", "pareto_alive", "pareto_active", "pareto_orders", "lifetime_share")
_WORTH = ("expected_spend", "pareto_spend", "prior_spend")

MEANINGS: dict[str, tuple[str, ...]] = {
    "silence": ("days_since_last", "overdue", "overdue_longest", *_DUE),
    "rhythm": (
        *("mean_gap", "own_gap", "gap_deviation", "longest_gap", "last_gap", "recent_gap", "gap_trend"),
        *(n for n in CUSTOMER_FEATURES if n.startswith("orders_")),
    ),
    "spending": tuple(n for n in CUSTOMER_FEATURES if n.startswith("spend_") and n != "spend_per_day"),
    "tenure": ("orders", "purchase_days", "days_since_first", "prior_orders", "purchase_rate"),
    "worth": ("spend", "mean_order_spend", "spend_per_day", "order_spend_deviation", "lines_per_order", *_WORTH),
    "basket": ("last_order_spend", "recent_order_spend", "basket_trend", "recent_lines_per_order"),
    "choice": ("favourites", "lost_favourites", "distinct_items", "recent_items", "new_item_share"),
    "places": ("stores", "store_share"),
    "returns": ("return_share",),
    "discounts": ("discount_share",),
    "times": ("weekend_share", "evening_share"),
}
"""Meaning → the features that carry it; contributions of one meaning are summed before the strongest are named."""

CHURN_CODES: dict[str, tuple[str, ...]] = {
    "silence": ("long_silence", "bought_lately", "no_purchase"),
    "rhythm": ("slower_rhythm", "faster_rhythm", "fewer_visits", "more_visits", "steady_rhythm", "first_rhythm"),
    "spending": ("less_spend", "more_spend", "steady_spend"),
    "tenure": ("tenure", "no_purchase"),
    "worth": ("worth",),
    "basket": ("smaller_basket", "larger_basket", "steady_basket"),
    "choice": ("lost_category", "lost_favourites", "kept_favourites", "variety"),
    "places": ("fewer_stores", "same_stores"),
    "returns": ("returns",),
    "discounts": ("discounts",),
    "times": ("times_of_day",),
}
"""Meaning → codes its reasons may have: what the numbers say of it."""

SYMPTOMS = ("spending", "choice")
"""Meanings that follow from others: who comes less often spends less and misses favourites, who fills a smaller basket
too. What they add to the risk is counted to the rhythm or the basket if that is what changed."""
SURELY = 3.0
"""A category is lost if so many lines of it were due lately and none came: chance leaves one in twenty without."""

CHANGED = 0.15
"""A change is named a change from this share on."""
ORDERS_COMPARED = 10
"""Stores of the last so many orders are compared with those of as many before."""
_COLUMN = {name: index for index, name in enumerate(CUSTOMER_FEATURES)}


class Customer(NamedTuple):
    """What phrases are made of: feature row float32 (n_features,), the customer's rows, the horizon [days]."""

    serving: Serving
    rows: CustomerRows
    horizon_days: int
    row: npt.NDArray[np.float32]

    def __call__(self, name: str) -> float:
        """A feature."""
        return float(self.row[_COLUMN[name]])

    def money(self, name: str) -> float:
        """A feature of money [currency]."""
        return round(float(self.serving.snapshot.money(self(name))), 2)


Numbers = dict[str, float | str]
Told = tuple[str, Numbers] | None


def churn_reasons(
    serving: Serving,
    rows: CustomerRows,
    horizon_days: int,
    contributions: npt.NDArray[np.float64],
    row: npt.NDArray[np.float32],
    language: Language = "en",
) -> tuple[Reason, ...]:
    """The three strongest meanings behind one score, in `language`.

    `contributions` (n_features + 1,) of the raw score (the last is the base's), `row` (n_features,). `direction` in the
    evidence says which way a reason moves the score.
    """
    customer = Customer(serving, rows, horizon_days, row)
    sums = {meaning: float(sum(contributions[_COLUMN[n]] for n in names)) for meaning, names in MEANINGS.items()}
    sums = _to_roots(sums, customer)
    reasons: list[Reason] = []
    for meaning in sorted(sums, key=lambda meaning: (-abs(sums[meaning]), meaning)):
        told = _tell(meaning, customer) if sums[meaning] != 0 and len(reasons) < STRONGEST else None
        if told is not None:
            reasons.append(_reason(*told, sums[meaning], language))
    return tuple(reasons)


def _to_roots(sums: dict[str, float], customer: Customer) -> dict[str, float]:
    """Sums with what symptoms add to the risk counted to what they follow from; see `SYMPTOMS`."""
    root, moved = _root(customer), dict(sums)
    lost = sums["choice"] > 0 and _lost_category(customer) is not None
    for symptom in SYMPTOMS:
        if root is not None and sums[symptom] > 0 and not (symptom == "choice" and lost):
            moved[root] += sums[symptom]
            moved[symptom] = 0.0
    return moved


def _root(x: Customer) -> str | None:
    """What shrank by more: the basket (lines an order) or the rhythm (gaps between orders); None if neither did."""
    basket, rhythm = 1 / x("basket_trend") if x("basket_trend") > 0 else 1.0, x("gap_trend")
    if not max(basket, 0.0 if np.isnan(rhythm) else rhythm) > 1 + CHANGED:
        return None
    return "rhythm" if rhythm > basket else "basket"


def _reason(code: str, numbers: Numbers, contribution: float, language: Language) -> Reason:
    direction = "raises_churn" if contribution > 0 else "lowers_churn"
    text = say(direction, {"said": say(code, numbers, language)}, language)
    return Reason(code, text, {**numbers, "contribution": round(contribution, 6), "direction": direction})


def _tell(meaning: str, customer: Customer) -> Told:
    """Code and numbers of a meaning; None where the numbers behind it are missing."""
    if np.isnan(customer("days_since_last")):
        return ("no_purchase", {"orders": 0}) if meaning == "silence" else None
    told = _SAYERS[meaning](customer)
    return None if told is None or any(isinstance(x, float) and isnan(x) for x in told[1].values()) else told


def _silence(x: Customer) -> Told:
    numbers: Numbers = {"days_since_last": _days(x("days_since_last")), "usual_gap_days": _days(x("own_gap"))}
    return ("long_silence" if x("overdue") > 1 + CHANGED else "bought_lately"), numbers


def _rhythm(x: Customer) -> Told:
    usual: Numbers = {"usual_gap_days": _days(x("own_gap"))}
    if np.isnan(x("recent_gap")):
        return "first_rhythm", usual
    code = _by_change(x("gap_trend"), "faster_rhythm", "steady_rhythm", "slower_rhythm")
    lately, before = int(x("orders_horizon")), int(x("orders_before_horizon"))
    if code == "steady_rhythm" and lately != before:
        numbers: Numbers = {"orders_lately": lately, "orders_before": before, "days": x.horizon_days}
        return ("fewer_visits" if lately < before else "more_visits"), numbers
    return code, {"recent_gap_days": _days(x("recent_gap")), **usual}


def _spending(x: Customer) -> Told:
    lately, before = x.money("spend_horizon"), x.money("spend_before_horizon")
    change = lately / before if before > 0 else 1.0 if lately == before else float("inf")
    code = _by_change(change, "less_spend", "steady_spend", "more_spend")
    return code, {"spend_lately": lately, "spend_before": before, "days": x.horizon_days}


def _basket(x: Customer) -> Told:
    paid = x("recent_order_spend") / x("mean_order_spend") if x("mean_order_spend") > 0 else 1.0
    trends = (x("basket_trend"), paid)
    code = _by_change(max(trends, key=lambda trend: abs(trend - 1)), "smaller_basket", "steady_basket", "larger_basket")
    return code, {
        "lines_lately": round(x("recent_lines_per_order"), 1),
        "order_lately": x.money("recent_order_spend"),
        "lines_all": round(x("lines_per_order"), 1),
        "order_all": x.money("mean_order_spend"),
    }


def _choice(x: Customer) -> Told:
    category = _lost_category(x)
    if category is not None:
        return "lost_category", category
    if not x("favourites") > 0:
        return "variety", {name: int(x(name)) for name in ("distinct_items", "recent_items")}
    favourites, lost = int(x("favourites")), round(x("favourites") * x("lost_favourites"))
    if lost == 0:
        return "kept_favourites", {"favourites": favourites}
    item, orders, days = _missed(x)
    numbers: Numbers = {"lost": lost, "favourites": favourites, "item": item, "orders": orders, "days_without": days}
    return "lost_favourites", numbers


def _lost_category(x: Customer) -> Numbers | None:
    """The family of items that is missing most surely in the last horizon, by how many lines of it were due."""
    order, item = _bought(x)
    family = x.serving.cat.item_family[item].astype(np.int64)
    late = x.rows.arrays.order_time[order] >= x.rows.as_of - x.horizon_days * DAY
    lines, earlier = int(late.sum()), family[~late & (family >= 0)]
    if lines == 0 or len(earlier) == 0:
        return None
    share = np.bincount(earlier) / (~late).sum()
    share[np.unique(family[late & (family >= 0) & (family < len(share))])] = 0.0
    lost = int(share.argmax())
    if share[lost] * lines < SURELY:
        return None
    name = x.serving.snapshot.catalogue.families[lost]
    return {"category": name, "share": round(float(share[lost]), 4), "lines": lines, "days": x.horizon_days}


def _missed(x: Customer) -> tuple[str, int, float]:
    """Of the favourites that are missing for more than twice their own mean gap, the one bought most often."""
    order, item = _bought(x)
    times = x.rows.arrays.order_time
    found, best = ("", 0, 0.0), 0
    for each in np.unique(item):
        orders = np.unique(order[item == each])
        first, last = int(times[orders[0]]), int(times[orders[-1]])
        lost = len(orders) >= 3 and x.rows.as_of - last > 2 * (last - first) / (len(orders) - 1)
        if lost and len(orders) > best:
            best = len(orders)
            found = (x.serving.snapshot.catalogue.name(int(each)), best, _days((x.rows.as_of - last) / DAY))
    return found


def _bought(x: Customer) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Order and item of every line with a quantity above 0, (n_lines,) each."""
    h, low, high = x.rows.arrays, x.rows.low, x.rows.high
    start = h.line_start[low : high + 1].astype(np.int64)
    lines = slice(int(start[0]), int(start[-1]))
    order = np.repeat(np.arange(low, high), np.diff(start))
    product = h.line_product[lines].astype(np.int64)
    item = np.where(product >= 0, x.serving.cat.product_item[np.maximum(product, 0)], -1).astype(np.int64)
    bought = (h.line_quantity[lines] > 0) & (item >= 0)
    return order[bought], item[bought]


def _places(x: Customer) -> Told:
    stores = x.rows.arrays.order_store[x.rows.low : x.rows.high]
    lately = len(np.unique(stores[-ORDERS_COMPARED:]))
    before = len(np.unique(stores[-2 * ORDERS_COMPARED : -ORDERS_COMPARED]))
    if len(stores) >= 2 * ORDERS_COMPARED and lately < before:
        return "fewer_stores", {"stores_lately": lately, "stores_before": before, "orders": ORDERS_COMPARED}
    return "same_stores", {"stores": int(x("stores")), "store_share": round(x("store_share"), 4)}


def _shares(code: str, *names: str) -> Callable[[Customer], Told]:
    return lambda x: (code, {name: round(x(name), 4) for name in names})


def _days(days: float) -> float:
    return round(days, 1)


def _by_change(ratio: float, less: str, same: str, more: str) -> str:
    """Which of three codes a ratio of now to before asks for."""
    return less if ratio < 1 - CHANGED else more if ratio > 1 + CHANGED else same


_SAYERS: dict[str, Callable[[Customer], Told]] = {
    "silence": _silence,
    "rhythm": _rhythm,
    "spending": _spending,
    "tenure": lambda x: ("tenure", {"orders": int(x("orders")), "days_known": _days(x("days_since_first"))}),
    "worth": lambda x: ("worth", {"spend": x.money("spend"), "order_all": x.money("mean_order_spend")}),
    "basket": _basket,
    "choice": _choice,
    "places": _places,
    "returns": _shares("returns", "return_share"),
    "discounts": _shares("discounts", "discount_share"),
    "times": _shares("times_of_day", "weekend_share", "evening_share"),
}
