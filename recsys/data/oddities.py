"""Oddities: what is unusual about accepted rows. They are counted and named, never dropped."""

from dataclasses import asdict, dataclass
from typing import Any

import numba
import numpy as np

from recsys.data.ids import ABSENT
from recsys.data.snapshot import Snapshot

MEANINGS = {
    "returns": "lines with a negative quantity, kept as returns",
    "zero_quantities": "lines with quantity 0, kept; they count as no purchase of the product",
    "zero_prices": "lines bought for nothing, kept",
    "negative_amounts": "lines with a positive quantity and a negative amount, kept",
    "negative_discounts": "negative discounts, taken as none (set `negative = true` where the source writes them so)",
    "mixed_zones": "instants with an offset of their own among others read as local time of the declared zone",
    "milliseconds": "instants in milliseconds or finer, told by their magnitude",
    "repeated_lines": "lines equal to another of their order, kept (two lattes); `line_id` drops true repetitions",
    "orders_at_several_instants": "orders whose lines carry different instants; each instant counts as an order",
    "unlisted_products": "products sold that the products table does not list",
    "dwarfing_products": "products whose quantity dwarfs the rest (sold by weight or volume?); quantities are compared "
    "within a product only",
    "one_product": "all lines carry one product: no offers can be learned",
    "guessed_encoding": "files in neither UTF-8 nor UTF-16, read as cp1251; declare `encoding` to be sure",
}
"""What each oddity means, in one line."""

DWARFING_SHARE = 0.2
DWARFING_RATIO = 50.0
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Oddity:
    """One kind of unusual row: how many, out of how many, and some examples."""

    name: str
    count: int
    of: int
    meaning: str
    examples: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For report.json."""
        return asdict(self)


def oddity(name: str, count: int, of: int, examples: tuple[str, ...] = ()) -> Oddity:
    """An oddity with its meaning."""
    return Oddity(name, count, of, MEANINGS[name], examples)


def oddities_of(snapshot: Snapshot, listed: int | None) -> list[Oddity]:
    """Oddities seen only in the whole: repetition, orders at several instants, dwarfing and unlisted products.

    `listed` is the number of sold products the products table lists, None without such a table.
    """
    history = snapshot.history
    repeated = int(_repeated_lines(*_line_arrays(snapshot)))
    several = int(_orders_at_several_instants(history.order_start, history.order_key))
    sold = int(np.unique(history.line_product).size)
    found = [
        oddity("repeated_lines", repeated, history.n_lines),
        oddity("orders_at_several_instants", several, history.n_orders),
        oddity("unlisted_products", sold - listed if listed is not None else 0, sold),
        _dwarfing(snapshot),
    ]
    if sold == 1:
        found.append(oddity("one_product", history.n_lines, history.n_lines))
    return [each for each in found if each.count]


def _line_arrays(snapshot: Snapshot) -> tuple[Any, ...]:
    history = snapshot.history
    return (
        history.line_start,
        history.line_product,
        history.line_quantity,
        history.line_amount,
        history.line_discount,
    )


def _dwarfing(snapshot: Snapshot) -> Oddity:
    """Products with a fifth or more of all quantity, whose usual line is 50 times that of a usual product."""
    history = snapshot.history
    product = np.where(history.line_product == ABSENT, snapshot.catalogue.n_products, history.line_product)
    pieces = np.bincount(product, np.abs(history.line_quantity))
    lines = np.bincount(product)
    usual = pieces / np.maximum(lines, 1)
    threshold = DWARFING_RATIO * max(float(np.median(usual[lines > 0])), 1.0)
    total = max(float(pieces.sum()), 1.0)
    odd = np.flatnonzero(usual >= threshold)
    if pieces[odd].sum() < DWARFING_SHARE * total:
        odd = odd[:0]
    odd = odd[np.argsort(-pieces[odd], kind="stable")]
    names = tuple(f"{snapshot.catalogue.products[i]}: {pieces[i] / total:.1%} of all quantity" for i in odd[:SHOWN])
    return oddity("dwarfing_products", len(odd), int((lines > 0).sum()), names)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _repeated_lines(line_start: Any, product: Any, quantity: Any, amount: Any, discount: Any) -> int:
    repeated = 0
    for order in range(len(line_start) - 1):
        for line in range(np.int64(line_start[order]) + 1, np.int64(line_start[order + 1])):
            same = product[line] == product[line - 1] and quantity[line] == quantity[line - 1]
            if same and amount[line] == amount[line - 1] and discount[line] == discount[line - 1]:
                repeated += 1
    return repeated


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _orders_at_several_instants(order_start: Any, order_key: Any) -> int:
    """Orders whose key an earlier order of the customer has, at another instant."""
    several = 0
    for customer in range(len(order_start) - 1):
        low, high = order_start[customer], order_start[customer + 1]
        keys = np.sort(order_key[low:high])
        for i in range(1, len(keys)):
            several += 1 if keys[i] == keys[i - 1] else 0
    return several
