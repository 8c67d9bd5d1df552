"""The SQL import source: rows of any query at any SQLAlchemy address, read in portions."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from recsys.data.readers.chunk import Chunk, plain, refuse_missing
from recsys.errors import ImportRefused

PORTION = 200_000
"""Rows fetched at once."""

LABEL = "query"
"""What reports call the source; never its address, which may hold a password."""


def read_sql(url: str, query: str, needed: Sequence[str]) -> Iterator[Chunk]:
    """Chunks of a query's rows, only the columns needed; lines are counted from 1.

    Raises:
        ImportRefused: the address is none, its driver is missing, the database refuses or can't be reached.
        MappingError: the query lacks a needed column.
    """
    try:
        source = create_engine(url)
    except (SQLAlchemyError, ImportError) as error:
        raise _refused(error) from error
    try:
        yield from _portions(source, query, needed)
    except SQLAlchemyError as error:
        raise _refused(error) from error
    finally:
        source.dispose()


def _portions(source: Any, query: str, needed: Sequence[str]) -> Iterator[Chunk]:
    with source.connect().execution_options(stream_results=True) as connection:
        rows = connection.execute(text(query))
        names = list(rows.keys())
        refuse_missing(needed, names, LABEL)
        positions = [names.index(name) for name in needed]
        first = 1
        while portion := rows.fetchmany(PORTION):
            columns = {
                name: _series(name, [row[at] for row in portion]) for name, at in zip(needed, positions, strict=True)
            }
            lines = np.arange(first, first + len(portion), dtype=np.int64)
            first += len(portion)
            yield Chunk(plain(pl.DataFrame(columns)), lines, LABEL, done=0.0)


def _series(name: str, values: list[Any]) -> pl.Series:
    """A typed column; values of several types stand as texts."""
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, pl.exceptions.PolarsError):
        return pl.Series(name, [None if value is None else str(value) for value in values], pl.String)


def _refused(error: Exception) -> ImportRefused:
    said = str(getattr(error, "orig", None) or error).splitlines()[0]
    return ImportRefused(
        "The database refused the query",
        found=said,
        cure="Correct `url` and `query` of the mapping, install its driver",
    )
