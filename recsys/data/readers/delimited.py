"""Rows of CSV files (pyarrow's parser) and of text whose columns are set apart by blanks; all values stay texts."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys.data.mapping import TableFormat
from recsys.data.readers.chunk import Chunk, Ragged, refuse_missing
from recsys.data.readers.files import SourceFile, opened
from recsys.data.readers.text import TextFacts, text_facts

BLOCK = 1 << 24
"""Bytes parsed at once; no line may be longer."""

LINES = 200_000
"""Lines of blank-separated text split at once."""


def read_csv(file: SourceFile, wanted: TableFormat, needed: Sequence[str]) -> Iterator[Chunk]:
    """Chunks of a CSV file; rows with too few or too many values come as `ragged`.

    Raises:
        ImportRefused: the file is empty or is not text.
        MappingError: a needed column is missing.
    """
    from pyarrow import csv

    facts = text_facts(file, wanted)
    refuse_missing(needed, facts.names, file.name)
    odd: list[Ragged] = []
    if not facts.has_rows:
        return
    with opened(file) as content:
        reader = csv.open_csv(content.stream, *_options(facts, odd))
        line, taken = facts.skipped + 1, 0
        for batch in reader:
            frame = pl.DataFrame(batch)
            lines, line, taken = _numbered(len(frame), line, odd, taken)
            filled = ~_blank(frame, needed)
            fresh = tuple(each for each in odd[:taken] if each.text.strip())
            del odd[:taken]
            taken = 0
            yield Chunk(
                frame.select(needed).filter(filled), lines[filled], file.name, fresh, content.done(), facts.read_as()
            )
        if odd:
            left = tuple(each for each in odd if each.text.strip())
            yield Chunk(_no_rows(needed), np.zeros(0, np.int64), file.name, left, 1.0, facts.read_as())


def _options(facts: TextFacts, odd: list[Ragged]) -> tuple[Any, Any, Any]:
    """Read, parse and convert options; rows that do not fit are appended to `odd`."""
    import pyarrow as pa
    from pyarrow import csv

    def keep(row: Any) -> str:
        reason = f"{row.actual_columns} values instead of {row.expected_columns}"
        odd.append(Ragged(row.number, row.text or "", reason))
        return "skip"

    encoding = "utf-8" if facts.encoding == "utf-8-sig" else facts.encoding
    return (
        csv.ReadOptions(
            use_threads=False,  # the number of an odd row is known only then
            block_size=BLOCK,
            skip_rows=facts.skipped,
            column_names=list(facts.names),
            encoding=encoding,
        ),
        csv.ParseOptions(
            delimiter=facts.separator,
            newlines_in_values=True,
            ignore_empty_lines=False,
            invalid_row_handler=keep,
        ),
        csv.ConvertOptions(
            column_types=dict.fromkeys(facts.names, pa.string()),
            strings_can_be_null=False,
        ),
    )


def _numbered(count: int, line: int, odd: list[Ragged], taken: int) -> tuple[npt.NDArray[np.int64], int, int]:
    """Lines of the next `count` good rows from `line` on, stepping over odd ones.

    With them the line after the last one, and how many odd rows were passed.
    """
    lines = np.empty(count, np.int64)
    filled = 0
    while filled < count:
        stop = odd[taken].line if taken < len(odd) else line + count - filled
        run = min(max(stop - line, 0), count - filled)
        lines[filled : filled + run] = np.arange(line, line + run)
        filled, line = filled + run, line + run
        if taken < len(odd) and line == odd[taken].line:
            taken, line = taken + 1, line + 1
    return lines, line, taken


def _blank(frame: pl.DataFrame, needed: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Rows without any value at all: empty lines. The other columns are looked at only if the needed ones are empty."""
    empty = frame.select(pl.all_horizontal(pl.col(needed) == "")).to_series()
    if empty.any():
        empty = frame.select(pl.all_horizontal(pl.all() == "")).to_series()
    return empty.to_numpy()


def _no_rows(needed: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(schema=dict.fromkeys(needed, pl.String))


def read_whitespace(file: SourceFile, wanted: TableFormat, needed: Sequence[str]) -> Iterator[Chunk]:
    """Chunks of text whose columns are set apart by blanks and tabs.

    Raises:
        ImportRefused: the file is empty or is not text.
        MappingError: a needed column is missing.
    """
    facts = text_facts(file, wanted)
    refuse_missing(needed, facts.names, file.name)
    with opened(file) as content, io.TextIOWrapper(content.stream, facts.encoding) as text:
        first = 1
        while texts := [line for _, line in zip(range(LINES), text, strict=False)]:
            yield _split_chunk(texts, first, file.name, facts, needed, content.done())
            first += len(texts)


def _split_chunk(
    texts: list[str], first: int, name: str, facts: TextFacts, needed: Sequence[str], done: float
) -> Chunk:
    width = len(facts.names)
    table = (
        pl.DataFrame({"text": texts})
        .with_row_index("line", offset=first)
        .filter((pl.col("line") > facts.skipped) & (pl.col("text").str.strip_chars() != ""))
        .with_columns(pl.col("text").str.extract_all(r"\S+").alias("values"))
    )
    good = table.filter(pl.col("values").list.len() == width)
    odd = table.filter(pl.col("values").list.len() != width)
    frame = good.select(pl.col("values").list.get(facts.names.index(column)).alias(column) for column in needed)
    ragged = tuple(
        Ragged(line, text.strip(), f"{len(values)} values instead of {width}") for line, text, values in odd.rows()
    )
    lines = good["line"].cast(pl.Int64).to_numpy()
    return Chunk(frame, lines, name, ragged, done, facts.read_as())
