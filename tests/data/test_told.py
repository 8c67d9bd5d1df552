"""What an import's tables tell those who answer: the same with the files made for them and from the tables alone."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.data.columns import ACQUISITION_COST, UNIT_COST
from recsys.data.snapshot import Snapshot, read_manifest
from recsys.data.told import told_cost, told_ids, told_row

SALES = "who,when,what,n,paid,bill\nann,2024-03-01,latte,2,7.00,b1\nbob,2024-03-02,tea,1,2,b2\n"
PRODUCTS = {"file": "products.csv", "columns": {"product_id": "id", "unit_cost": "cost"}}
CUSTOMERS = {
    "file": "people.csv",
    "columns": {"customer_id": "who", "acquisition_cost": "cost"},
    "attributes": {"city": "city", "born": {"column": "year", "type": "number"}},
    "opt_outs": {"email": "email"},
}


@pytest.fixture(params=["with its files", "from the tables alone"])
def saved(shop: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Snapshot:
    """A snapshot imported with both tables, as it is saved now and as former versions saved it."""
    shop.write("id,cost\nlatte,0.80\ncake,1.00\n", "products.csv")
    shop.write("who,cost,city,year,email\nzoe,3,Köln,1980,no\nann,12.5,,1990,yes\n", "people.csv")
    found: Snapshot = shop.sells(SALES, products=PRODUCTS, customers=CUSTOMERS).save(tmp_path / "snapshots")
    if request.param == "from the tables alone":
        for path in [*found.directory.glob("told.*"), *found.directory.glob("*_cost.npy")]:
            path.unlink()
    return found


def test_costs_stand_at_the_snapshots_indices(saved: Snapshot) -> None:
    """A cost the tables tell is found by id; a product or customer they do not tell of has none."""
    unit = told_cost(saved.directory, UNIT_COST, saved.catalogue.products)
    won = told_cost(saved.directory, ACQUISITION_COST, saved.customers)
    found = dict(zip(saved.catalogue.products, unit, strict=True)) | dict(zip(saved.customers, won, strict=True))
    assert {name: None if np.isnan(cost) else cost for name, cost in found.items()} == {
        "cake": 1.0,
        "latte": 0.8,
        "tea": None,
        "ann": 12.5,
        "bob": None,
    }


@pytest.mark.parametrize(
    ("customer", "row"),
    [
        ("ann", {"acquisition_cost": 12.5, "city": None, "born": 1990.0, "opt_out_email": True}),
        ("zoe", {"acquisition_cost": 3.0, "city": "Köln", "born": 1980.0, "opt_out_email": False}),
        ("bob", {}),
    ],
)
def test_a_customers_row_is_found_whether_they_bought_or_not(saved: Snapshot, customer: str, row: dict) -> None:
    """All columns but the id, of whoever is in the table."""
    assert told_row(saved.directory, customer) == row


def test_files_made_of_the_tables_leave_the_snapshots_id(shop: Any, tmp_path: Path) -> None:
    """The same data under the id they always had; each file is in the manifest."""
    shop.write("id,cost\nlatte,0.80\n", "products.csv")
    result = shop.sells(SALES, products=PRODUCTS)
    before, now = result.snapshot.save(tmp_path / "before", result.files()), result.save(tmp_path / "now")
    assert (now.snapshot_id, "unit_cost.npy" in read_manifest(now.directory)["files"]) == (before.snapshot_id, True)


def test_everyone_in_the_table_is_listed(saved: Snapshot) -> None:
    """Those who bought and those who did not, by the bytes of their ids."""
    assert list(told_ids(saved.directory)) == ["ann", "zoe"]


def test_without_tables_nothing_is_told(tiny_snapshot: Snapshot, tmp_path: Path) -> None:
    """No costs, no row, no file more."""
    saved = tiny_snapshot.save(tmp_path)
    costs = told_cost(saved.directory, UNIT_COST, saved.catalogue.products)
    told = (told_row(saved.directory, "anna"), list(told_ids(saved.directory)))
    assert (np.isnan(costs).all(), told) == (True, ({}, []))


def test_an_instant_is_told_as_text(tmp_path: Path) -> None:
    """What JSON has no value for is written out."""
    pl.DataFrame({"customer_id": ["ann"], "since": [0]}).with_columns(
        since=pl.from_epoch("since", time_unit="s")
    ).write_parquet(tmp_path / "customers.parquet")
    assert told_row(tmp_path, "ann") == {"since": "1970-01-01 00:00:00"}
