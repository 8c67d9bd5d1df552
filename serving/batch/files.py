"""Tables written chunk by chunk: Parquet with all types, or CSV that a spreadsheet opens without running anything."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from recsys.data.clock import to_iso

Format = Literal["parquet", "csv"]

DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
"""A text cell that begins so would be a formula to a spreadsheet."""


class TableFile(Protocol):
    """A table under way; `rows` counts what was written."""

    rows: int

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append rows; a column a row lacks is null."""

    def close(self) -> None:
        """Finish the file."""


def create(path: Path, schema: pa.Schema, kind: Format) -> TableFile:
    """A new table of these columns at `path`."""
    return ParquetFile(path, schema) if kind == "parquet" else CsvFile(path, schema)


class ParquetFile:
    """Parquet, one row group a chunk."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.rows = 0
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append rows."""
        self._writer.write_table(pa.Table.from_pylist(list(rows), schema=self._schema))
        self.rows += len(rows)

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()


class CsvFile:
    """CSV by RFC 4180 in UTF-8: header, CRLF, quotes where needed; floats read back to the same bits.

    Instants are ISO 8601 in the business time zone, lists are joined by ` | ` (of reasons the texts), null is empty.
    Text cells a spreadsheet would run as a formula get a leading apostrophe; numbers stay numbers, negative ones too.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.rows = 0
        self._names = schema.names
        self._zones = {field.name: field.type.tz for field in schema if pa.types.is_timestamp(field.type)}
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(self._names)

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append rows."""
        self._writer.writerows([self._cell(name, row.get(name)) for name in self._names] for row in rows)
        self.rows += len(rows)

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def _cell(self, name: str, value: Any) -> Any:
        if value is None:
            return ""
        if name in self._zones:
            return to_iso(value, self._zones[name])
        if isinstance(value, list):
            value = " | ".join(each["text"] if isinstance(each, dict) else each for each in value)
        if isinstance(value, bool):
            return "true" if value else "false"
        return safe(value) if isinstance(value, str) else value


def safe(text: str) -> str:
    """`text` that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(DANGEROUS) else text
