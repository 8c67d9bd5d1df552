"""The Complete Journey sample is described as it lies in its package."""

import sys

import polars as pl
import pytest

from recsys.data.cataloguing import build_catalogue
from recsys.data.importing import ImportResult, run_import
from recsys.errors import ImportRefused
from recsys.samples import complete_journey


@pytest.fixture(scope="module")
def imported() -> ImportResult:
    """The whole sample, imported."""
    return run_import(complete_journey.mapping())


def test_nothing_of_the_sample_is_lost(imported: ImportResult) -> None:
    """The published numbers of lines, baskets, households and products arrive."""
    counts = imported.report.counts
    assert (counts["lines"], counts["orders"], counts["customers"]) == (1_469_307, 155_848, 2_469)


def test_the_report_tells_of_lines_without_quantity(imported: ImportResult) -> None:
    """The 8,869 lines of quantity 0 are counted in the report."""
    assert {odd.name: odd.count for odd in imported.report.oddities}["zero_quantities"] == 8_869


def test_the_report_tells_of_gasoline(imported: ImportResult) -> None:
    """The report names a product that alone makes up 83% of all quantity: gasoline."""
    dwarfing = next(odd for odd in imported.report.oddities if odd.name == "dwarfing_products")
    assert "6534178: 83.0%" in dwarfing.examples[0]


def test_amounts_add_up_to_the_cent(imported: ImportResult) -> None:
    """The sum of line totals is that of the file, in cents."""
    file = complete_journey.data_directory() / "transactions.parquet"
    total = pl.scan_parquet(file).select((pl.col("sales_value") * 100).round().cast(pl.Int64).sum()).collect().item()
    assert imported.snapshot.history.line_amount.sum() == total


def test_every_mapped_column_exists_in_the_files() -> None:
    """The files have each column the mapping reads."""
    described = complete_journey.mapping()
    tables = [table for table in (described.transactions, described.products, described.customers) if table]
    missing = [
        name for table in tables for name in table.needed() if name not in pl.read_parquet_schema(table.files[0])
    ]
    assert missing == []


def test_fuel_and_money_are_never_offered() -> None:
    """Gasoline, gift cards and coupons are items that may not be offered; milk may."""
    rules = complete_journey.mapping().rules()
    products = pl.read_parquet(complete_journey.data_directory() / "products.parquet")
    catalogue = build_catalogue([], products.with_columns(pl.col("product_id").cast(pl.String)), rules)
    asked = ("GASOLINE-REG UNLEADED", "MASTERCARD GIFT CARD", "COUPONS/STORE & MFG", "FLUID MILK WHITE ONLY")
    assert [bool(catalogue.offerable[catalogue.items.index(name)]) for name in asked] == [False, False, False, True]


def test_the_package_is_not_imported() -> None:
    """Finding the files loads neither the package nor pandas on its behalf."""
    sys.modules.pop(complete_journey.PACKAGE, None)
    complete_journey.mapping()
    assert complete_journey.PACKAGE not in sys.modules


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the error says what to install."""
    monkeypatch.setattr(complete_journey, "PACKAGE", "no_such_package")
    with pytest.raises(ImportRefused, match=r"barista\[demo\]"):
        complete_journey.data_directory()
