"""Rows of Parquet and Excel files, whose values have types of their own."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from recsys.data.mapping import TableFormat
from recsys.data.readers.chunk import Chunk, named, plain, refuse_missing
from recsys.data.readers.files import SourceFile, seekable
from recsys.errors import ImportRefused

ROWS = 1_000_000
"""Rows of a Parquet file decoded at once."""


def read_parquet(file: SourceFile, needed: Sequence[str]) -> Iterator[Chunk]:
    """Chunks of a Parquet file, only the columns needed.

    Raises:
        MappingError: a needed column is missing.
    """
    from pyarrow import parquet

    with parquet.ParquetFile(seekable(file)) as table:
        refuse_missing(needed, table.schema_arrow.names, file.name)
        total, first = table.metadata.num_rows, 1
        for batch in table.iter_batches(batch_size=ROWS, columns=list(needed)):
            frame = plain(pl.DataFrame(batch).select(needed))
            lines = np.arange(first, first + len(frame), dtype=np.int64)
            first += len(frame)
            yield Chunk(frame, lines, file.name, done=(first - 1) / max(total, 1))


def read_excel(file: SourceFile, wanted: TableFormat, needed: Sequence[str]) -> Iterator[Chunk]:
    """The rows of one sheet.

    Raises:
        ImportRefused: the sheet is empty.
        MappingError: a needed column is missing.
    """
    frame = pl.read_excel(
        seekable(file),
        sheet_name=wanted.sheet or None,
        engine="calamine",
        has_header=wanted.header,
        drop_empty_rows=False,
        drop_empty_cols=False,
        raise_if_empty=False,
        infer_schema_length=None,
    )
    if frame.width == 0:
        raise ImportRefused(f"{file.name} is empty", expected="a header and rows")
    names = list(wanted.names) or (
        named(frame.columns) if wanted.header else [f"column_{n}" for n in range(1, frame.width + 1)]
    )
    frame.columns = names + frame.columns[len(names) :]
    refuse_missing(needed, frame.columns, file.name)
    lines = np.arange(len(frame), dtype=np.int64) + (2 if wanted.header else 1)
    filled = ~frame.select(pl.all_horizontal(pl.all().is_null())).to_series().to_numpy()
    yield Chunk(frame.select(needed).filter(filled), lines[filled], file.name)
