"""Who is erased, asked of the database for every answer, and of what was read last while it is out of reach."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from recsys.data.files import replace_text
from recsys.errors import StoreError, StoreUnavailable
from recsys.store import ErasureStore, Tombstones

KEPT = "erased.json"
"""File of the workspace that holds the tombstones as they were read last: keyed digests, no ids."""

FOREVER = 2**62
"""Erased up to the end of time [s]: whoever might be, while nobody knows who is."""


class Erased:
    """Instant up to which a customer is erased [s], None for one who is not; an erasure counts at once in every worker.

    `away` says whether the database is known to be lost, so that nobody waits for it; `lost` is told when it is. `kept`
    holds the tombstones for a service that starts without its database; where there are none either, everybody counts
    as erased. `changed` is told of tombstones that were not there before; `guesses` counts the answers that came from
    the last reading.
    """

    def __init__(
        self,
        store: Callable[[], ErasureStore],
        kept: Path,
        changed: Callable[[Tombstones], object] = lambda _: None,
    ) -> None:
        self._store, self._kept, self._changed = store, kept, changed
        self._read = _load(kept)
        self.away: Callable[[], bool] = lambda: False
        self.lost: Callable[[StoreUnavailable], object] = lambda _error: None
        self.guesses = 0

    @property
    def known(self) -> int:
        """How many erasures the last reading knew; of the database itself, asked now, more may be known."""
        return self._read.known if self._read is not None else 0

    def refresh(self) -> None:
        """Read all tombstones for the time the database can't be asked; then the ones read before stay."""
        if self.away():
            return
        try:
            read = self._store().tombstones()
        except StoreError:
            return
        if read != self._read or not self._kept.exists():
            with suppress(OSError):
                replace_text(self._kept, json.dumps(asdict(read)))
            self._changed(read)
        self._read = read

    def __call__(self, customer_id: str) -> int | None:
        """Instant up to which everything of a customer is gone [s]."""
        if not self.away():
            try:
                return self._store().erased_at(customer_id)
            except StoreUnavailable as error:
                self.lost(error)
        self.guesses += 1
        return self._read.erased_at(customer_id) if self._read is not None else FOREVER


def _load(path: Path) -> Tombstones | None:
    """What was kept of the last reading, None when there is none that can be read."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        instants = {str(subject): int(at) for subject, at in (kept["instants"] or {}).items()}
        return Tombstones(kept["secret"], instants, int(kept.get("known", 0)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
