"""What customers alike buy: how much more often the customers with a value of an attribute buy each item.

A customer without purchases is answered from what others with the same attributes buy: everyone's share of an item
times the geometric mean of the lifts of what is known. Naive Bayes multiplies the lifts; but attributes go together
(age, children, household size), and the product lost to popularity where seven of them were known, the mean did not.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.arrays import load_array, save_array
from recsys.data.ids import IdMap
from recsys.population.attributes import Attribute, Value, rows_told

DAYS = 91
"""Purchases so many days back are counted [days]."""
FILE = "lookalikes.json"
_ARRAYS = ("codes", "item", "lift", "buyers", "customers")


@dataclass(frozen=True, slots=True, eq=False)
class Lookalikes:
    """Attributes of customers and what their values say of items.

    ids, codes   customers of the imported table, and the rows of their values int16 (n_ids, n_attributes), -1 unknown
    item         int32 (k,)           items told apart, ascending
    lift         float32 (n_values, k)  logarithm of the shrunken lift among the customers with the value
    buyers       int32 (n_values, k)  customers with the value that bought the item in the last DAYS
    customers    int32 (n_values,)    customers with the value that bought anything in them
    """

    attributes: tuple[Attribute, ...]
    ids: IdMap
    codes: npt.NDArray[np.int16]
    item: npt.NDArray[np.int32]
    lift: npt.NDArray[np.float32]
    buyers: npt.NDArray[np.int32]
    customers: npt.NDArray[np.int32]

    def rows_of(self, customer_id: str) -> npt.NDArray[np.int16] | None:
        """Rows of the values of an imported customer, (n_attributes,); None for one who is not in the table."""
        at = self.ids.index(customer_id) if self.attributes else -1
        return None if at < 0 else np.asarray(self.codes[at])

    def rows_told(self, told: Mapping[str, Value]) -> npt.NDArray[np.int16]:
        """Rows of the values a caller tells; raises `RequestRefused` for what is no attribute."""
        return rows_told(self.attributes, told)

    def scores(self, rows: npt.NDArray[np.int16], rate: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Share of the customers with these values that is expected to buy each item, (n_items,); `rate` is all's."""
        out = np.array(rate, np.float32)
        _score(self.lift, self.item, rows, np.ascontiguousarray(rate), out)
        return out

    def without_customers(self) -> Self:
        """What the values say, without who has them."""
        return replace(self, ids=IdMap.of(()), codes=self.codes[:0])

    def save(self, directory: Path) -> None:
        """Write the arrays and `lookalikes.json` into `directory`."""
        for name in _ARRAYS:
            save_array(directory / f"Lookalikes.{name}.npy", getattr(self, name))
        self.ids.save(directory, "Lookalikes.ids")
        (directory / FILE).write_text(json.dumps([asdict(each) for each in self.attributes], ensure_ascii=False))

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Open what `save` wrote, memory-mapped; nothing where an older version wrote the directory."""
        path = directory / FILE
        if not path.is_file():
            return cls.none()
        told: list[dict[str, Any]] = json.loads(path.read_text())
        attributes = tuple(
            Attribute(each["name"], each["kind"], each["first"], tuple(each["values"]), tuple(each["edges"]))
            for each in told
        )
        arrays = (load_array(directory / f"Lookalikes.{name}.npy") for name in _ARRAYS)
        return cls(attributes, IdMap.load(directory, "Lookalikes.ids"), *arrays)

    @classmethod
    def none(cls) -> Self:
        """Nothing is known of anybody."""
        empty = np.zeros((0, 0), np.float32)
        flat = np.zeros(0, np.int32)
        codes = empty.astype(np.int16)
        return cls((), IdMap.of(()), codes, flat, empty, empty.astype(np.int32), flat)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _score(lift: Any, item: Any, rows: Any, rate: Any, out: Any) -> None:
    known = 0
    for row in rows:
        known += row >= 0
    scale = 1.0 / max(1, known)
    for at in range(len(item)):
        total = 0.0
        for row in rows:
            if row >= 0:
                total += lift[row, at]
        out[item[at]] = min(1.0, rate[item[at]] * math.exp(scale * total))
