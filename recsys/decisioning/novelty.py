"""What counts as new: which categories a customer bought, and how long ago that may lie."""

import numpy as np
import numpy.typing as npt

from recsys.data.catalogue import Catalogue
from recsys.data.clock import DAY
from recsys.data.tail import CustomerRows
from recsys.decisioning.answers import LEVELS, LONGEST_LOOK_BACK, Mode, Novelty
from recsys.decisioning.candidates import MIXED, NEW, REPEAT
from recsys.errors import RequestRefused
from recsys.features.state import CatalogueArrays

MODES = {"repeat": REPEAT, "new": NEW, "mixed": MIXED}
"""Modes of a request as kernels take them while new means never bought."""
NEVER_BOUGHT = Novelty()
"""The meaning of new without a wish: this very item was never bought."""


def check_novelty(catalogue: Catalogue, novelty: Novelty) -> None:
    """Refuse what means nothing for this catalogue.

    Raises:
        RequestRefused: an unknown level, one the catalogue does not have, or a look-back outside 1 … 3650 days.
    """
    if novelty == NEVER_BOUGHT:
        return
    there = tuple(level for level in LEVELS if level == "item" or _names(catalogue, level))
    if novelty.level not in LEVELS:
        raise RequestRefused("Unknown level of novelty", found=novelty.level, expected=", ".join(there))
    if novelty.level not in there:
        raise RequestRefused(
            "The catalogue has no such level",
            found=novelty.level,
            expected=", ".join(there),
            cure="Ask for another level of novelty, or import products with categories",
        )
    days = novelty.look_back_days
    if days is not None and not 1 <= days <= LONGEST_LOOK_BACK:
        raise RequestRefused("Wrong look-back of novelty", found=days, expected=f"1 … {LONGEST_LOOK_BACK} days")


def _names(catalogue: Catalogue, level: str) -> tuple[str, ...]:
    return catalogue.families if level == "family" else catalogue.groups


def bought_lately(cat: CatalogueArrays, rows: CustomerRows, novelty: Novelty) -> npt.NDArray[np.bool_]:
    """Items whose category at the level was bought within the look-back, bool (n_items,): those that are not new.

    A purchase is a line of quantity > 0, one exactly `look_back_days` old counts. An item without a category at the
    level stands for itself.
    """
    item = _items_of(cat, rows, novelty.look_back_days)
    bought = np.zeros(len(cat.item_group), np.bool_)
    bought[item] = True
    if novelty.level == "item" or not len(item):
        return bought
    of_item = np.asarray(cat.item_family if novelty.level == "family" else cat.item_group)
    categories = np.zeros(int(of_item.max()) + 2, np.bool_)
    categories[of_item[item]] = True
    categories[-1] = False  # where the index -1 of no category lands
    return bought | categories[of_item]


def _items_of(cat: CatalogueArrays, rows: CustomerRows, days: int | None) -> npt.NDArray[np.int64]:
    """Items of the lines of quantity > 0 of the last `days` (None: of all time), as often as they stand there."""
    arrays, first = rows.arrays, rows.low
    if days is not None:
        times = arrays.order_time[rows.low : rows.high]
        first += int(np.searchsorted(times, rows.as_of - days * DAY, side="left"))
    lines = slice(int(arrays.line_start[first]), int(arrays.line_start[rows.high]))
    product = arrays.line_product[lines][arrays.line_quantity[lines] > 0]
    item = cat.product_item[product[product >= 0]]
    return item[item >= 0].astype(np.int64)


def kernel_mode(mode: Mode, novelty: Novelty) -> int:
    """Which side kernels draw candidates from, so that every item that is new, or not, by `novelty` can be one.

    Kernels know items never bought and items bought before. With a look-back some that were bought are new again; above
    the item some that were never bought are not new.
    """
    if (mode == "new" and novelty.look_back_days is not None) or (mode == "repeat" and novelty.level != "item"):
        return MIXED
    return MODES[mode]


def on_the_side(
    mode: Mode, allowed: npt.NDArray[np.uint8], lately: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.uint8]:
    """Of the `allowed` items those that `mode` asks for, uint8 (n_items,); `lately` None: kernels tell them apart."""
    if lately is None or mode == "mixed":
        return allowed
    wanted = ~lately if mode == "new" else lately
    return allowed & wanted.astype(np.uint8)
