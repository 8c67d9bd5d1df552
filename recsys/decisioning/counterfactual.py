"""What a ranking would be without some of the evidence: the test every reason of an offer passes before it is shown.

Removing evidence means one of two things. Purchases of other items: all the customer's lines of the named items are
left out, every feature that reads them is computed again by the kernels that computed it first, for the offers and the
items ranked behind them. Facts of the offered item itself, its own purchases or what the base does with it: its row is
scored with these features set to what they are for an item without them. A benchmark removes both for real.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.history import HistoryArrays
from recsys.data.tail import CustomerRows
from recsys.decisioning.pointing import NOTHING, Pointed
from recsys.decisioning.serving import Desk, Serving
from recsys.features.pairs import N_PAIR_FEATURES, PAIR_FEATURES, pair_rows
from recsys.features.personal import clean, own_items, point_to_items
from recsys.features.state import CatalogueArrays, Scratch
from recsys.models.offers import OffersModel
from recsys.population.facts import PopulationArrays

_LEAST = 1e-300
BEHIND = 22
"""Items ranked behind the last offer that are scored again too: where an offer falls to is counted among them."""


@dataclass(frozen=True, slots=True)
class Removal:
    """Evidence taken away.

    items     the customer's purchases of these items
    features  features of the offered item's row and what they become
    """

    items: tuple[int, ...] = ()
    features: tuple[tuple[str, float], ...] = ()


class Ranked(NamedTuple):
    """What was ranked: rows of the desk best first int64 (n,), raw scores by row of the desk float64 (n,).

    blank  the customer bought nothing yet: the raw score is the item's popular share itself, no model's
    lift   what looks added to each raw score (n,), None without any; `pointed` is what pointed to items
    """

    order: npt.NDArray[np.int64]
    raw: npt.NDArray[np.float64]
    blank: bool
    lift: npt.NDArray[np.float64] | None = None
    pointed: Pointed = NOTHING


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """Removals to be tried on the first `shown` offers of one ranking; `falls` scores all of them at once."""

    serving: Serving
    rows: CustomerRows
    desk: Desk
    ranked: Ranked
    model: OffersModel
    shown: int

    def falls(self, wanted: list[tuple[int, Removal]]) -> list[float]:
        """How far each offer's raw score falls; `wanted` are (rank from 0, what is removed).

        0 where the offer keeps or gains rank: then the removed is no reason. Items whose purchases were removed don't
        count in the comparison of ranks.
        """
        head = self.ranked.order[: self.shown + BEHIND]
        items, before = self.desk.chosen[head], self.ranked.raw[head]
        asked = {removal.items for _, removal in wanted if removal.items}
        masks = {removed: at for at, removed in enumerate(sorted(asked))}
        facts = [(rank, removal.features) for rank, removal in wanted if not removal.items]
        X = np.empty((len(masks) * len(head) + len(facts), N_PAIR_FEATURES), np.float32)
        self._without_purchases(list(masks), items, X)
        for at, (rank, features) in enumerate(facts, len(masks) * len(head)):
            X[at] = self.desk.X[head[rank]]
            for name, value in features:
                X[at, PAIR_FEATURES.index(name)] = value
        raw = self.model.raw(X)
        if self.ranked.lift is not None:  # looks are no purchases: they stay when purchases are removed
            lift = self.ranked.lift[head]
            raw += np.concatenate([np.tile(lift, len(masks)), lift[[rank for rank, _ in facts]]])
        tables = raw[: len(masks) * len(head)].reshape(len(masks), len(head))
        others = iter(raw[len(masks) * len(head) :])
        return [
            _fall(items, before, tables[masks[removal.items]], rank, removal.items)
            if removal.items
            else max(0.0, float(before[rank]) - float(next(others)))
            for rank, removal in wanted
        ]

    def _without_purchases(self, masks: list[tuple[int, ...]], items: npt.NDArray[np.int64], X: Any) -> None:
        """Rows of `items` once for each of `masks`, one after the other into `X`."""
        serving, rows = self.serving, self.rows
        arrays, n = rows.arrays, len(items)
        bought = arrays.line_product[int(arrays.line_start[rows.low]) : int(arrays.line_start[rows.high])]
        bought = np.unique(bought[bought >= 0])
        item_of = serving.cat.product_item[bought]
        hidden = serving.cat.product_item.copy()
        shown = hidden.view()
        shown.flags.writeable = serving.cat.product_item.flags.writeable  # one type, one compiled kernel
        for at, removed in enumerate(masks):
            products = bought[np.isin(item_of, removed)]
            hidden[products] = -1
            _rows_of_items(
                arrays,
                rows.low,
                rows.high,
                rows.as_of,
                serving.cat._replace(product_item=shown),
                serving.population.arrays,
                self.desk.items,
                items,
                X[at * n : (at + 1) * n],
            )
            hidden[products] = serving.cat.product_item[products]


def _fall(items: Any, before: Any, after: Any, rank: int, removed: tuple[int, ...]) -> float:
    """Fall of the raw score, 0 where the rank among the others does not fall and the score neither."""
    mine, item = after[rank], items[rank]
    gone = np.isin(items, removed)
    was = rank - int(gone[:rank].sum())
    passed = (after > mine) | ((after == mine) & (items < item))
    ahead = int((passed & ~gone).sum())
    if ahead > was or (ahead == was and mine < before[rank]):
        return max(float(before[rank]) - float(mine), _LEAST)
    return 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _rows_of_items(
    h: HistoryArrays,
    low: int,
    high: int,
    as_of: int,
    cat: CatalogueArrays,
    population: PopulationArrays,
    scratch: Scratch,
    items: Any,
    out: Any,
) -> None:
    """Pair features of the items `items` (n,) into `out` float32 (n, N_PAIR_FEATURES), as `gather` computes them."""
    own = own_items(h, low, high, as_of, cat, scratch)
    point_to_items(own, cat, population, scratch)
    pair_rows(own, as_of, cat, population, scratch, items, len(items), out)
    clean(own, cat, scratch)
