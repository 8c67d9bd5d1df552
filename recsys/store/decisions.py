"""Decisions: what was answered, kept before the answer left."""

from collections.abc import Sequence

import msgspec

from recsys.decisioning.record import DecisionRecord, without_attributes
from recsys.store.database import Database
from recsys.store.erasure import ErasureStore

PORTION = 200
"""Decisions written by one statement."""

_COLUMNS = "decision_id, customer_id, snapshot_id, decided_at, content"


class DecisionStore:
    """Decisions of one workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._erasures = ErasureStore(database)
        self._sign = "?" if database.is_sqlite else "%s"

    def append(self, records: Sequence[DecisionRecord]) -> None:
        """Keep decisions durably, each once, whatever was kept before; one statement and one commit a portion.

        Raises:
            StoreUnavailable: some were not kept; to be repeated as a whole.
        """
        for start in range(0, len(records), PORTION):
            portion = records[start : start + PORTION]
            erased = self._erasures.among({record.customer_id for record in portion})
            portion = [self._named(record) if record.customer_id in erased else record for record in portion]
            row = f"({', '.join([self._sign] * 5)})"
            values = [value for record in portion for value in _values(record)]
            self._database.run(
                f"INSERT INTO decisions ({_COLUMNS}) VALUES {', '.join([row] * len(portion))} ON CONFLICT DO NOTHING",
                values,
            )

    def _named(self, record: DecisionRecord) -> DecisionRecord:
        """A decision that waited while its customer was erased names a pseudonym and tells nothing of the person."""
        pseudonym = self._erasures.pseudonym_of(record.customer_id, record.decided_at)
        if pseudonym is None:
            return record
        content = msgspec.Raw(without_attributes(bytes(record.content)))
        return msgspec.structs.replace(record, customer_id=pseudonym, content=content)

    def find(self, decision_id: str) -> DecisionRecord | None:
        """A decision by its id."""
        rows = self._database.fetch(
            f"SELECT {_COLUMNS} FROM decisions WHERE decision_id = {self._sign}", (decision_id,)
        )
        if not rows:
            return None
        decision, customer, snapshot, at, content = rows[0]
        return DecisionRecord(decision, customer, snapshot, at, msgspec.Raw(content.encode()))

    def last_use(self, snapshot_id: str) -> int | None:
        """Instant of the last decision made from a snapshot [s]; None without one."""
        query = f"SELECT max(decided_at) FROM decisions WHERE snapshot_id = {self._sign}"
        found = self._database.fetch(query, (snapshot_id,))[0][0]
        return None if found is None else int(found)

    def count(self) -> int:
        """Number of decisions."""
        return int(self._database.fetch("SELECT count(*) FROM decisions", ())[0][0])


def _values(record: DecisionRecord) -> tuple[str, str, str, int, str]:
    content = bytes(record.content).decode()
    return record.decision_id, record.customer_id, record.snapshot_id, record.decided_at, content
