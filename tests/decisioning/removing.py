"""Evidence really taken away, by brute force: lines deleted from the customer's rows, facts of the base rewritten."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from recsys.data.history import HistoryArrays
from recsys.data.tail import CustomerRows, rows_at
from recsys.decisioning import OfferRequest, Ranking, Serving
from recsys.decisioning.answers import Reason
from recsys.decisioning.recommend import rank_rows

RATES = ("rate_7", "rate_28", "adoption_28", "rate_now", "adoption_now")
"""Facts of an item that tell what anyone buys of it lately."""


@dataclass(frozen=True)
class Removed:
    """What removing the evidence of one reason did.

    falls     the item's rank falls, or its raw score where the rank holds; items whose purchases were removed aside
    strictly  the same with all items in the comparison
    """

    code: str
    mode: str
    falls: bool
    strictly: bool


def removals(serving: Serving, customer: str, mode: str, n: int) -> Iterator[Removed]:
    """Remove the evidence of every reason of the first `n` offers, one at a time, and rank everything again."""
    request = OfferRequest(customer, n, mode, reasons=True)
    rows = rows_at(serving.snapshot, serving.snapshot.customers.index(customer), serving.snapshot.as_of)
    before = rank_rows(serving, request, rows)
    plain = replace(request, reasons=False)
    for offer in before.answer.offers:
        item = serving.snapshot.catalogue.items.index(offer.item_id)
        for reason in offer.reasons:
            aside = evidence_items(serving, item, reason)
            after = rank_rows(*without(serving, plain, rows, item, reason, aside))
            one, all_of_them = (falls(before, after, item, ids) for ids in (aside - {item}, set()))
            yield Removed(reason.code, mode, one, all_of_them)


def evidence_items(serving: Serving, item: int, reason: Reason) -> set[int]:
    """Items whose purchases by the customer are the evidence."""
    catalogue = serving.snapshot.catalogue
    if reason.code.startswith("own_") or reason.code == "bought_once":
        return {item}
    if "source_id" in reason.evidence:
        return {catalogue.items.index(str(reason.evidence["source_id"]))}
    if reason.code == "same_family":
        family = list(catalogue.families).index(reason.evidence["family"])
        return set(np.flatnonzero(np.asarray(catalogue.item_family) == family).tolist())
    return set()


def without(
    serving: Serving, request: OfferRequest, rows: CustomerRows, item: int, reason: Reason, items: set[int]
) -> tuple[Serving, OfferRequest, CustomerRows]:
    """The same question without the evidence of `reason` about `item`."""
    if items:
        return serving, request, without_purchases(serving, rows, items)
    facts = serving.population.arrays.items
    if reason.code == "popular_now":
        changed = {name: zeroed(getattr(facts, name), item, 0.0) for name in RATES}
    else:
        changed = {"age": zeroed(facts.age, item, float(np.median(facts.age)))}
    arrays = serving.population.arrays._replace(items=facts._replace(**changed))
    return replace(serving, population=replace(serving.population, arrays=arrays)), request, rows


def zeroed(values: np.ndarray, item: int, value: float) -> np.ndarray:
    """A copy of `values` with `value` at `item`."""
    copy = np.array(values)
    copy[item] = value
    copy.flags.writeable = values.flags.writeable
    return copy


def without_purchases(serving: Serving, rows: CustomerRows, items: set[int]) -> CustomerRows:
    """The customer's rows with every line of `items` deleted, and every order that holds nothing else."""
    h, low, high = rows.arrays, rows.low, rows.high
    kept: list[int] = []
    orders, starts = [], [0]
    for order in range(low, high):
        lines = range(int(h.line_start[order]), int(h.line_start[order + 1]))
        left = [line for line in lines if int(serving.cat.product_item[h.line_product[line]]) not in items]
        if left or not lines:
            kept += left
            orders.append(order)
            starts.append(len(kept))
    changed = {name: getattr(h, name)[orders] for name in HistoryArrays._fields if name.startswith("order_")}
    for name in ("line_product", "line_quantity", "line_amount", "line_discount"):
        changed[name] = getattr(h, name)[kept]
    return CustomerRows(HistoryArrays(**changed, line_start=np.array(starts, np.uint32)), 0, len(orders), rows.as_of)


def falls(before: Ranking, after: Ranking, item: int, aside: set[int]) -> bool:
    """Whether `item` stands lower in `after`, or as high with a lower score, `aside` left out of both."""
    then, now = place(before, item, aside), place(after, item, aside)
    if now is None or then is None:
        return True
    return now[0] > then[0] or (now[0] == then[0] and now[1] < then[1])


def place(ranking: Ranking, item: int, aside: set[int]) -> tuple[int, float] | None:
    """Rank and raw score of `item`; None where it was not ranked."""
    at = np.flatnonzero(ranking.items == item)
    if not len(at):
        return None
    first = int(at[0])
    return first - int(np.isin(ranking.items[:first], list(aside)).sum()), float(ranking.raw[first])
