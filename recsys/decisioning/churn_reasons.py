"""Why a customer is likely to stay or leave, in plain words with the numbers behind them."""

import numpy as np
import numpy.typing as npt

from recsys.decisioning.answers import Reason
from recsys.decisioning.serving import Serving
from recsys.features.customer import CUSTOMER_FEATURES

STRONGEST = 3

_LIVES = ("pareto_alive", "pareto_active", "pareto_orders", "prior_orders", "lifetime_share", "purchase_rate")
_WORTH = ("pareto_spend", "prior_spend")

MEANINGS: dict[str, tuple[str, ...]] = {
    "silence": ("days_since_last", "overdue", "overdue_longest", "last_gap"),
    "rhythm": ("mean_gap", "own_gap", "gap_deviation", "longest_gap", "recent_gap", "gap_trend"),
    "recent_orders": tuple(n for n in CUSTOMER_FEATURES if n.startswith("orders_")),
    "recent_spend": tuple(n for n in CUSTOMER_FEATURES if n.startswith("spend_") and n != "spend_per_day"),
    "loyalty": ("orders", "purchase_days", "days_since_first", "alive", "expected_orders", *_LIVES),
    "worth": ("spend", "mean_order_spend", "spend_per_day", "expected_spend", "order_spend_deviation", *_WORTH),
    "last_baskets": (
        "last_order_spend",
        "recent_order_spend",
        "basket_trend",
        "recent_lines_per_order",
        "lines_per_order",
    ),
    "variety": ("distinct_items", "recent_items", "new_item_share"),
    "favourites": ("favourites", "lost_favourites"),
    "places": ("stores", "store_share"),
    "returns": ("return_share",),
    "discounts": ("discount_share",),
    "times": ("weekend_share", "evening_share"),
}
"""Meaning → the features that carry it; contributions of one meaning are summed before the strongest are named."""

_COLUMN = {name: index for index, name in enumerate(CUSTOMER_FEATURES)}


def churn_reasons(
    serving: Serving, contributions: npt.NDArray[np.float64], row: npt.NDArray[np.float32]
) -> tuple[Reason, ...]:
    """The three strongest meanings behind one score.

    `contributions` (n_features + 1,) of the raw score (the last is the base's), `row` (n_features,). A reason's code is
    its meaning; `direction` in the evidence says which way it moves the score.
    """
    sums = {meaning: float(sum(contributions[_COLUMN[n]] for n in names)) for meaning, names in MEANINGS.items()}
    ordered = sorted(sums, key=lambda meaning: (-abs(sums[meaning]), meaning))
    told = (_told(serving, meaning, sums[meaning], row) for meaning in ordered if sums[meaning] != 0)
    return tuple(reason for reason in told if reason is not None)[:STRONGEST]


def _told(serving: Serving, meaning: str, contribution: float, row: npt.NDArray[np.float32]) -> Reason | None:
    numbers = {name: float(row[_COLUMN[name]]) for name in MEANINGS[meaning]}
    said = _say(meaning, {**numbers, **_context(serving, row)})
    if said is None:
        return None
    direction = "raises" if contribution > 0 else "lowers"
    evidence: dict[str, float | str] = {name: round(x, 4) for name, x in numbers.items() if not np.isnan(x)}
    evidence |= {"contribution": round(contribution, 6), "direction": f"{direction}_churn"}
    return Reason(meaning, f"{said} ({direction} the risk)", evidence)


def _context(serving: Serving, row: npt.NDArray[np.float32]) -> dict[str, float]:
    names = ("days_since_last", "own_gap", "mean_order_spend", "recent_order_spend", "orders", "days_since_first")
    money = serving.snapshot.money
    numbers = {name: float(row[_COLUMN[name]]) for name in names}
    return numbers | {
        "money_mean": money(numbers["mean_order_spend"]),
        "money_recent": money(numbers["recent_order_spend"]),
        "money_112": money(float(row[_COLUMN["spend_112d"]])),
        "money_spend": money(float(row[_COLUMN["spend"]])),
    }


def _say(meaning: str, x: dict[str, float]) -> str | None:
    """One phrase; None where the numbers behind it are missing."""
    if np.isnan(x["days_since_last"]):
        return "no purchase so far" if meaning in {"silence", "loyalty"} else None
    phrase = PHRASES[meaning]
    needed = [part.split("}")[0].split(":")[0] for part in phrase.split("{")[1:]]
    return None if any(np.isnan(x[name]) for name in needed) else phrase.format(**x)


PHRASES = {
    "silence": "last purchase {days_since_last:.0f} days ago, where {own_gap:.0f} days are usual for this customer",
    "rhythm": "buys every {own_gap:.1f} days on average",
    "recent_orders": "{orders_28d:.0f} orders in the last 28 days and {orders_112d:.0f} in the last 112",
    "recent_spend": "spent {money_112:,.2f} in the last 112 days",
    "loyalty": "{orders:.0f} orders in {days_since_first:.0f} days as a customer",
    "worth": "spent {money_spend:,.2f} so far, {money_mean:,.2f} an order",
    "last_baskets": "the last orders average {money_recent:,.2f}, all orders {money_mean:,.2f}",
    "variety": "{distinct_items:.0f} different items so far, {recent_items:.0f} in the last five orders",
    "favourites": "{lost_favourites:.0%} of {favourites:.0f} favourite items not bought for long",
    "places": "shops in {stores:.0f} stores, {store_share:.0%} of orders in the last one",
    "returns": "{return_share:.0%} of lines were returns",
    "discounts": "{discount_share:.0%} of the list price was discount",
    "times": "{weekend_share:.0%} of orders at the weekend, {evening_share:.0%} in the evening",
}
"""What each meaning is told as."""
