"""Readers: CSV, blank-separated text, Parquet, Excel and SQL as chunks of rows with their line numbers."""

import csv
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from recsys.data.mapping import TableFormat, TableSource
from recsys.data.readers.chunk import Chunk, Ragged
from recsys.data.readers.delimited import read_csv, read_whitespace
from recsys.data.readers.files import SourceFile, source_files
from recsys.data.readers.tables import read_excel, read_parquet
from recsys.errors import ImportRefused

__all__ = ["Chunk", "Ragged", "SqlReader", "read_chunks"]

SqlReader = Callable[[str, str, Sequence[str]], Iterator[Chunk]]
"""`(url, query, needed columns)` → chunks: `recsys.store.sql_source.read_sql`, handed in as only `store` knows SQL."""


def read_chunks(source: TableSource, needed: Sequence[str], sql: SqlReader | None = None) -> Iterator[Chunk]:
    """All rows of a source, chunk by chunk, `done` counted over all its files.

    Raises:
        ImportRefused: a file is missing, empty, truncated or not what its ending says.
        MappingError: a needed column is missing.
    """
    if source.url:
        if sql is None:
            raise ImportRefused("No reader for databases was given", expected="`sql=read_sql`")
        yield from sql(source.url, source.query, needed)
        return
    files = source_files(source.files, source.format.member)
    for position, file in enumerate(files):
        for chunk in _guarded(file, source.format, needed):
            yield replace(chunk, done=(position + chunk.done) / len(files))


def _guarded(file: SourceFile, wanted: TableFormat, needed: Sequence[str]) -> Iterator[Chunk]:
    """Chunks of one file; whatever a library says about damage becomes an ImportRefused."""
    import pyarrow as pa
    from fastexcel import FastExcelError
    from polars.exceptions import PolarsError

    try:
        yield from _read(file, wanted, needed)
    except (EOFError, zlib.error, zipfile.BadZipFile, pa.ArrowException, PolarsError, FastExcelError) as error:
        raise _damaged(file, wanted, error) from error
    except (OSError, UnicodeError, csv.Error) as error:
        raise _damaged(file, wanted, error) from error


def _read(file: SourceFile, wanted: TableFormat, needed: Sequence[str]) -> Iterator[Chunk]:
    if file.path.stat().st_size == 0:
        raise ImportRefused(f"{file.name} is empty", found="0 bytes", expected="a header and rows")
    kind = wanted.kind or file.kind()
    if kind == "parquet":
        return read_parquet(file, needed)
    if kind == "excel":
        return read_excel(file, wanted, needed)
    if kind == "whitespace":
        return read_whitespace(file, wanted, needed)
    return read_csv(file, wanted, needed)


def _damaged(file: SourceFile, wanted: TableFormat, error: Exception) -> ImportRefused:
    kind = wanted.kind or file.kind()
    said = " ".join(str(error).split())[:300] or type(error).__name__
    if isinstance(error, UnicodeError) or "UTF8" in said:
        return ImportRefused(
            f"{file.name} is not in its encoding", found=said, cure="Declare `encoding` in the mapping"
        )
    return ImportRefused(
        f"{file.name} can't be read to its end",
        found=said,
        expected=f"a complete {kind} file",
        cure="Copy or export it again (it looks truncated or damaged), or correct `format`",
    )
