"""Files: encodings, separators, archives, formats; and what is said of broken ones."""

import gzip
import io
import zipfile
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from recsys.errors import ImportRefused

TEXT = "who,when,what,n,paid,bill\nАнна,2024-03-01,кофе,2,7.00,b1\nbob,2024-03-02,tea,1,2.50,b2\n"
ROWS = [("bob", "tea", 1_709_337_600, 1.0, 250), ("Анна", "кофе", 1_709_251_200, 2.0, 700)]
FRAME = pl.DataFrame(
    {
        "who": ["Анна", "bob"],
        "when": ["2024-03-01", "2024-03-02"],
        "what": ["кофе", "tea"],
        "n": [2, 1],
        "paid": [7.0, 2.5],
        "bill": ["b1", "b2"],
    }
)


def zipped(**members: str) -> bytes:
    """Bytes of a zip with these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("_", "."), text)
    return buffer.getvalue()


def parquet() -> bytes:
    """FRAME as Parquet."""
    buffer = io.BytesIO()
    FRAME.write_parquet(buffer)
    return buffer.getvalue()


def excel() -> bytes:
    """FRAME as Excel, its dates being dates."""
    buffer = io.BytesIO()
    FRAME.with_columns(pl.col("when").str.to_date()).write_excel(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.csv", TEXT.encode()),
        ("bom.csv", TEXT.encode("utf-8-sig")),
        ("cp1251.csv", TEXT.encode("cp1251")),
        ("utf16.csv", TEXT.encode("utf-16")),
        ("utf16le.csv", TEXT.replace("Анна", "Анна").encode("utf-16-le")),
        ("windows.csv", TEXT.replace("\n", "\r\n").encode()),
        ("no_end.csv", TEXT.rstrip().encode()),
        ("semicolon.csv", TEXT.replace(",", ";").encode()),
        ("tabs.tsv", TEXT.replace(",", "\t").encode()),
        ("quoted.csv", '"who","when","what","n","paid","bill"\n"Анна","2024-03-01","кофе","2","7.00","b1"\n'
         '"bob","2024-03-02","tea","1","2.50","b2"\n'.encode()),
        ("packed.csv.gz", gzip.compress(TEXT.encode())),
        ("packed.zip", zipped(sales_csv=TEXT)),
        ("table.parquet", parquet()),
        ("table.parquet.gz", gzip.compress(parquet())),
        ("table.xlsx", excel()),
    ],
)  # fmt: skip
def test_every_format_gives_the_same_rows(shop: Any, rows_of: Callable[[Any], Any], name: str, content: bytes) -> None:
    """Encodings, separators, archives, Parquet and Excel all hold the same two purchases."""
    result = shop.run(shop.write(content, name))
    assert rows_of(result.snapshot) == sorted(ROWS)


def test_whitespace_text_without_header(shop: Any, rows_of: Callable[[Any], Any]) -> None:
    """Columns set apart by any number of blanks; a row of another width is rejected with its line."""
    file = shop.write(" 00001 19970101  1   11.77\n\n00002 19970112 2\n 00002\t19970112  5   77.00\n", "cd.txt")
    columns = {
        "customer_id": "id",
        "occurred_at": "day",
        "product_id": {"constant": "CD"},
        "quantity": "n",
        "amount": "$",
    }
    names = ["id", "day", "n", "$"]
    result = shop.run(file, columns=columns, format="whitespace", header=False, names=names, time_format="%Y%m%d")
    rows = [("00001", "CD", 852_076_800, 1.0, 1177), ("00002", "CD", 853_027_200, 5.0, 7700)]
    assert (rows_of(result.snapshot), [r["line"] for r in shop.rejects()]) == (rows, ["3"])


def test_patterns_and_members(shop: Any) -> None:
    """A glob reads all files it matches, a member pattern chooses inside a zip."""
    shop.write(zipped(a_csv=TEXT, b_txt="nothing"), "one.zip")
    shop.write(zipped(a_csv=TEXT), "two.zip")
    result = shop.run("*.zip", member="*.csv")
    assert list(result.report.tables["transactions"].read_as) == ["one.zip/a.csv", "two.zip/a.csv"]


def test_numbers_as_ids_lose_their_point(shop: Any) -> None:
    """A spreadsheet's 1104905.0 is the id 1104905."""
    buffer = io.BytesIO()
    FRAME.with_columns(pl.Series("who", [1104905.0, 7.0])).write_parquet(buffer)
    result = shop.run(shop.write(buffer.getvalue(), "ids.parquet"))
    assert list(result.snapshot.customers) == ["1104905", "7"]


def test_unusual_column_types_are_read(shop: Any, rows_of: Callable[[Any], Any]) -> None:
    """Categories, bytes and decimals of a Parquet file are texts and numbers."""
    buffer = io.BytesIO()
    typed = [
        pl.col("who").cast(pl.Categorical),
        pl.col("what").cast(pl.Binary),
        pl.col("paid").cast(pl.Decimal(10, 2)),
        pl.col("when").str.to_datetime("%Y-%m-%d", time_unit="ns").dt.replace_time_zone("UTC"),
    ]
    FRAME.with_columns(typed).write_parquet(buffer)
    assert rows_of(shop.run(shop.write(buffer.getvalue(), "types.parquet")).snapshot) == sorted(ROWS)


def test_a_value_may_hold_line_breaks(shop: Any) -> None:
    """A quoted value with a line break is one value."""
    result = shop.sells(TEXT.replace("tea", '"green\ntea"'))
    assert list(result.snapshot.catalogue.products) == ["green\ntea", "кофе"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nothing.csv", b"", "empty"),
        ("blank.csv", b"\n \n", "empty"),
        ("header.csv", TEXT.splitlines()[0].encode(), "no row"),
        ("header.parquet", None, "no row"),
        ("cut.csv.gz", gzip.compress(TEXT.encode() * 999)[:-20], "can't be read to its end"),
        ("cut.parquet", parquet()[:-20], "can't be read to its end"),
        ("text.parquet", TEXT.encode(), "can't be read to its end"),
        ("text.xlsx", TEXT.encode(), "can't be read to its end"),
        ("cut.zip", zipped(sales_csv=TEXT)[:-30], "can't be read"),
        ("two.zip", zipped(a_csv=TEXT, b_csv=TEXT), "which of its files"),
    ],
)
def test_a_broken_file_is_refused(shop: Any, name: str, content: bytes | None, message: str) -> None:
    """The message names the file and what is wrong with it."""
    if content is None:
        buffer = io.BytesIO()
        FRAME.clear().write_parquet(buffer)
        content = buffer.getvalue()
    file = shop.write(content, name)
    with pytest.raises(ImportRefused, match=message):
        shop.run(file)


def test_a_missing_file_is_refused(shop: Any) -> None:
    """A pattern without a match is an error, not an empty import."""
    with pytest.raises(ImportRefused, match=r"No such file.*2024-\*\.csv"):
        shop.run("2024-*.csv")


def test_a_wrong_encoding_is_refused(shop: Any) -> None:
    """A declared encoding that does not fit is said, with the cure."""
    with pytest.raises(ImportRefused, match="encoding"):
        shop.run(shop.write(TEXT.encode("cp1251"), "wrong.csv"), encoding="utf-8")


def test_a_guessed_encoding_is_reported(shop: Any) -> None:
    """Bytes that are no UTF-8 are read as cp1251, and the report says that this was a guess."""
    result = shop.run(shop.write(TEXT.encode("cp1251"), "old.csv"))
    assert [each.name for each in result.report.oddities] == ["guessed_encoding"]
