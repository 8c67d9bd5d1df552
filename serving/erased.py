"""Who is erased, asked of the database for every answer, and of what was read last while it is out of reach."""

from collections.abc import Callable

from recsys.errors import StoreError, StoreUnavailable
from recsys.store import ErasureStore, Tombstones


class Erased:
    """Instant up to which a customer is erased [s], None for one who is not; an erasure counts at once in every worker.

    `away` says whether the database is known to be lost, so that nobody waits for it.
    """

    def __init__(self, store: Callable[[], ErasureStore]) -> None:
        self._store = store
        self._read = Tombstones()
        self.away: Callable[[], bool] = lambda: False

    def refresh(self) -> None:
        """Read all tombstones for the time the database can't be asked."""
        try:
            self._read = self._store().tombstones()
        except StoreError:
            return

    def __call__(self, customer_id: str) -> int | None:
        """Instant up to which everything of a customer is gone [s]."""
        if not self.away():
            try:
                return self._store().erased_at(customer_id)
            except StoreUnavailable:
                pass
        return self._read.erased_at(customer_id)
