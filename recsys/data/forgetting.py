"""Erased customers in data that still holds them: not found in a snapshot, left out of the next one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import polars as pl

from recsys.data import columns as c
from recsys.data.ids import ABSENT, IdMap
from recsys.data.merging import Base, joined, owners
from recsys.data.snapshot import Snapshot

ErasedAt = Callable[[str], int | None]
"""Instant up to which everything of a customer is erased [s]; None for one who is not."""


@dataclass(frozen=True, slots=True, eq=False)
class ForgettingIds(IdMap):
    """The ids of a snapshot that ends at `as_of` [s]; those erased at that instant or later are not found."""

    erased_at: ErasedAt = lambda _: None
    as_of: int = 0

    @classmethod
    def over(cls, ids: IdMap, erased_at: ErasedAt, as_of: int) -> Self:
        """`ids` without those erased."""
        return cls(ids.offsets, ids.blob, erased_at, as_of)

    def index(self, external: str) -> int:
        """Index of `external`, or `ABSENT` for one unknown or erased."""
        found = IdMap.index(self, external)
        return ABSENT if found != ABSENT and self.forgets(external) else found

    def forgets(self, external: str) -> bool:
        """Whether what the snapshot holds of `external` is erased."""
        erased = self.erased_at(external)
        return erased is not None and self.as_of <= erased


def forgetting(snapshot: Snapshot, erased_at: ErasedAt) -> Snapshot:
    """`snapshot` that finds no erased customer; its arrays are the same."""
    return replace(snapshot, customers=ForgettingIds.over(snapshot.customers, erased_at, snapshot.as_of))


def without_erased(base: Base, erased: Mapping[str, int]) -> tuple[Base, int]:
    """`base` without the orders of customers up to the instant they are `erased` at [s]; how many orders it was.

    Their row of the customers table goes too, unless a later order is left.

    Raises:
        ImportRefused: nothing is left.
    """
    snapshot = base.snapshot
    limits = np.full(snapshot.history.n_customers, np.iinfo(np.int64).min)
    for customer, at in erased.items():
        index = snapshot.customers.index(customer)
        if index != ABSENT:
            limits[index] = at
    kept = np.asarray(snapshot.history.order_time > limits[owners(snapshot)])
    gone = int((~kept).sum())
    after = joined([(snapshot, kept)], base) if gone else snapshot
    table = base.customers
    if table is not None:
        nobody = pl.Series([each for each in erased if after.customers.index(each) == ABSENT], dtype=pl.String)
        table = table.filter(~pl.col(c.CUSTOMER).cast(pl.String).is_in(nobody.implode()))
    return replace(base, snapshot=after, customers=table), gone
