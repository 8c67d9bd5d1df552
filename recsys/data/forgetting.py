"""A snapshot that finds no erased customer, though it still holds what they bought."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from recsys.data.ids import ABSENT, IdMap
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

    def index_unless(self, external: str, erased_at: int | None) -> int:
        """`index` of one erased up to an instant [s], or not at all."""
        return ABSENT if self._covers(erased_at) else IdMap.index(self, external)

    def forgets(self, external: str) -> bool:
        """Whether what the snapshot holds of `external` is erased."""
        return self._covers(self.erased_at(external))

    def _covers(self, erased_at: int | None) -> bool:
        return erased_at is not None and self.as_of <= erased_at


def forgetting(snapshot: Snapshot, erased_at: ErasedAt) -> Snapshot:
    """`snapshot` that finds no erased customer; its arrays are the same."""
    return replace(snapshot, customers=ForgettingIds.over(snapshot.customers, erased_at, snapshot.as_of))
