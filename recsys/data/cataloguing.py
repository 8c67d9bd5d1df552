"""Products table → catalogue: which item each product is, its family and group, and what may be offered."""

import fnmatch
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys.data import columns as c
from recsys.data.catalogue import Catalogue
from recsys.data.coding import indices_in
from recsys.data.ids import ABSENT, IdMap, Texts

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
        product_item=indices_in(items, listed[item_column]).astype(np.int32),
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
