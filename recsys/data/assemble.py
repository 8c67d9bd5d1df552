"""Clean tables → Snapshot: codes ids, groups lines into orders, sorts, derives items from the catalogue."""

import fnmatch
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys.data import columns as c
from recsys.data.catalogue import Catalogue
from recsys.data.history import UNKNOWN_CODE, PurchaseHistory, order_key
from recsys.data.ids import ABSENT, IdMap, Texts
from recsys.data.snapshot import Snapshot, SnapshotFacts
from recsys.errors import ImportRefused

ITEM_IS_PRODUCT = "product"


@dataclass(frozen=True, slots=True)
class CatalogueRules:
    """How items come from products.

    levels          category columns of the products table, broadest first
    item_level      'product' or one of `levels`
    not_offerable   level name → glob patterns of values that are never offered ("product" matches product ids)
    """

    levels: tuple[str, ...] = ()
    item_level: str = ITEM_IS_PRODUCT
    not_offerable: dict[str, tuple[str, ...]] | None = None


def assemble(
    lines: pl.DataFrame,
    facts: SnapshotFacts,
    products: pl.DataFrame | None = None,
    rules: CatalogueRules | None = None,
) -> Snapshot:
    """In-memory snapshot of clean tables.

    `lines` has the transaction columns of the contract, already clean: `customer_id`, `product_id`, `order_id`, `store_id`,
    `channel` str (the last three may be missing or null), `occurred_at` int64 [s UTC], `quantity` float, `amount` and
    `discount` int64 [minor units]. Equal rows in any order give an equal snapshot.

    Raises:
        ImportRefused: no line at all, or more stores, channels or lines than the layout holds.
    """
    if lines.is_empty():
        raise ImportRefused("No line to build a snapshot from", expected="at least one purchase")
    rules = rules or CatalogueRules()
    customers = IdMap.of(lines[c.CUSTOMER].unique().to_list())
    catalogue = build_catalogue(lines[c.PRODUCT].unique().to_list(), products, rules)
    stores, store_code = _coded(lines, c.STORE)
    channels, channel_code = _coded(lines, c.CHANNEL)
    history = _history(lines, customers, catalogue.products, store_code, channel_code)
    facts = replace(facts, as_of=int(history.order_time.max()))
    return Snapshot("memory", facts, customers, stores, channels, catalogue, history)


def _coded(lines: pl.DataFrame, column: str) -> tuple[IdMap, npt.NDArray[np.uint16]]:
    if column not in lines.columns:
        return IdMap.of([]), np.full(len(lines), UNKNOWN_CODE, np.uint16)
    ids = IdMap.of(value for value in lines[column].unique().to_list() if value is not None)
    if len(ids) >= UNKNOWN_CODE:
        raise ImportRefused(
            f"Too many different values of {column}", found=len(ids), expected=f"fewer than {UNKNOWN_CODE}"
        )
    codes = _codes(lines[column], ids)
    return ids, np.where(codes == ABSENT, UNKNOWN_CODE, codes).astype(np.uint16)


def _codes(values: pl.Series, ids: IdMap) -> npt.NDArray[np.int32]:
    """Index of each value in `ids`, `ABSENT` for null and unknown."""
    mapping = pl.DataFrame(
        {"id": list(ids), "code": np.arange(len(ids), dtype=np.int32)}, schema={"id": pl.String, "code": pl.Int32}
    )
    joined = pl.DataFrame({"id": values}).join(mapping, on="id", how="left", maintain_order="left")
    return joined["code"].fill_null(ABSENT).to_numpy()


def _history(
    lines: pl.DataFrame,
    customers: IdMap,
    products: IdMap,
    store: npt.NDArray[np.uint16],
    channel: npt.NDArray[np.uint16],
) -> PurchaseHistory:
    table = pl.DataFrame(
        {
            "customer": _codes(lines[c.CUSTOMER], customers),
            "time": lines[c.TIME].cast(pl.Int64),
            "key": _keys(lines),
            "product": _codes(lines[c.PRODUCT], products),
            "quantity": lines[c.QUANTITY].cast(pl.Float32),
            "amount": lines[c.AMOUNT].cast(pl.Int64),
            "discount": lines[c.DISCOUNT].cast(pl.Int32)
            if c.DISCOUNT in lines.columns
            else np.zeros(len(lines), np.int32),
            "store": store,
            "channel": channel,
        }
    ).sort("customer", "time", "key", "product", "quantity", "amount", "discount", "store", "channel")
    first = table.select(
        (pl.struct("customer", "time", "key") != pl.struct("customer", "time", "key").shift(1)).fill_null(value=True)
    ).to_series()
    starts = np.flatnonzero(first.to_numpy())
    orders = table[starts]
    counts = np.bincount(orders["customer"].to_numpy(), minlength=len(customers))
    return PurchaseHistory(
        order_start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        order_time=orders["time"].to_numpy().copy(),
        order_key=orders["key"].to_numpy().copy(),
        order_store=orders["store"].to_numpy().copy(),
        order_channel=orders["channel"].to_numpy().copy(),
        line_start=np.append(starts, len(table)).astype(np.uint32),
        line_product=table["product"].to_numpy().copy(),
        line_quantity=table["quantity"].to_numpy().copy(),
        line_amount=table["amount"].to_numpy().copy(),
        line_discount=table["discount"].to_numpy().copy(),
    )


