"""Reasons besides purchases: items looked at, and what customers with the same attributes buy.

Looks are removed by taking their lift off, attributes by answering as if one of them were not known.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY
from recsys.decisioning.candidates import VIEWED_BIT
from recsys.decisioning.counterfactual import Ranked
from recsys.decisioning.pointing import raised_share
from recsys.decisioning.serving import Desk, Serving
from recsys.population.lookalikes import DAYS

LIFT = 1.2
"""A share is a reason only if it is this many times the usual one."""
_LEAST = 1e-300


class Told(NamedTuple):
    """A reason whose removal lowers the item: by how much its raw score falls, above 0."""

    code: str
    evidence: dict[str, float | str]
    fall: float


def pointed_to(serving: Serving, desk: Desk, ranked: Ranked, n: int, as_of: int) -> list[list[Told]]:
    """What besides purchases carries each of the first `n` of `ranked`."""
    alike = _alike(serving, desk, ranked, n)
    return [_looks(serving, desk, ranked, rank, as_of) + _strongest(alike, rank) for rank in range(n)]


def _looks(serving: Serving, desk: Desk, ranked: Ranked, rank: int, as_of: int) -> list[Told]:
    row = int(ranked.order[rank])
    item = int(desk.chosen[row])
    fall = float(ranked.lift[row]) if ranked.lift is not None else 0.0
    if desk.marks[row] == VIEWED_BIT:  # nothing else made it a candidate
        fall = max(fall, 1.0)
    for each in ranked.pointed.looked:
        if each.item == item and fall > 0:
            since = round((as_of - each.last) / DAY, 1)
            numbers: dict[str, float | str] = {
                "item": serving.snapshot.catalogue.name(item),
                "views": each.views,
                "carts": each.carts,
                "days_since_last": since,
            }
            return [Told("in_cart" if each.carts else "looked_at", numbers, fall)]
    return []


def _strongest(alike: list[list[Told | None]], rank: int) -> list[Told]:
    found = [told[rank] for told in alike]
    return sorted((each for each in found if each is not None), key=lambda each: -each.fall)[:1]


def _alike(serving: Serving, desk: Desk, ranked: Ranked, n: int) -> list[list[Told | None]]:
    """For each known attribute what it says of the first `n`; nothing for a customer the ranker answers."""
    rows = ranked.pointed.rows
    if not ranked.blank or rows is None:
        return []
    return [_without(serving, desk, ranked, n, at) for at in np.flatnonzero(rows >= 0).tolist()]


def _without(serving: Serving, desk: Desk, ranked: Ranked, n: int, attribute: int) -> list[Told | None]:
    """What the attribute says of each of the first `n` that stand lower, or as high with a lower share, without it."""
    rows = ranked.pointed.rows
    assert rows is not None  # nobody asks without
    less = rows.copy()
    less[attribute] = -1
    items = desk.chosen[: len(ranked.raw)]
    likely = serving.population.lookalikes.scores(less, serving.population.arrays.items.rate_28)
    share = likely[items].astype(np.float64)
    after = share if ranked.lift is None else raised_share(share, ranked.lift)
    place = np.empty(len(items), np.int64)
    place[np.lexsort((items, -after))] = np.arange(len(items))
    told: list[Told | None] = []
    for rank, row in enumerate(ranked.order[:n].tolist()):
        fall = float(ranked.raw[row] - after[row])
        lower = place[row] > rank or (place[row] == rank and fall > 0)
        numbers = _numbers(serving, int(items[row]), int(rows[attribute]), attribute) if lower else None
        told.append(Told("lookalikes", numbers, max(fall, _LEAST)) if numbers else None)
    return told


def _numbers(serving: Serving, item: int, row: int, attribute: int) -> dict[str, float | str] | None:
    """Counts behind the value in `row`; None where they say too little."""
    facts = serving.population.lookalikes
    at, named = int(np.searchsorted(facts.item, item)), facts.attributes[attribute]
    if at == len(facts.item) or facts.item[at] != item:
        return None
    rows = slice(named.first, named.first + len(named.values))
    share = _share(facts.buyers[row : row + 1, at], facts.customers[row : row + 1])
    usual = _share(facts.buyers[rows, at], facts.customers[rows])
    if usual <= 0 or share < LIFT * usual:
        return None
    return {
        "item": serving.snapshot.catalogue.name(item),
        "attribute": named.name,
        "value": named.values[row - named.first],
        "customers": int(facts.customers[row]),
        "buyers": int(facts.buyers[row, at]),
        "days": DAYS,
        "share": round(share, 4),
        "usual": round(usual, 4),
        "lift": round(share / usual, 2),
    }


def _share(buyers: npt.NDArray[np.int32], customers: npt.NDArray[np.int32]) -> float:
    return int(buyers.sum()) / max(1, int(customers.sum()))
