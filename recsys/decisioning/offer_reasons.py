"""Why an item is offered: claims made of evidence, of which only those are told whose evidence carries the rank."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from recsys.data.tail import CustomerRows
from recsys.decisioning.answers import Reason
from recsys.decisioning.counterfactual import Ranked, Removal, Trials
from recsys.decisioning.offer_evidence import RECENT_ORDERS, Evidence, evidence_of
from recsys.decisioning.pointed_reasons import LIFT, pointed_to
from recsys.decisioning.serving import Desk, Serving
from recsys.decisioning.words import Language, say
from recsys.features.pairs import PAIR_FEATURES

OFFER_CODES = (
    "own_recent",
    "own_rhythm",
    "bought_once",
    "went_on_to_buy",
    "next_basket",
    "same_family",
    "in_cart",
    "looked_at",
    "lookalikes",
    "popular_now",
    "new_arrival",
)
"""Codes of the reasons of offers; docs/reasons.md says what each removes."""

OF_THE_BASE = frozenset(("popular_now", "new_arrival"))
"""Reasons that hold for everyone; what is the customer's own comes first."""

STRONGEST = 3
COUNTS = frozenset(
    ("own_orders", "own_share", "own_orders_28d", "own_orders_91d", "own_fast", "own_slow", "own_streak")
)
"""Features of own purchases that are 0 for an item never bought; the others are missing."""
POPULAR = 0.1
"""Popular now: among this share of the items, by customers of the last 28 days."""
NEW_DAYS = 28.0
"""An item is new in the assortment for so long [days]."""
RATES = ("item_rate_7", "item_rate_28", "item_trend", "item_adoption", "item_rate_now", "item_adoption_now")
UNSOLD = Removal(features=tuple((name, 0.0) for name in RATES))
"""Purchases of the item by anyone in the last 28 days, removed: its fresh rates and what is made of them."""


NEVER_BOUGHT = Removal(
    features=tuple((name, 0.0 if name in COUNTS else float("nan")) for name in PAIR_FEATURES if name.startswith("own_"))
)
"""The customer's purchases of the item itself, removed: what an item never bought has in their place."""


class Claim(NamedTuple):
    """A possible reason: code, its numbers, and what must be removed to test it."""

    code: str
    evidence: dict[str, float | str]
    removal: Removal = Removal()


class _Asked(NamedTuple):
    """One offered item with the evidence about it at position `at`."""

    serving: Serving
    evidence: Evidence
    at: int
    item: int
    name: str


def offer_reasons(
    serving: Serving, rows: CustomerRows, desk: Desk, ranked: Ranked, n: int, language: Language = "en"
) -> list[tuple[Reason, ...]]:
    """Reasons of the first `n` of `ranked`, at most three each: the customer's own before the base's, strongest first.

    A reason is told only if the item's rank falls, or its raw score where the rank holds, once its evidence is removed.
    """
    claims = _claims(serving, rows, desk, ranked, n)
    pointed = pointed_to(serving, desk, ranked, n, rows.as_of)
    told = [[(each.fall, Claim(each.code, each.evidence)) for each in found] for found in pointed]
    flat = [(rank, claim) for rank, made in enumerate(claims) for claim in made]
    if ranked.blank or serving.offers is None:
        falls = [1.0 if claim.code == "popular_now" else 0.0 for _, claim in flat]
    else:
        trials = Trials(serving, rows, desk, ranked, serving.offers, n)
        falls = trials.falls([(rank, claim.removal) for rank, claim in flat])
    for (rank, claim), fall in zip(flat, falls, strict=True):
        if fall > 0:
            told[rank].append((fall, claim))
    return [_strongest(each, language) for each in told]


def _strongest(told: list[tuple[float, Claim]], language: Language) -> tuple[Reason, ...]:
    best = sorted(told, key=lambda each: (each[1].code in OF_THE_BASE, -each[0]))[:STRONGEST]
    return tuple(Reason(claim.code, say(claim.code, claim.evidence, language), claim.evidence) for _, claim in best)


def _claims(serving: Serving, rows: CustomerRows, desk: Desk, ranked: Ranked, n: int) -> list[tuple[Claim, ...]]:
    """Every claim that has numbers, for each of the first `n` items."""
    items, population = desk.chosen[ranked.order[:n]], serving.population.arrays
    evidence = evidence_of(rows.arrays, rows.low, rows.high, rows.as_of, serving.cat, population, desk.items, items)
    fresh = population.items.rate_28[population.popular.order[int(POPULAR * len(population.popular.order))]]
    claims = []
    for at, item in enumerate(items.tolist()):
        asked = _Asked(serving, evidence, at, item, serving.snapshot.catalogue.name(item))
        claims.append((*_own(asked), *_others(asked), *_base(asked, float(fresh))))
    return claims


