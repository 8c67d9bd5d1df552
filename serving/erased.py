"""Who is erased, asked of the database for every answer, and of what was read last while it is out of reach."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from recsys.data.files import replace_text
from recsys.errors import StoreError
from recsys.store import ErasureStore, Tombstones

KEPT = "erased.json"
"""File of the workspace that holds the tombstones as they were read last: keyed digests, no ids."""

FOREVER = 2**62
"""Erased up to the end of time [s]: whoever might be, while nobody knows who is."""


class Erased:
    """Instant up to which a customer is erased [s], None for one who is not; an erasure counts at once in every worker.

    `away` says whether the database is known to be lost, so that nobody waits for it; `lost` is told when it is. `kept`
    holds the tombstones for a worker that begins without its database, and those other workers read later; where there
    are none either, everybody counts as erased. `changed` is told of tombstones that were not there before; `guesses`
    counts the answers that came from the last readings.

    Of this process's own reading and the kept one neither is held to be the newer: numbers begin again in a restored
    database, and a full disk keeps an old file. Who is erased by one of them is.
    """

    def __init__(
        self,
        store: Callable[[], ErasureStore],
        kept: Path,
        changed: Callable[[Tombstones], object] = lambda _: None,
    ) -> None:
        self._store, self._kept, self._changed = store, kept, changed
        self._sign = _sign(kept)
        self._read = self._found = _load(kept)
        self._looked = False
        self.away: Callable[[], bool] = lambda: False
        self.lost: Callable[[StoreError], object] = self._without
        self.guesses = 0

    @property
    def known(self) -> int:
        """How many erasures the last reading knew; of the database itself, asked now, more may be known."""
        return self._found.known if self._found is not None else 0

    def refresh(self) -> None:
        """Read all tombstones for the time the database can't be asked; then the ones that were kept are read."""
        if self.away():
            self.reload()
            return
        try:
            read = self._store().tombstones()
        except StoreError:
            self.reload()
            return
        if read != self._read or not self._kept.exists():
            with suppress(OSError):
                replace_text(self._kept, json.dumps(asdict(read)))
            self._changed(read)
        self._read = self._found = read
        self._looked = False

    def reload(self) -> None:
        """Read what was kept, by whichever worker, if it is another than before; what can't be read changes nothing."""
        sign = _sign(self._kept)
        if sign != self._sign:
            found = _load(self._kept)
            if found is not None:
                self._found = found
                self._changed(found)
            self._sign = sign
        self._looked = True

    def __call__(self, customer_id: str) -> int | None:
        """Instant up to which everything of a customer is gone [s]."""
        if not self.away():
            try:
                return self._store().erased_at(customer_id)
            except StoreError as error:
                self.lost(error)
        self.guesses += 1
        if not self._looked:  # another worker may have read more since this one's last look
            self.reload()
        readings = [each for each in (self._read, self._found) if each is not None]
        instants = (each.erased_at(customer_id) for each in readings)
        return max((at for at in instants if at is not None), default=None) if readings else FOREVER

    def _without(self, _error: StoreError) -> None:
        """Ask the database no more until the service that is made of this knows better: each vain question waits."""
        self.away = lambda: True


def _sign(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is replaced; None without one."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _load(path: Path) -> Tombstones | None:
    """What was kept of the last reading, None when there is none that can be read."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        instants = {str(subject): int(at) for subject, at in (kept["instants"] or {}).items()}
        return Tombstones(kept["secret"], instants, int(kept.get("known", 0)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