def _keys(lines: pl.DataFrame) -> pl.Series:
    """Key of each line's order: of its order id, or of its instant where it has none."""
    order = pl.col(c.ORDER) if c.ORDER in lines.columns else pl.lit(None, pl.String)
    named = lines.select(
        pl.col(c.CUSTOMER).alias("customer"),
        pl.coalesce(order, pl.format("@{}", pl.col(c.TIME).cast(pl.Int64))).alias("order"),
    )
    unique = named.unique()
    keys = [order_key(customer, text) for customer, text in unique.iter_rows()]
    coded = unique.with_columns(pl.Series("key", keys, pl.UInt64))
    return named.join(coded, on=["customer", "order"], how="left", maintain_order="left")["key"]


def build_catalogue(sold: list[str], products: pl.DataFrame | None, rules: CatalogueRules) -> Catalogue:
    """Catalogue of the products sold and those listed in the `products` table (contract columns plus category levels).

    An item's family and group are those of most of its products (ties: the smaller name).
    """
    listed = _listed(sold, products, rules)
    ids = IdMap.of(listed[c.PRODUCT].to_list())
    listed = listed.sort(pl.col(c.PRODUCT).cast(pl.Binary))
    item_column = c.PRODUCT if rules.item_level == ITEM_IS_PRODUCT else rules.item_level
    items = IdMap.of(value for value in listed[item_column].to_list() if value is not None)
    above = (
        rules.levels if rules.item_level == ITEM_IS_PRODUCT else rules.levels[: rules.levels.index(rules.item_level)]
    )
    families, item_family = _parents(listed, item_column, items, above[-1] if above else None)
    groups, item_group = _parents(listed, item_column, items, above[0] if above else None)
    by_item = (
        listed.filter(pl.col(item_column).is_not_null())
        .group_by(item_column)
        .agg(pl.col(c.OFFERABLE).any(), pl.col(c.PRICE).median(), pl.col(c.NAME).first())
        .sort(pl.col(item_column).cast(pl.Binary))
    )
    is_product = rules.item_level == ITEM_IS_PRODUCT
    return Catalogue(
        products=ids,
        items=items,
        item_names=Texts.of(by_item[c.NAME].to_list() if is_product else list(items)),
        product_item=_codes(listed[item_column], items).astype(np.int32),
        item_family=item_family,
        item_group=item_group,
        offerable=by_item[c.OFFERABLE].to_numpy().astype(np.bool_),
        price=by_item[c.PRICE].cast(pl.Float32).fill_null(float("nan")).to_numpy().copy(),
        families=families,
        groups=groups,
        item_level=rules.item_level,
        levels=rules.levels,
    )


def _listed(sold: list[str], products: pl.DataFrame | None, rules: CatalogueRules) -> pl.DataFrame:
    """One row a product with name, price, levels and whether it may be offered."""
    table = pl.DataFrame({c.PRODUCT: sold}, schema={c.PRODUCT: pl.String})
    if products is not None:
        table = table.join(products, on=c.PRODUCT, how="full", coalesce=True, maintain_order="left")
    missing = {
        c.NAME: pl.col(c.PRODUCT),
        c.PRICE: pl.lit(None, pl.Float64),
        c.OFFERABLE: pl.lit(value=True),
        **{level: pl.lit(None, pl.String) for level in rules.levels},
    }
    table = table.with_columns(value.alias(name) for name, value in missing.items() if name not in table.columns)
    table = table.with_columns(
        pl.col(c.NAME).fill_null(pl.col(c.PRODUCT)), pl.col(c.OFFERABLE).cast(pl.Boolean).fill_null(value=True)
    )
    for level, patterns in (rules.not_offerable or {}).items():
        column = c.PRODUCT if level == ITEM_IS_PRODUCT else level
        values = [v for v in table[column].unique().to_list() if v is not None]
        banned = [v for v in values if any(fnmatch.fnmatchcase(v, pattern) for pattern in patterns)]
        table = table.with_columns(pl.col(c.OFFERABLE) & ~pl.col(column).is_in(banned).fill_null(value=False))
    return table


def _parents(
    listed: pl.DataFrame, item_column: str, items: IdMap, level: str | None
) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    """Names of `level` and, for each item, the one most of its products have; -1 without a level."""
    if level is None:
        return (), np.full(len(items), ABSENT, np.int32)
    most = (
        listed.filter(pl.col(item_column).is_not_null() & pl.col(level).is_not_null())
        .group_by(item_column, level)
        .agg(pl.len().alias("n"))
        .sort("n", level, descending=[True, False])
        .unique(item_column, keep="first", maintain_order=True)
    )
    names = sorted(most[level].unique().to_list())
    position = {name: index for index, name in enumerate(names)}
    parent = dict(zip(most[item_column].to_list(), most[level].to_list(), strict=True))
    return tuple(names), np.array([position[parent[item]] if item in parent else ABSENT for item in items], np.int32)