def _own(asked: _Asked) -> Iterator[Claim]:
    """The customer's own purchases of the item."""
    found, at = asked.evidence, asked.at
    orders, since = int(found.orders[at]), round(float(found.since[at]), 1)
    numbers: dict[str, float | str] = {"item": asked.name, "orders": orders, "days_since_last": since}
    if orders == 1:
        yield Claim("bought_once", numbers, NEVER_BOUGHT)
    elif orders > 1:
        yield Claim("own_rhythm", {**numbers, "gap_days": round(float(found.gap[at]), 1)}, NEVER_BOUGHT)
    with_item, recent = int(found.with_item[at]), int(found.recent[at])
    if with_item > 1 and recent == RECENT_ORDERS:
        lately: dict[str, float | str] = {"item": asked.name, "with_item": with_item, "recent": recent}
        yield Claim("own_recent", lately, NEVER_BOUGHT)


def _others(asked: _Asked) -> Iterator[Claim]:
    """What the customer's other purchases say of an item never bought, by what others did."""
    found, at = asked.evidence, asked.at
    if found.orders[at] == 0:
        if found.led[at] >= 0:
            yield from _led(asked, int(found.led[at]))
        if found.family_orders[at] > 0:
            yield _family(asked)
    if found.next_item[at] >= 0 and found.next_item[at] != asked.item:
        yield from _next(asked, int(found.next_item[at]))


def _led(asked: _Asked, source: int) -> Iterator[Claim]:
    found, at, facts = asked.evidence, asked.at, asked.serving.population.arrays
    share = int(found.led_after[at]) / int(found.led_buyers[at])
    usual = int(facts.items.buyers[asked.item]) / max(1.0, float(facts.base.means[0]))
    if usual <= 0 or share < LIFT * usual:
        return
    numbers: dict[str, float | str] = {
        "source": asked.serving.snapshot.catalogue.name(source),
        "source_id": asked.serving.snapshot.catalogue.items[source],
        "item": asked.name,
        "own_orders": int(found.led_orders[at]),
        "customers": int(found.led_buyers[at]),
        "went_on": int(found.led_after[at]),
        "share": round(share, 4),
        "usual": round(usual, 4),
        "lift": round(share / usual, 2),
    }
    yield Claim("went_on_to_buy", numbers, Removal(items=(source,)))


def _next(asked: _Asked, source: int) -> Iterator[Claim]:
    facts, rate = asked.serving.population.arrays, float(asked.evidence.next_rate[asked.at])
    usual = int(facts.items.orders[asked.item]) / max(1.0, float(facts.base.means[4]))
    if usual <= 0 or rate < LIFT * usual:
        return
    numbers: dict[str, float | str] = {
        "source": asked.serving.snapshot.catalogue.name(source),
        "source_id": asked.serving.snapshot.catalogue.items[source],
        "item": asked.name,
        "baskets": int(facts.items.orders[source]),
        "share": round(rate, 4),
        "usual": round(usual, 4),
        "lift": round(rate / usual, 2),
    }
    yield Claim("next_basket", numbers, Removal(items=(source,)))


def _family(asked: _Asked) -> Claim:
    found, at, catalogue = asked.evidence, asked.at, asked.serving.snapshot.catalogue
    family = int(catalogue.item_family[asked.item])
    numbers: dict[str, float | str] = {
        "family": catalogue.families[family],
        "purchases": int(found.family_orders[at]),
        "items": int(found.family_items[at]),
    }
    return Claim("same_family", numbers, Removal(items=tuple(np.flatnonzero(catalogue.item_family == family).tolist())))


def _base(asked: _Asked, fresh: float) -> Iterator[Claim]:
    """What the base does with the item; `fresh` is the share from which on an item is popular."""
    facts = asked.serving.population.arrays
    rate, buyers, age = (float(each[asked.item]) for each in (facts.items.rate_28, facts.items.buyers, facts.items.age))
    if rate > 0 and rate >= fresh:
        numbers: dict[str, float | str] = {
            "item": asked.name,
            "share": round(rate, 4),
            "days": 28,
            "buyers": int(buyers),
            "customers": int(facts.base.means[0]),
        }
        yield Claim("popular_now", numbers, UNSOLD)
    if age < NEW_DAYS and buyers > 0:
        usual = float(np.median(facts.items.age))
        arrived: dict[str, float | str] = {"item": asked.name, "age_days": round(age, 1), "buyers": int(buyers)}
        yield Claim("new_arrival", arrived, Removal(features=(("item_age", usual),)))
