"""Why an item is offered: the customer's own history and what others did, always with the numbers."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY
from recsys.data.history import HistoryArrays
from recsys.data.tail import CustomerRows
from recsys.decisioning.answers import Reason
from recsys.decisioning.serving import Serving
from recsys.features.personal import CatalogueArrays, Own, Scratch, clean, own_items
from recsys.population.facts import PopulationArrays

SUPPORT = 5
"""Customers that must have gone from one item to the other before it is a reason."""
SHRINK = 20.0
"""Customers the usual share counts for when own items compete for being the reason, so that small numbers don't win."""
LIFT = 1.2
"""A share is a reason only if it is this many times the usual one."""


class Evidence(NamedTuple):
    """Numbers behind an item, each (n_items_asked,).

    orders, gap [days], since [days]  own purchases of it; gap NaN below two
    led                               own item that led most customers to it, -1
    led_after, led_buyers, led_orders customers that went on, customers of `led`, the customer's own orders of `led`
    next_item, next_rate              item of the last baskets it follows most often, -1, and how often
    family_orders                     the customer's orders of other items of its family
    """

    orders: Any
    gap: Any
    since: Any
    led: Any
    led_after: Any
    led_buyers: Any
    led_orders: Any
    next_item: Any
    next_rate: Any
    family_orders: Any


