"""Builders of tiny tables: a purchase is one readable line of text.

`lines("ann latte 2024-03-01 2x3.50", "bob espresso 2024-03-02T08:15 1x2.20 order=o7 store=north")`
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import numpy as np
import polars as pl

from recsys.data import columns as c
from recsys.data.assemble import CatalogueRules, assemble
from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot, SnapshotFacts
from recsys.data.tail import EventLine, OrderEvent
from recsys.errors import ImportRefused

LINE_SCHEMA: dict[str, Any] = {
    c.CUSTOMER: pl.String,
    c.PRODUCT: pl.String,
    c.TIME: pl.Int64,
    c.QUANTITY: pl.Float64,
    c.AMOUNT: pl.Int64,
    c.DISCOUNT: pl.Int64,
    c.ORDER: pl.String,
    c.STORE: pl.String,
    c.CHANNEL: pl.String,
}
"""The clean transaction table that `recsys.data.assemble.assemble` takes."""

LEVELS = ("group", "family")
"""Catalogue levels of `products`, broadest first."""

START = 1_704_067_200
"""2024-01-01T00:00Z [s]: random histories begin here."""

_NAMED = {"order": c.ORDER, "store": c.STORE, "channel": c.CHANNEL}


def at(text: str) -> int:
    """Seconds since 1970 of an ISO date or instant; UTC unless the text says otherwise."""
    instant = datetime.fromisoformat(text)
    return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp())


def lines(*rows: str | Mapping[str, Any]) -> pl.DataFrame:
    """Clean transaction table of rows such as `"ann latte 2024-03-01 2x3.50 order=o1 store=s1 discount=0.20"`.

    Customer, product and instant are required; `2x3.50` is quantity × unit price (default 1x1.00), two-digit money.
    A mapping is a row by column name, amounts in minor units.

    Raises:
        ImportRefused: a text that is no such row.
    """
    empty: dict[str, Any] = {
        c.QUANTITY: 1.0,
        c.AMOUNT: 100,
        c.DISCOUNT: 0,
        c.ORDER: None,
        c.STORE: None,
        c.CHANNEL: None,
    }
    parsed = [empty | (_row(row) if isinstance(row, str) else dict(row)) for row in rows]
    return pl.DataFrame(parsed, schema=LINE_SCHEMA, orient="row")


def _row(text: str) -> dict[str, Any]:
    try:
        customer, product, instant, *rest = text.split()
        row: dict[str, Any] = {c.CUSTOMER: customer, c.PRODUCT: product, c.TIME: at(instant)}
        for part in rest:
            row |= _part(part)
    except (ValueError, ArithmeticError, KeyError) as error:
        raise ImportRefused(
            "Not a purchase", found=text, expected="'customer product date 2x3.50 order=… store=… channel=… discount=…'"
        ) from error
    return row


def _part(part: str) -> dict[str, Any]:
    if "=" not in part:
        quantity, price = part.split("x")
        return {c.QUANTITY: float(quantity), c.AMOUNT: int(Decimal(quantity) * Decimal(price) * 100)}
    name, value = part.split("=")
    return {c.DISCOUNT: int(Decimal(value) * 100)} if name == "discount" else {_NAMED[name]: value}


def products(*rows: str) -> pl.DataFrame:
    """Products table of rows such as `"latte DRINKS>COFFEE 3.50"` (group > family, then a list price if there is one).

    A product named with a leading `!` is not offerable.
    """
    parsed = []
    for row in rows:
        product, path, *price = row.split()
        group, _, family = path.partition(">")
        parsed.append(
            (product.lstrip("!"), group, family or None, float(price[0]) if price else None, product[0] != "!")
        )
    return pl.DataFrame(
        parsed,
        schema={
            c.PRODUCT: pl.String,
            "group": pl.String,
            "family": pl.String,
            c.PRICE: pl.Float64,
            c.OFFERABLE: pl.Boolean,
        },
        orient="row",
    )


def customers_table(ids: Iterable[str], **attributes: Iterable[Any]) -> dict[str, bytes]:
    """The file `customers.parquet` of customers with these attributes, as `Snapshot.save` takes it."""
    file = BytesIO()
    pl.DataFrame({c.CUSTOMER: list(ids), **{name: list(values) for name, values in attributes.items()}}).write_parquet(
        file
    )
    return {"customers.parquet": file.getvalue()}


def snapshot(
    *rows: str | pl.DataFrame,
    catalogue: pl.DataFrame | Iterable[str] | None = None,
    item_level: str = "product",
    timezone: str = "UTC",
    currency: str = "EUR",
) -> Snapshot:
    """In-memory snapshot of purchase texts or line tables; `catalogue` is a products table or its texts."""
    texts = [row for row in rows if isinstance(row, str)]
    tables = [row for row in rows if isinstance(row, pl.DataFrame)]
    table = pl.concat([lines(*texts), *tables])
    listed = catalogue if catalogue is None or isinstance(catalogue, pl.DataFrame) else products(*catalogue)
    rules = CatalogueRules(LEVELS if listed is not None else (), item_level)
    return assemble(table, SnapshotFacts(0, currency=currency, timezone=timezone, source="built"), listed, rules)


def event(event_id: str, *rows: str, refund: bool = False) -> OrderEvent:
    """An event of the rows of one order, written as in `lines`; customer, instant, order come from the first row."""
    parsed = lines(*rows).to_dicts()
    first = parsed[0]
    return OrderEvent(
        event_id=event_id,
        customer_id=first[c.CUSTOMER],
        occurred_at=first[c.TIME],
        lines=tuple(EventLine(row[c.PRODUCT], row[c.QUANTITY], row[c.AMOUNT], row[c.DISCOUNT]) for row in parsed),
        order_id=first[c.ORDER],
        store_id=first[c.STORE],
        channel=first[c.CHANNEL],
        refund=refund,
    )


def random_lines(
    seed: int,
    n_customers: int = 30,
    *,
    n_products: int = 12,
    orders_each: float = 8.0,
    days: int = 365,
    awkward: bool = True,
) -> pl.DataFrame:
    """Clean transaction table of customers who buy at random over `days` [days] from `START`; rows shuffled.

    Each customer has 1 + Poisson(`orders_each`) orders of 1 to 4 lines. `awkward` adds what real files contain:
    returns, repeated lines, missing order ids, several orders in one second, free lines, unknown stores.
    """
    draw = np.random.default_rng(seed)
    per_customer = 1 + draw.poisson(orders_each, n_customers)
    owner = np.repeat(np.arange(n_customers), per_customer)
    time = START + draw.integers(0, days * DAY, len(owner))
    if awkward:
        time = np.where(draw.random(len(owner)) < 0.1, time // DAY * DAY, time)
    order = np.repeat(np.arange(len(owner)), draw.integers(1, 5, len(owner)))
    n = len(order)
    quantity = draw.integers(1, 4, n).astype(np.float64)
    unit = draw.integers(100, 900, n)
    rare = draw.random((4, n)) < 0.05 if awkward else np.zeros((4, n), np.bool_)
    quantity[rare[0]] *= -1
    unit[rare[1]] = 0
    table = pl.DataFrame(
        {
            c.CUSTOMER: [f"c{each:04d}" for each in owner[order]],
            c.PRODUCT: [f"p{each:03d}" for each in draw.integers(0, n_products, n)],
            c.TIME: time[order],
            c.QUANTITY: quantity,
            c.AMOUNT: (quantity * unit).astype(np.int64),
            c.DISCOUNT: draw.integers(0, 50, n),
            c.ORDER: [f"o{each}" if named else None for each, named in zip(order, ~rare[2][order], strict=True)],
            c.STORE: [f"s{each}" if each < 3 or not awkward else None for each in (order * 7 % 4)],
            c.CHANNEL: [("web", "till")[each] for each in (order % 2)],
        },
        schema=LINE_SCHEMA,
    )
    return pl.concat([table, table.filter(pl.Series(rare[3]))]).sample(fraction=1.0, shuffle=True, seed=seed)


def random_snapshot(seed: int, n_customers: int = 30, *, n_products: int = 12, **options: Any) -> Snapshot:
    """Snapshot of `random_lines` with a two-level catalogue: product i is in family i mod 4 and group i mod 2."""
    listed = products(*(f"p{i:03d} G{i % 2}>F{i % 4} {2 + i % 5}.50" for i in range(n_products)))
    return snapshot(random_lines(seed, n_customers, n_products=n_products, **options), catalogue=listed)
