"""Mapping: where the tables of a source are and what their columns mean, as frozen objects.

`recsys.data.mapping_file` reads one from TOML; code may build one directly.
"""

from dataclasses import dataclass, field
from pathlib import Path

from recsys.data import columns as c
from recsys.data.cataloguing import CatalogueRules

LINE_ID = "line_id"
"""Source column that proves a repeated line; it is not kept."""

TRANSACTION_COLUMNS = (*c.TRANSACTION_REQUIRED, *c.TRANSACTION_OPTIONAL, LINE_ID)
CUSTOMER_COLUMNS = (c.CUSTOMER, c.ACQUISITION_COST)


@dataclass(frozen=True, slots=True)
class ColumnSource:
    """Where one contract column comes from.

    columns      source columns: one, several to join (texts) or several to add up (`discount`)
    constant     the same text for every row, instead of columns
    separator    between joined columns
    if_missing   text taken where the source has none; without it such a row is rejected if the column is required
    unit_price   the column holds the price of one piece; the line total is price × quantity (`amount` only)
    negative     the source writes discounts as negative numbers (`discount` only)
    per          column of a count that the value is a total of (`unit_cost` derived from transactions)
    type         `text`, `number`, `bool` or `auto` (that of the source; texts stay texts); for attributes
    """

    columns: tuple[str, ...] = ()
    constant: str | None = None
    separator: str = "|"
    if_missing: str | None = None
    unit_price: bool = False
    negative: bool = False
    per: str | None = None
    type: str = "auto"

    @classmethod
    def of(cls, *columns: str) -> "ColumnSource":
        """The plain case: these source columns."""
        return cls(columns=columns)

    def needed(self) -> tuple[str, ...]:
        """Source columns read for it."""
        return (*self.columns, self.per) if self.per else self.columns


@dataclass(frozen=True, slots=True)
class TableFormat:
    """How a file is to be read; None or '' means: found out from the file.

    kind         `csv`, `whitespace`, `parquet` or `excel`; by default from the file's ending
    encoding     any Python codec; default: byte-order mark, UTF-16, UTF-8, at last cp1251
    separator    between columns of a CSV; default: the one of , ; tab | that the first lines agree on
    decimal      `.` or `,`; default `.`, or `,` where the first lines show it
    thousands    mark between thousands, removed from numbers (spaces always are)
    header       the first row holds the names; False needs `names`, or takes column_1, column_2 …
    names        names of the columns, where the file has none or others are wanted
    member       pattern of the file inside a zip
    sheet        name of the Excel sheet; default the first
    missing      texts that mean "no value", besides the empty one
    zone         zone of instants written without one; default: the business time zone
    time_format  strptime patterns tried in turn, or `epoch` (seconds, milli-, micro- or nanoseconds by magnitude),
                 `epoch_s`, `epoch_ms`; default: ISO 8601
    """

    kind: str = ""
    encoding: str = ""
    separator: str = ""
    decimal: str = ""
    thousands: str = ""
    header: bool = True
    names: tuple[str, ...] = ()
    member: str = ""
    sheet: str = ""
    missing: tuple[str, ...] = ()
    zone: str = ""
    time_format: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableSource:
    """One table: files, a query, or (products and customers) columns of the transactions.

    files             paths or glob patterns
    url, query        an SQLAlchemy address and a SELECT
    from_transactions rows are derived from the transactions' own columns
    columns           contract column → source column
    attributes        further typed columns kept with the product or customer
    opt_outs          channel → source column saying that the customer opted out (customers only)
    """

    files: tuple[Path, ...] = ()
    url: str = ""
    query: str = ""
    from_transactions: bool = False
    format: TableFormat = TableFormat()
    columns: dict[str, ColumnSource] = field(default_factory=dict)
    attributes: dict[str, ColumnSource] = field(default_factory=dict)
    opt_outs: dict[str, ColumnSource] = field(default_factory=dict)

    def all_columns(self) -> dict[str, ColumnSource]:
        """Contract columns, attributes and opt-outs by the name they are kept under."""
        opt_outs = {c.OPT_OUT + channel: source for channel, source in self.opt_outs.items()}
        return {**self.columns, **self.attributes, **opt_outs}

    def needed(self) -> tuple[str, ...]:
        """Source columns that are read, each once."""
        return tuple(dict.fromkeys(name for source in self.all_columns().values() for name in source.needed()))

    def describe(self) -> str:
        """What a report calls this source; never the address, which may hold a password."""
        if self.from_transactions:
            return "columns of the transactions"
        return f"query {self.query!r}" if self.query else ", ".join(path.name for path in self.files)


@dataclass(frozen=True, slots=True)
class Business:
    """Facts the rows do not say: business time zone, ISO 4217 currency, digits after its decimal point."""

    timezone: str = "UTC"
    currency: str = ""
    minor_digits: int = 2


@dataclass(frozen=True, slots=True)
class Mapping:
    """Everything an import needs to know of a source.

    `max_rejected_share`: an import is refused when more than this share of a table's rows is rejected.
    """

    transactions: TableSource
    products: TableSource | None = None
    customers: TableSource | None = None
    business: Business = Business()
    items: CatalogueRules | None = None
    max_rejected_share: float = 0.1

    def rules(self) -> CatalogueRules:
        """How items come from products; without `[items]` a product is an item."""
        return self.items or CatalogueRules()

    def transaction_columns(self) -> tuple[str, ...]:
        """Source columns read from the transactions, those of derived tables included."""
        derived = [table for table in (self.products, self.customers) if table is not None and table.from_transactions]
        return tuple(dict.fromkeys(name for table in (self.transactions, *derived) for name in table.needed()))