def offer_reasons(serving: Serving, rows: CustomerRows, items: npt.NDArray[np.int64]) -> list[tuple[Reason, ...]]:
    """Reasons of each item of `items` (n,), strongest first; none without numbers behind it."""
    evidence = _evidence(
        rows.arrays,
        rows.low,
        rows.high,
        rows.as_of,
        serving.cat,
        serving.population.arrays,
        serving.desk().items,
        items,
    )
    return [_reasons(serving, evidence, at, int(item)) for at, item in enumerate(items)]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _evidence(
    h: HistoryArrays,
    low: int,
    high: int,
    as_of: int,
    cat: CatalogueArrays,
    population: PopulationArrays,
    scratch: Scratch,
    items: Any,
) -> Evidence:
    own = own_items(h, low, high, as_of, cat, scratch)
    n = len(items)
    found = Evidence(
        np.zeros(n, np.int64),
        np.full(n, np.nan),
        np.full(n, np.nan),
        np.full(n, -1, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.full(n, -1, np.int64),
        np.zeros(n),
        np.zeros(n, np.int64),
    )
    for at in range(n):
        k = scratch.slot[items[at]]
        if k >= 0:
            found.orders[at], found.since[at] = own.orders[k], (as_of - own.last[k]) / DAY
            if own.orders[k] > 1:
                found.gap[at] = (own.last[k] - own.first[k]) / DAY / (own.orders[k] - 1)
        for other in range(own.counts[0]):
            if own.item[other] != items[at]:
                _from_item(own, other, items[at], at, cat, population, found)
    clean(own, cat, scratch, 0)
    return found


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _from_item(
    own: Own, k: int, target: int, at: int, cat: CatalogueArrays, population: PopulationArrays, found: Evidence
) -> None:
    """What the own item in slot `k` says about `target`."""
    item = own.item[k]
    near, following = population.neighbours, population.transitions
    for j in range(near.item.shape[1]):
        if near.item[item, j] == target and near.after[item, j] >= SUPPORT:
            buyers, usual = population.items.buyers[item], population.items.buyers[target] / population.base.means[0]
            share = (near.after[item, j] + SHRINK * usual) / (buyers + SHRINK)
            best = (found.led_after[at] + SHRINK * usual) / (found.led_buyers[at] + SHRINK)
            if found.led[at] < 0 or share > best:
                found.led[at], found.led_orders[at] = item, own.orders[k]
                found.led_after[at], found.led_buyers[at] = near.after[item, j], buyers
    if own.position[k] == own.counts[1] - 1:
        for j in range(following.item.shape[1]):
            if following.item[item, j] == target and following.rate[item, j] > found.next_rate[at]:
                found.next_item[at], found.next_rate[at] = item, following.rate[item, j]
    if cat.item_family[item] >= 0 and cat.item_family[item] == cat.item_family[target]:
        found.family_orders[at] += own.orders[k]


def _reasons(serving: Serving, evidence: Evidence, at: int, item: int) -> tuple[Reason, ...]:
    name = serving.snapshot.catalogue.name(item)
    made = (
        _own(evidence, at, name),
        _led(serving, evidence, at, item, name),
        _next(serving, evidence, at, item, name),
        _family(serving, evidence, at, item),
        _popular(serving, item),
    )
    return tuple(reason for reason in made if reason is not None)[:3]


def _own(evidence: Evidence, at: int, name: str) -> Reason | None:
    orders, since = int(evidence.orders[at]), float(evidence.since[at])
    if orders == 0:
        return None
    numbers: dict[str, float | str] = {"item": name, "orders": orders, "days_since_last": round(since, 1)}
    if orders == 1:
        return Reason("bought_once", f"bought {name} once, {_days(since)} ago", numbers)
    gap = float(evidence.gap[at])
    text = f"buys {name} every {_days(gap)} ({orders} orders), last {_days(since)} ago"
    return Reason("own_rhythm", text, {**numbers, "gap_days": round(gap, 1)})


def _led(serving: Serving, evidence: Evidence, at: int, item: int, name: str) -> Reason | None:
    led, items = int(evidence.led[at]), serving.population.arrays.items
    if led < 0 or evidence.orders[at] > 0:
        return None
    share = int(evidence.led_after[at]) / int(evidence.led_buyers[at])
    usual = int(items.buyers[item]) / max(1.0, float(serving.population.arrays.base.means[0]))
    lift = share / usual if usual > 0 else float("inf")
    if lift < LIFT:
        return None
    source, orders = serving.snapshot.catalogue.name(led), int(evidence.led_orders[at])
    text = (
        f"bought {source} {_times(orders)}; {share:.0%} of its {int(evidence.led_buyers[at])} customers went on to buy "
        f"{name}, {lift:.1f} times the usual {usual:.0%}"
    )
    numbers: dict[str, float | str] = {
        "source": source,
        "item": name,
        "own_orders": orders,
        "customers": int(evidence.led_buyers[at]),
        "went_on": int(evidence.led_after[at]),
        "share": round(share, 4),
        "usual": round(usual, 4),
        "lift": round(lift, 2),
    }
    return Reason("went_on_to_buy", text, numbers)


def _days(days: float) -> str:
    return "1 day" if round(days) == 1 else f"{days:.0f} days"


def _times(orders: int) -> str:
    return "once" if orders == 1 else f"{orders} times"


def _next(serving: Serving, evidence: Evidence, at: int, item: int, name: str) -> Reason | None:
    source, facts = int(evidence.next_item[at]), serving.population.arrays
    if source < 0 or source == item:
        return None
    rate, before = float(evidence.next_rate[at]), serving.snapshot.catalogue.name(source)
    usual = int(facts.items.orders[item]) / max(1.0, float(facts.base.means[4]))
    if rate < LIFT * usual:
        return None
    text = f"{rate:.0%} of baskets after one with {before} hold {name}, {rate / usual:.1f} times the usual {usual:.0%}"
    numbers: dict[str, float | str] = {
        "source": before,
        "item": name,
        "share": round(rate, 4),
        "usual": round(usual, 4),
    }
    return Reason("next_basket", text, numbers)


def _family(serving: Serving, evidence: Evidence, at: int, item: int) -> Reason | None:
    orders, catalogue = int(evidence.family_orders[at]), serving.snapshot.catalogue
    if orders == 0 or evidence.orders[at] > 0:
        return None
    family = catalogue.families[int(catalogue.item_family[item])]
    return Reason("same_family", f"bought other {family} {_times(orders)}", {"family": family, "orders": orders})


def _popular(serving: Serving, item: int) -> Reason | None:
    rate = float(serving.population.arrays.items.rate_28[item])
    if rate <= 0:
        return None
    text = f"{rate:.0%} of the active customers bought it in the last 28 days"
    return Reason("popular_now", text, {"share": round(rate, 4)})
