"""Plain Python twins of the feature kernels: slow, from the definitions, sharing no code with them."""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from recsys.data.snapshot import Snapshot

DAY = 86_400


@dataclass
class Order:
    """One order as a person would write it down."""

    time: int
    store: int
    lines: list[tuple[int, float, int, int]]

    @property
    def bought(self) -> bool:
        return any(quantity > 0 for _, quantity, _, _ in self.lines)

    @property
    def spend(self) -> int:
        return sum(amount for _, _, amount, _ in self.lines)


def orders_of(snapshot: Snapshot, customer: int, as_of: int) -> list[Order]:
    """The customer's orders up to `as_of`, read line by line."""
    h = snapshot.history
    found = []
    for o in range(*h.span(customer)):
        if h.order_time[o] <= as_of:
            rows = range(int(h.line_start[o]), int(h.line_start[o + 1]))
            lines = [
                (
                    int(snapshot.catalogue.product_item[h.line_product[i]]),
                    float(h.line_quantity[i]),
                    int(h.line_amount[i]),
                    int(h.line_discount[i]),
                )
                for i in rows
            ]
            found.append(Order(int(h.order_time[o]), int(h.order_store[o]), lines))
    return found


def local(snapshot: Snapshot, time: int) -> datetime:
    return datetime.fromtimestamp(time, UTC).astimezone(ZoneInfo(snapshot.facts.timezone))


def features(snapshot: Snapshot, customer: int, as_of: int, horizon: float, base: Any) -> dict[str, float]:
    """Every feature of `CUSTOMER_FEATURES` but the expectations, by name."""
    orders = orders_of(snapshot, customer, as_of)
    bought = [order for order in orders if order.bought]
    return (
        _rhythm(snapshot, bought, as_of, base)
        | _windowed(orders, as_of, horizon)
        | _money(orders, bought, as_of)
        | _habits(snapshot, orders, bought, as_of)
    )


def _rhythm(snapshot: Snapshot, bought: list[Order], as_of: int, base: Any) -> dict[str, float]:
    days = sorted({local(snapshot, order.time).date().toordinal() for order in bought})
    found: dict[str, float] = {"orders": len(bought), "purchase_days": len(days)}
    if not bought:
        return found
    gaps = [b - a for a, b in pairwise(days)]
    since = (as_of - bought[-1].time) / DAY
    own = (sum(gaps) + base.means[1] * base.means[2]) / (len(gaps) + base.means[2])
    found |= {
        "days_since_first": (as_of - bought[0].time) / DAY,
        "days_since_last": since,
        "own_gap": own,
        "overdue": since / own,
    }
    if gaps:
        mean = sum(gaps) / len(gaps)
        recent = gaps[0]
        for gap in gaps[1:]:
            recent = 0.6 * recent + 0.4 * gap
        found |= {"mean_gap": mean, "last_gap": gaps[-1], "longest_gap": max(gaps), "recent_gap": recent}
        found |= {"gap_trend": recent / own, "overdue_longest": since / max(gaps)}
        if len(gaps) > 1:
            found["gap_deviation"] = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    return found


def _windowed(orders: list[Order], as_of: int, horizon: float) -> dict[str, float]:
    found: dict[str, float] = {}
    spans = {f"{days}d": (0, days) for days in (14, 28, 56, 112, 224)}
    spans |= {"horizon": (0, horizon), "before_horizon": (horizon, 2 * horizon)}
    for name, (start, stop) in spans.items():
        inside = [order for order in orders if start <= (as_of - order.time) / DAY < stop]
        found[f"orders_{name}"] = sum(order.bought for order in inside)
        found[f"spend_{name}"] = sum(order.spend for order in inside)
    return found


def _money(orders: list[Order], bought: list[Order], as_of: int) -> dict[str, float]:
    total = sum(order.spend for order in orders)
    if not bought:
        return {"spend": total}
    mean = total / len(bought)
    squares = sum(order.spend**2 for order in bought) / len(bought) - mean**2
    last_five = bought[-5:]
    per_order = sum(len(order.lines) for order in bought) / len(bought)
    recent = sum(len(order.lines) for order in last_five) / len(last_five)
    found = {
        "spend": total,
        "mean_order_spend": mean,
        "last_order_spend": bought[-1].spend,
        "recent_order_spend": sum(order.spend for order in last_five) / len(last_five),
        "spend_per_day": total / max(1.0, (as_of - bought[0].time) / DAY),
        "lines_per_order": per_order,
        "recent_lines_per_order": recent,
        "basket_trend": recent / per_order,
    }
    return found | ({"order_spend_deviation": math.sqrt(max(0.0, squares))} if len(bought) > 1 else {})


def _habits(snapshot: Snapshot, orders: list[Order], bought: list[Order], as_of: int) -> dict[str, float]:
    if not bought:
        return {}
    times: dict[int, list[int]] = defaultdict(list)
    baskets = [sorted({item for item, quantity, _, _ in order.lines if quantity > 0 and item >= 0}) for order in bought]
    for order, basket in zip(bought, baskets, strict=True):
        for item in basket:
            times[item].append(order.time)
    favourites = [seen for seen in times.values() if len(seen) >= 3]
    lost = [seen for seen in favourites if as_of - seen[-1] > 2 * (seen[-1] - seen[0]) / (len(seen) - 1)]
    recent = [(item, number) for number in range(max(0, len(bought) - 5), len(bought)) for item in baskets[number]]
    first = {item: min(n for n, basket in enumerate(baskets) if item in basket) for item in times}
    lines = [line for order in orders for line in order.lines]
    paid, saved = sum(line[2] for line in lines), sum(line[3] for line in lines)
    stores = Counter(order.store for order in orders[-64:])
    when = [local(snapshot, order.time) for order in bought]
    found = {
        "distinct_items": len(times),
        "recent_items": len({item for item, _ in recent}),
        "favourites": len(favourites),
        "stores": len(stores),
        "store_share": stores[orders[-1].store] / len(orders[-64:]),
        "return_share": sum(quantity < 0 for _, quantity, _, _ in lines) / len(lines),
        "discount_share": saved / (paid + saved) if paid + saved > 0 else 0.0,
        "weekend_share": sum(moment.weekday() >= 5 for moment in when) / len(when),
        "evening_share": sum(moment.hour >= 17 for moment in when) / len(when),
    }
    if favourites:
        found["lost_favourites"] = len(lost) / len(favourites)
    if recent:
        found["new_item_share"] = sum(number == first[item] for item, number in recent) / len(recent)
    return found
