"""The SQL import source."""

import sqlite3
from pathlib import Path

import pytest

from recsys.data.importing import run_import
from recsys.data.mapping_file import mapping_of
from recsys.errors import ImportRefused, MappingError
from recsys.store.sql_source import read_sql

COLUMNS = {"customer_id": "who", "occurred_at": "at", "product_id": "what", "amount": "paid"}


@pytest.fixture
def till(tmp_path: Path) -> str:
    """Address of a database with three sales, one without a customer."""
    with sqlite3.connect(tmp_path / "till.db") as connection:
        connection.execute("CREATE TABLE sales (who TEXT, at TEXT, what INTEGER, paid NUMERIC)")
        rows = [("ann", "2024-03-01 10:00:00", 7, 3.5), (None, "2024-03-02", 7, 3), ("bob", "2024-03-03", 8, 2)]
        connection.executemany("INSERT INTO sales VALUES (?, ?, ?, ?)", rows)
    return f"sqlite:///{tmp_path / 'till.db'}"


def imported(url: str, query: str) -> object:
    """Import a query; most rows may be rejected."""
    source = {"url": url, "query": query, "columns": COLUMNS}
    mapping = mapping_of({"transactions": source, "limits": {"max_rejected_share": 0.5}}, Path())
    return run_import(mapping, sql=read_sql)


def test_a_query_is_imported_like_a_file(till: str) -> None:
    """Rows become lines, numeric ids texts, and an unusable row is rejected with its number."""
    result = imported(till, "SELECT * FROM sales ORDER BY at")
    table = result.report.tables["transactions"]
    found = (
        list(result.snapshot.catalogue.products),
        result.snapshot.history.line_amount.tolist(),
        table.examples[0]["line"],
    )
    assert found == (["7", "8"], [350, 200], 2)


def test_a_refused_query_says_what_the_database_said(till: str) -> None:
    """The message carries the database's words, not the address."""
    with pytest.raises(ImportRefused, match="no such table: sale"):
        imported(till, "SELECT * FROM sale")


def test_an_unknown_address_is_refused() -> None:
    """A driver that does not exist is an ImportRefused, too."""
    with pytest.raises(ImportRefused, match="nosuch"):
        imported("nosuch://host/db", "SELECT 1")


def test_a_query_without_a_mapped_column_is_refused(till: str) -> None:
    """The columns found are listed."""
    with pytest.raises(MappingError, match=r"no column 'who'.*\['at'\]"):
        imported(till, "SELECT at FROM sales")


def test_a_query_without_rows_is_refused(till: str) -> None:
    """Nothing selected is nothing imported."""
    with pytest.raises(ImportRefused, match="no row"):
        imported(till, "SELECT * FROM sales WHERE 1 = 0")
