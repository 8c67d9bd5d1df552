"""The Complete Journey sample is described as it lies in its package."""

import sys

import polars as pl
import pytest

from recsys.data.cataloguing import build_catalogue
from recsys.errors import ImportRefused
from recsys.samples import complete_journey


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
