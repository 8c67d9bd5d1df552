"""Baskets in sequence without dates, as public next-basket data are published: `{user: [[item, …], …]}` and keysets."""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from recsys.errors import ImportRefused
from recsys.evaluation.ranking import Truth, truth_of_pairs

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

Scorer = Callable[[Indices], Floats]
"""Scores (n, n_items) of all items for the users with the given positions, higher is better, -inf: never."""


@dataclass(frozen=True, slots=True, eq=False)
class Baskets:
    """Baskets of all users, oldest first.

    users         ids, (n_users,)
    n_items       items are 0 … n_items - 1
    basket_start  int64 (n_users + 1,)    user u owns the baskets `basket_start[u]:basket_start[u + 1]`
    item_start    int64 (n_baskets + 1,)  basket b owns `item[item_start[b]:item_start[b + 1]]`
    item          int32                   in the order of the file, each once a basket
    """

    users: tuple[str, ...]
    n_items: int
    basket_start: Indices
    item_start: Indices
    item: npt.NDArray[np.int32]

    @classmethod
    def of(cls, baskets: Mapping[str, Sequence[Sequence[int]]], n_items: int | None = None) -> Self:
        """Baskets of a mapping user → baskets; empty baskets and repetitions within a basket don't count."""
        listed = [[tuple(dict.fromkeys(each)) for each in mine if each] for mine in baskets.values()]
        sizes = [len(each) for each in chain.from_iterable(listed)]
        items = chain.from_iterable(chain.from_iterable(listed))
        item = np.fromiter(items, np.int32, sum(sizes))
        n = n_items if n_items is not None else int(item.max()) + 1 if len(item) else 0
        return cls(tuple(baskets), n, starts_of([len(mine) for mine in listed]), starts_of(sizes), item)

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.users)

    @property
    def owner(self) -> Indices:
        """User of each basket, (n_baskets,)."""
        return np.repeat(np.arange(self.n_users), np.diff(self.basket_start))

    def pairs(self) -> tuple[Indices, npt.NDArray[np.int32]]:
        """(basket, item) of every item in every basket."""
        return np.repeat(np.arange(len(self.item_start) - 1), np.diff(self.item_start)), self.item

    def matrix(self) -> Any:
        """Which basket holds which item, csr float32 (n_baskets, n_items)."""
        from scipy.sparse import csr_matrix

        basket, item = self.pairs()
        shape = (len(self.item_start) - 1, self.n_items)
        return csr_matrix((np.ones(len(item), np.float32), (basket, item)), shape=shape)

    def counts(self) -> Any:
        """Baskets of each user with each item, csr float32 (n_users, n_items)."""
        from scipy.sparse import csr_matrix

        basket, item = self.pairs()
        owner = self.owner[basket]
        return csr_matrix((np.ones(len(item), np.float32), (owner, item)), shape=(self.n_users, self.n_items))

    def keep(self, baskets: npt.NDArray[np.bool_]) -> Self:
        """The same users with only the baskets of the mask (n_baskets,)."""
        sizes = np.diff(self.item_start)
        per_user = np.bincount(self.owner[baskets], minlength=self.n_users)
        item = self.item[np.repeat(baskets, sizes)]
        return type(self)(self.users, self.n_items, starts_of(per_user), starts_of(sizes[baskets]), item)

    def is_last(self) -> npt.NDArray[np.bool_]:
        """Whether a basket is its user's last, (n_baskets,)."""
        last = np.zeros(len(self.item_start) - 1, np.bool_)
        last[self.basket_start[1:][np.diff(self.basket_start) > 0] - 1] = True
        return last

    def truth(self) -> Truth:
        """The set of items of each user, over all baskets."""
        basket, item = self.pairs()
        return truth_of_pairs(self.owner[basket], item, self.n_users)


class Keyset(NamedTuple):
    """One split of the users: positions in `Baskets.users`, ascending."""

    train: Indices
    validation: Indices
    test: Indices


def read_baskets(path: Path) -> Baskets:
    """Baskets of a JSON file `{user: [[item, …], …]}`, gzipped where its name ends in .gz.

    Raises:
        ImportRefused: no such JSON.
    """
    content = _json(path)
    try:
        return Baskets.of(content)
    except (AttributeError, TypeError, ValueError) as error:
        raise ImportRefused("Not baskets", found=path.name, expected="{user: [[item, …], …]}, items from 0") from error


def read_keyset(path: Path, baskets: Baskets) -> Keyset:
    """Keyset of a JSON file `{"train": [user, …], "val": […], "test": […]}`.

    Raises:
        ImportRefused: no such JSON, or a user without baskets.
    """
    content, position = _json(path), {user: place for place, user in enumerate(baskets.users)}
    try:
        parts = ([position[str(user)] for user in content[part]] for part in ("train", "val", "test"))
        return Keyset(*(np.sort(np.array(part, np.int64)) for part in parts))
    except (KeyError, TypeError) as error:
        raise ImportRefused(
            "Not a keyset of these baskets", found=str(error), expected="train, val and test: lists of known users"
        ) from error


def _json(path: Path) -> Any:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return json.loads(content)
    except (OSError, ValueError) as error:
        raise ImportRefused("Not readable as JSON", found=path.name, cure="Check the file") from error


def starts_of(sizes: Any) -> Indices:
    """Where each of consecutive parts of these sizes begins, and the end of the last, (n + 1,)."""
    starts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    return starts
