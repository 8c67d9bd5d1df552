"""Decisions: what was answered, kept before the answer left."""

from collections.abc import Iterable, Sequence

import msgspec

from recsys.decisioning.record import DecisionRecord, without_attributes
from recsys.store.database import Database
from recsys.store.tombstones import PSEUDONYM, Erasure, erasures_of, first_since

PORTION = 200
"""Decisions written by one statement."""

_COLUMNS = "decision_id, customer_id, snapshot_id, decided_at, content"


class DecisionStore:
    """Decisions of one workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sign = "?" if database.is_sqlite else "%s"

    def append(self, records: Sequence[DecisionRecord]) -> None:
        """Keep decisions durably, each once, whatever was kept before; one statement and one commit a portion.

        Those whose customer was erased since they were computed name a pseudonym, in whatever sequence erasure and
        writing end.

        Raises:
            StoreUnavailable: some were not kept; to be repeated as a whole.
        """
        for start in range(0, len(records), PORTION):
            portion = records[start : start + PORTION]
            known = min(record.erasures for record in portion)
            if self._database.run(self.statement(len(portion)), [known, *_values(portion)]) < len(portion):
                self._append_named(portion)

    def upload(self, records: Sequence[DecisionRecord]) -> None:
        """Keep decisions that waited in a journal, each once; one transaction a portion.

        They may come from before the database was restored: those whose customer was erased at their instant or later
        name a pseudonym too, whatever erasures they knew by number.

        Raises:
            StoreUnavailable: some were not kept; to be repeated as a whole.
        """
        for start in range(0, len(records), PORTION):
            self._append_named(records[start : start + PORTION])

    def statement(self, count: int) -> str:
        """The statement that keeps so many decisions, none if there were more erasures than its first value.

        An erasure has to wait for it, and it for an erasure: both take hold of one row (Postgres), or of the file. It
        begins with INSERT: of no other statement does SQLite's driver count the rows.
        """
        kinds = ("", "") if self._database.is_sqlite else ("::text", "::bigint")
        text, number = (self._sign + kind for kind in kinds)
        rows = ", ".join([f"({text}, {text}, {text}, {number}, {text})"] * count)
        hold = "" if self._database.is_sqlite else " FOR SHARE"
        return (
            f"INSERT INTO decisions ({_COLUMNS}) "
            f"WITH still AS (SELECT erasures FROM erasure_gate WHERE erasures <= {self._sign}{hold}) "
            f"SELECT * FROM (VALUES {rows}) AS given "
            "WHERE EXISTS (SELECT 1 FROM still) ON CONFLICT DO NOTHING"
        )

    def _append_named(self, records: Sequence[DecisionRecord]) -> None:
        """Keep decisions some of which may be there already, or about customers erased since; alone among writers."""
        with self._database.writing() as connection:
            erasures = erasures_of(connection, {record.customer_id for record in records})
            named = [_named(record, erasures.get(record.customer_id, ())) for record in records]
            row = f"({', '.join([self._sign] * 5)})"
            rows = ", ".join([row] * len(named))
            connection.exec_driver_sql(
                f"INSERT INTO decisions ({_COLUMNS}) VALUES {rows} ON CONFLICT DO NOTHING", tuple(_values(named))
            )

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


def renamed(record: DecisionRecord, name: str) -> DecisionRecord:
    """A decision under a name instead of its customer's, without attributes of the person."""
    content = msgspec.Raw(without_attributes(bytes(record.content)))
    return msgspec.structs.replace(record, customer_id=name, content=content)


def _named(record: DecisionRecord, erasures: Iterable[Erasure]) -> DecisionRecord:
    """A decision that waited while its customer was erased names a pseudonym and tells nothing of the person."""
    erasure = first_since(erasures, record.erasures, record.decided_at)
    return record if erasure is None else renamed(record, PSEUDONYM + erasure.receipt_id)


def _values(records: Sequence[DecisionRecord]) -> list[str | int]:
    """What stands in the columns, row after row."""
    rows = (
        (each.decision_id, each.customer_id, each.snapshot_id, each.decided_at, bytes(each.content).decode())
        for each in records
    )
    return [value for row in rows for value in row]
