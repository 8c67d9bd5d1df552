"""Products and customers: typed tables, kept with the snapshot, or derived from the transactions."""

from pathlib import Path
from typing import Any

import polars as pl

from recsys.data.merging import open_base

SALES = "who,when,what,n,paid,bill\nann,2024-03-01,latte,2,7.00,b1\nbob,2024-03-02,fuel,9,20,b2\n"
ITEMS = {"levels": ["group", "family"], "item_level": "family", "not_offerable": {"group": ["FU*"]}}
PRODUCTS = {
    "file": "products.csv",
    "columns": {"product_id": "id", "name": "title", "group": "g", "family": "f", "price": "p", "unit_cost": "c"},
    "attributes": {"grams": {"column": "w", "type": "number"}, "vegan": {"column": "v", "type": "bool"}, "brand": "b"},
}
PRODUCT_ROWS = """id,title,g,f,p,c,w,v,b
latte,Latte,DRINKS,COFFEE,3.50,0.80,250,no,007
fuel,Fuel,FUEL,GAS,2.00,1.50,,yes,
cake,Cake,FOOD,CAKES,4.00,1.00,120.5,no,Nord
latte,Latte again,DRINKS,TEA,1,1,1,no,x
tart,Tart,FOOD,CAKES,cheap,1,1,no,x
pie,Pie,FOOD,CAKES,1,1,1,perhaps,x
"""


def imported(shop: Any) -> Any:
    """Sales with the products table above."""
    shop.write(PRODUCT_ROWS, "products.csv")
    return shop.sells(SALES, products=PRODUCTS, items=ITEMS)


def test_items_come_from_the_declared_level(shop: Any) -> None:
    """Products become items of their family; what the globs name is not offerable."""
    catalogue = imported(shop).snapshot.catalogue
    offerable = {item: bool(catalogue.offerable[i]) for i, item in enumerate(catalogue.items)}
    assert offerable == {"CAKES": True, "COFFEE": True, "GAS": False}


def test_attributes_keep_their_types(shop: Any) -> None:
    """Declared numbers and bools are typed; texts keep leading zeros."""
    table = imported(shop).base.products
    assert table.filter(pl.col("product_id") == "latte").select("price", "grams", "vegan", "brand").row(0) == (
        3.5,
        250.0,
        False,
        "007",
    )


def test_products_with_bad_values_are_rejected(shop: Any) -> None:
    """A repeated id, a price that is no number, a flag that is neither yes nor no."""
    imported(shop)
    found = [(r["table"], r["line"], r["column"], r["value"]) for r in shop.rejects()]
    assert found == [
        ("products", "5", "product_id", "latte"),
        ("products", "6", "price", "cheap"),
        ("products", "7", "vegan", "perhaps"),
    ]


def test_unlisted_products_are_reported(shop: Any) -> None:
    """A product sold but not in the products table stays, without an item, and is counted."""
    shop.write(PRODUCT_ROWS, "products.csv")
    result = shop.sells(SALES + "eve,2024-03-03,mystery,1,1,b3\n", products=PRODUCTS, items=ITEMS)
    odd = {each.name: (each.count, each.of) for each in result.report.oddities}
    assert odd["unlisted_products"] == (1, 3)


def test_tables_are_kept_with_the_snapshot(shop: Any, tmp_path: Path) -> None:
    """What was imported can be opened again: products, customers, and how items are made."""
    shop.write("who,sex,year,email,cost\nann,f,1980,yes,12.5\nzoe,,,0,\n", "people.csv")
    customers = {
        "file": "people.csv",
        "columns": {"customer_id": "who", "acquisition_cost": "cost"},
        "attributes": {"sex": "sex", "birth_year": {"column": "year", "type": "number"}},
        "opt_outs": {"email": "email"},
    }
    shop.write(PRODUCT_ROWS, "products.csv")
    result = shop.sells(SALES, products=PRODUCTS, items=ITEMS, customers=customers)
    saved = result.save(tmp_path / "snapshots")
    base = open_base(saved.directory)
    assert (base.rules, base.products.height, base.customers.rows()) == (
        result.base.rules,
        3,
        [("ann", 12.5, "f", 1980.0, True), ("zoe", None, None, None, False)],
    )


def test_a_changed_opt_out_makes_a_new_snapshot(shop: Any, tmp_path: Path) -> None:
    """The same purchases with another customers table are not the same snapshot."""
    customers = {"file": "people.csv", "columns": {"customer_id": "who"}, "opt_outs": {"email": "email"}}
    ids = []
    for answer in ("no", "yes"):
        shop.write(f"who,email\nann,{answer}\n", "people.csv")
        ids.append(shop.sells(SALES, customers=customers).save(tmp_path / "snapshots").snapshot_id)
    assert ids[0] != ids[1]


def test_products_are_derived_from_the_transactions(shop: Any) -> None:
    """The most frequent value of a text, the total over the count for a cost."""
    text = "who,when,what,n,paid,kind,cost\n" + "".join(
        f"ann,2024-03-0{day},latte,{n},7,{kind},{cost}\n"
        for day, n, kind, cost in [(1, 2, "HOT", 2.0), (2, 1, "HOT", 0.7), (3, 1, "COLD", 0.9), (4, 0, "COLD", 5)]
    )
    products = {
        "from": "transactions",
        "columns": {"product_id": "what", "unit_cost": {"column": "cost", "per": "n"}, "kind": "kind"},
    }
    columns = {"customer_id": "who", "occurred_at": "when", "product_id": "what", "quantity": "n"}
    items = {"levels": ["kind"], "item_level": "kind"}
    table = shop.sells(text, columns=columns, products=products, items=items).base.products
    assert table.rows() == [("latte", 0.9, "COLD")]  # (2 + .7 + .9) / 4; two of each kind, COLD is smaller


def test_customers_are_derived_from_the_transactions(shop: Any) -> None:
    """A customer's most frequent value, empty cells not counting."""
    text = (
        "who,when,what,zip\nann,2024-03-01,tea,\nann,2024-03-02,tea,115\nann,2024-03-03,tea,\nbob,2024-03-03,tea,007\n"
    )
    columns = {"customer_id": "who", "occurred_at": "when", "product_id": "what"}
    customers = {"from": "transactions", "columns": {"customer_id": "who"}, "attributes": {"zip": "zip"}}
    assert shop.sells(text, columns=columns, customers=customers).base.customers.rows() == [
        ("ann", "115"),
        ("bob", "007"),
    ]
