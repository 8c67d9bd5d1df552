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

SWALLOWED = "swallowed by a value above whose quote is not closed"

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
        record, shift = facts.skipped + 1, 0
        for batch in reader:
            frame = pl.DataFrame(batch)
            records, record, passed = _numbered(len(frame), record, odd)
            lines, ragged, shift = _physical(frame, records, odd[:passed], shift)
            del odd[:passed]
            filled = ~_blank(frame, needed)
            rows = frame.select(needed).filter(filled)
            yield Chunk(rows, lines[filled], file.name, ragged, content.done(), facts.read_as())
        if odd:
            empty = pl.DataFrame(schema=dict.fromkeys(needed, pl.String))
            lines, ragged, shift = _physical(empty, np.zeros(0, np.int64), odd, shift)
            yield Chunk(empty, lines, file.name, ragged, 1.0, facts.read_as())


def _options(facts: TextFacts, odd: list[Ragged]) -> tuple[Any, Any, Any]:
    """Read, parse and convert options; rows that do not fit are appended to `odd`."""
    import pyarrow as pa
    from pyarrow import csv

    def keep(row: Any) -> str:
        """Note a row with too many or too few values, and leave it out."""
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


def _numbered(count: int, record: int, odd: list[Ragged]) -> tuple[npt.NDArray[np.int64], int, int]:
    """Numbers of the next `count` good records from `record` on, stepping over odd ones.

    With them the number after the last one, and how many odd records were passed.
    """
    numbers = np.empty(count, np.int64)
    filled, passed = 0, 0
    while filled < count:
        stop = odd[passed].line if passed < len(odd) else record + count - filled
        run = min(max(stop - record, 0), count - filled)
        numbers[filled : filled + run] = np.arange(record, record + run)
        filled, record = filled + run, record + run
        if passed < len(odd) and record == odd[passed].line:
            passed, record = passed + 1, record + 1
    return numbers, record, passed


def _physical(
    frame: pl.DataFrame, records: npt.NDArray[np.int64], odd: Sequence[Ragged], shift: int
) -> tuple[npt.NDArray[np.int64], tuple[Ragged, ...], int]:
    """Lines of good records and of odd ones, counting line breaks inside quoted values.

    An odd record of several lines (a quote that is not closed swallows what follows) comes as one `Ragged` a line.
    `shift` is how many lines more than records stand above, before and after these.
    """
    breaks = _line_breaks(frame)
    odd_breaks = [each.text.count("\n") for each in odd]
    if not shift and not breaks.any() and not any(odd_breaks):
        return records, tuple(each for each in odd if each.text.strip()), 0
    numbers = np.concatenate([records, np.array([each.line for each in odd], np.int64)])
    every = np.concatenate([breaks, np.array(odd_breaks, np.int64)])
    sequence = np.argsort(numbers, kind="stable")
    above = np.empty(len(numbers), np.int64)
    above[sequence] = shift + np.cumsum(every[sequence]) - every[sequence]
    lines = numbers + above
    ragged = [
        Ragged(line + n, text, each.reason if n == 0 else SWALLOWED)
        for line, each in zip(lines[len(records) :].tolist(), odd, strict=True)
        for n, text in enumerate(each.text.split("\n"))
        if text.strip()
    ]
    return lines[: len(records)], tuple(ragged), shift + int(every.sum())


def _line_breaks(frame: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Line breaks inside the values of each record, (len(frame),)."""
    if not frame.select(pl.any_horizontal(pl.all().str.contains("\n", literal=True).any())).item():
        return np.zeros(len(frame), np.int64)
    counts = frame.select(pl.sum_horizontal(pl.all().str.count_matches("\n", literal=True)).cast(pl.Int64))
    return counts.to_series().to_numpy()


def _blank(frame: pl.DataFrame, needed: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Rows without any value at all: empty lines. The other columns are looked at only if the needed ones are empty."""
    empty = frame.select(pl.all_horizontal(pl.col(needed) == "")).to_series()
    if empty.any():
        empty = frame.select(pl.all_horizontal(pl.all() == "")).to_series()
    return empty.to_numpy()


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
