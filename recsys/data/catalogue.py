"""The catalogue: products, and the items (a product or a level above it) that are recommended."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from recsys.data.arrays import load_array, save_array
from recsys.data.ids import ABSENT, IdMap, Texts


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """Products and items, and how they hang together.

    products       ids of products
    items          ids of items: product ids, or the values of `item_level` (its name is the id)
    item_names     what a person reads for an item, (n_items,)
    product_item   int32 (n_products,)  item of a product, -1 where it has none (no such level, unknown product)
    item_family    int32 (n_items,)     level right above the item, index into `families`, -1 if there is none
    item_group     int32 (n_items,)     broadest level, index into `groups`, -1 if there is none
    offerable      bool  (n_items,)     may be offered (gasoline is bought, never offered)
    price          float32 (n_items,)   list price where the products table has one [major units], else NaN
    item_level     'product' or the name of a category level
    levels         category levels, broadest first
    """

    products: IdMap
    items: IdMap
    item_names: Texts
    product_item: npt.NDArray[np.int32]
    item_family: npt.NDArray[np.int32]
    item_group: npt.NDArray[np.int32]
    offerable: npt.NDArray[np.bool_]
    price: npt.NDArray[np.float32]
    families: tuple[str, ...]
    groups: tuple[str, ...]
    item_level: str
    levels: tuple[str, ...]

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.items)

    @property
    def n_products(self) -> int:
        """Number of products."""
        return len(self.products)

    def item_of_product(self, product_id: str) -> int:
        """Item index of an external product id, or `ABSENT`."""
        product = self.products.index(product_id)
        return int(self.product_item[product]) if product != ABSENT else ABSENT

    def name(self, item: int) -> str:
        """What a person reads for item `item`."""
        return self.item_names[item]

    def save(self, directory: Path) -> None:
        """Write ids, arrays and `catalogue.json`."""
        self.products.save(directory, "products")
        self.items.save(directory, "items")
        self.item_names.save(directory, "item_names")
        for name in ("product_item", "item_family", "item_group", "offerable", "price"):
            save_array(directory / f"{name}.npy", getattr(self, name))
        text = {
            "families": self.families,
            "groups": self.groups,
            "item_level": self.item_level,
            "levels": self.levels,
        }
        (directory / "catalogue.json").write_text(json.dumps(text, ensure_ascii=False))

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Open what `save` wrote."""
        text = json.loads((directory / "catalogue.json").read_text())
        arrays = {
            name: load_array(directory / f"{name}.npy")
            for name in ("product_item", "item_family", "item_group", "offerable", "price")
        }
        return cls(
            products=IdMap.load(directory, "products"),
            items=IdMap.load(directory, "items"),
            item_names=Texts.load(directory, "item_names"),
            families=tuple(text["families"]),
            groups=tuple(text["groups"]),
            item_level=text["item_level"],
            levels=tuple(text["levels"]),
            **arrays,
        )


def categories_of(catalogue: Catalogue) -> npt.NDArray[np.int32]:
    """Category of each product, an index into `category_names`, -1 for none, (n_products,)."""
    of_item = catalogue.item_family if catalogue.families else catalogue.item_group
    item = np.asarray(catalogue.product_item)
    if not len(of_item):
        return np.full(len(item), -1, np.int32)
    return np.where(item >= 0, of_item[np.maximum(item, 0)], -1).astype(np.int32)


def category_names(catalogue: Catalogue) -> tuple[str, ...]:
    """Names of the level right above the item, of the broadest level where there is none, else nothing."""
    return catalogue.families or catalogue.groups
