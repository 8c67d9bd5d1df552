"""Finders of the console: customers by the beginning of their id, items by a part of their name."""

from functools import cached_property

import numpy as np
import numpy.typing as npt

from recsys.data.blanking import BLANK
from recsys.data.clock import to_iso
from recsys.data.ids import ABSENT, IdMap
from recsys.data.snapshot import Snapshot
from serving.http.bodies import FoundCustomer, FoundCustomers, FoundItem, FoundItems

BLOCK = 1 << 20
"""Lines counted at once."""


def first_at_or_after(ids: IdMap, prefix: str) -> int:
    """Index of the first id whose bytes are not smaller than `prefix`; log2(n) comparisons."""
    wanted = prefix.encode()
    low, high = 0, len(ids)
    while low < high:
        middle = seen = (low + high) // 2
        while seen > low and ids[seen].startswith(BLANK):
            seen -= 1
        low, high = (middle + 1, high) if ids[seen].encode() < wanted else (low, seen)
    return low


def find_customers(snapshot: Snapshot, search: str, limit: int) -> FoundCustomers:
    """At most `limit` customers whose id begins with `search`."""
    ids = snapshot.customers
    found: list[FoundCustomer] = []
    for index in range(first_at_or_after(ids, search), len(ids)):
        if ids[index].startswith(BLANK):
            continue
        if len(found) == limit or not ids[index].startswith(search):
            break
        if not ids.forgets(ids[index]):
            found.append(_customer(snapshot, index))
    return FoundCustomers(tuple(found), len(ids))


def _customer(snapshot: Snapshot, index: int) -> FoundCustomer:
    low, high = snapshot.history.span(index)
    last = to_iso(int(snapshot.history.order_time[high - 1]), snapshot.facts.timezone) if high > low else None
    return FoundCustomer(snapshot.customers[index], high - low, last)


class ItemFinder:
    """Items of one snapshot by sales; built at first use, about 100 bytes an item."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    @cached_property
    def _folded(self) -> list[str]:
        catalogue = self._snapshot.catalogue
        pairs = zip(catalogue.items, catalogue.item_names, strict=True)
        return [f"{item}\n{name}".casefold() for item, name in pairs]

    @cached_property
    def _best_product(self) -> npt.NDArray[np.int64]:
        """Product of each item with the most lines, (n_items,); ties: the smaller id; `ABSENT` without a product."""
        catalogue = self._snapshot.catalogue
        best = np.full(catalogue.n_items, ABSENT, np.int64)
        by_sales = np.lexsort((-np.arange(catalogue.n_products), self._lines))
        kept = by_sales[catalogue.product_item[by_sales] != ABSENT]
        best[catalogue.product_item[kept]] = kept
        return best

    @cached_property
    def _lines(self) -> npt.NDArray[np.int64]:
        """Lines of each product, (n_products,); counted by blocks, so that a large history is never copied whole."""
        product = self._snapshot.history.line_product
        counts = np.zeros(self._snapshot.catalogue.n_products + 1, np.int64)
        for start in range(0, len(product), BLOCK):
            counts += np.bincount(product[start : start + BLOCK] + 1, minlength=len(counts))
        return counts[1:]

    @cached_property
    def _by_sales(self) -> list[int]:
        catalogue = self._snapshot.catalogue
        known = catalogue.product_item != ABSENT
        sales = np.bincount(catalogue.product_item[known], self._lines[known], catalogue.n_items)
        ranking: list[int] = np.argsort(-sales, kind="stable").tolist()
        return ranking

    def find(self, search: str, limit: int) -> FoundItems:
        """At most `limit` items with `search` in id or name, in any case; best sellers first."""
        wanted = search.casefold()
        found: list[FoundItem] = []
        for item in self._by_sales:
            if len(found) == limit:
                break
            if wanted in self._folded[item] and self._best_product[item] != ABSENT:
                found.append(self._item(item))
        return FoundItems(tuple(found), self._snapshot.catalogue.n_items)

    def _item(self, item: int) -> FoundItem:
        catalogue = self._snapshot.catalogue
        group = int(catalogue.item_group[item])
        return FoundItem(
            item_id=catalogue.items[item],
            name=catalogue.name(item),
            group=catalogue.groups[group] if group != ABSENT else None,
            offerable=bool(catalogue.offerable[item]),
            product_id=catalogue.products[int(self._best_product[item])],
        )
