"""What an import says of itself: rejects.csv, and report.json with counts, reasons and oddities."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from recsys.data.files import replace_text
from recsys.data.oddities import Oddity
from recsys.data.readers.chunk import Chunk
from recsys.data.validate import Checked

REJECT_COLUMNS = ("table", "file", "line", "column", "value", "reason")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
EXAMPLES = 20


@dataclass(slots=True)
class TableReport:
    """One table: rows read = accepted + rejected, why rows were rejected, what was found out about its files."""

    source: str
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)
    read_as: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def rejected_share(self) -> float:
        """Share of rejected rows, 0 … 1."""
        return self.rejected / self.read if self.read else 0.0

    def count(self, chunk: Chunk, checked: Checked) -> None:
        """Add one chunk."""
        self.read += len(chunk.frame) + len(chunk.ragged)
        self.accepted += len(checked.clean)
        self.rejected += len(checked.rejects)
        self.read_as[chunk.file] = chunk.read_as
        for column, reason, count in checked.rejects.group_by("column", "reason").len().iter_rows():
            self.reasons[column, reason] += count
        self.examples += checked.rejects.head(EXAMPLES - len(self.examples)).to_dicts()

    def as_dict(self) -> dict[str, Any]:
        """For report.json."""
        reasons = [
            {"column": column, "reason": reason, "rows": n} for (column, reason), n in self.reasons.most_common()
        ]
        return {**asdict(self), "rejected_share": self.rejected_share, "reasons": reasons}


@dataclass(slots=True)
class ImportReport:
    """An import's own account of itself; see `docs/import.md` for each part."""

    mode: str
    status: str = "running"
    refused: str = ""
    snapshot_id: str = ""
    tables: dict[str, TableReport] = field(default_factory=dict)
    oddities: list[Oddity] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    merged: dict[str, int] = field(default_factory=dict)
    differences: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    directory: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """What report.json holds."""
        content = asdict(self)
        content["tables"] = {name: table.as_dict() for name, table in self.tables.items()}
        content["oddities"] = [each.as_dict() for each in self.oddities]
        content["directory"] = self.directory.name if self.directory else ""
        return content

    def write(self) -> None:
        """Write report.json, where the import has a directory."""
        if self.directory is not None:
            text = json.dumps(self.as_dict(), ensure_ascii=False, indent=1, default=str)
            replace_text(self.directory / "report.json", text)


@dataclass(slots=True)
class RejectLog:
    """Writes rejects as they come to `rejects.csv` in `directory`; without one they are only counted."""

    directory: Path | None
    _file: BinaryIO | None = None

    def add(self, table: str, rejects: pl.DataFrame) -> None:
        """Append the rejects of one chunk."""
        if self._file is None:
            self._open()
        if self._file is not None and len(rejects):
            named = rejects.with_columns(pl.lit(table).alias("table")).select(REJECT_COLUMNS)
            safe = named.with_columns(formula_safe(name) for name in ("file", "column", "value"))
            safe.write_csv(self._file, include_header=False)

    def _open(self) -> None:
        if self.directory is not None:
            self._file = (self.directory / "rejects.csv").open("wb")
            self._file.write((",".join(REJECT_COLUMNS) + "\n").encode())

    def close(self) -> None:
        """Finish the file; it exists even when nothing was rejected."""
        if self._file is None:
            self._open()
        if self._file is not None:
            self._file.close()
            self._file = None


def formula_safe(column: str) -> pl.Expr:
    """Texts a spreadsheet would run as a formula get a leading apostrophe."""
    value = pl.col(column)
    risky: Iterable[pl.Expr] = (value.str.starts_with(start) for start in FORMULA_STARTS)
    return pl.when(pl.any_horizontal(risky)).then(pl.concat_str(pl.lit("'"), value)).otherwise(value).alias(column)
