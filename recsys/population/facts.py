"""Population: what is known of the whole base at `as_of`, as arrays that kernels read."""

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from recsys.data.arrays import load_array, save_array
from recsys.errors import SnapshotError
from recsys.population.lookalikes import Lookalikes

FORMAT = 4
"""Version of the population directory; another one is fitted anew."""


class ItemFacts(NamedTuple):
    """One number an item, (n_items,). Rates are shares of the customers that bought anything in the same days.

    orders         int32    orders with the item so far
    buyers         int32    customers that ever bought it
    rate_7         float32  share of the customers active in the last 7 days that bought it in them
    rate_28        float32  the same for 28 days
    rate_56        float32  the same for the 28 days before those
    adoption_28    float32  share of the customers active in the last 28 days that bought it for the first time in them
    repeat_share   float32  buyers with two or more orders of it / buyers, shrunk to the base's share
    mean_gap       float32  days between two orders of it by one customer, shrunk to the base's
    spend          float32  mean spend on it per order [minor units]
    age            float32  days since it was first sold
    recency        float32  days since it was last sold
    rarity         float32  log((customers + 1) / (buyers + 1))
    rate_now       float32  share of the newest baskets that hold it; fresh baskets weigh more, see population.now
    adoption_now   float32  the same among those that had not bought it before
    repeat_now     float32  the same among those that had, shrunk to the base's share
    """

    orders: npt.NDArray[np.int32]
    buyers: npt.NDArray[np.int32]
    rate_7: npt.NDArray[np.float32]
    rate_28: npt.NDArray[np.float32]
    rate_56: npt.NDArray[np.float32]
    adoption_28: npt.NDArray[np.float32]
    repeat_share: npt.NDArray[np.float32]
    mean_gap: npt.NDArray[np.float32]
    spend: npt.NDArray[np.float32]
    age: npt.NDArray[np.float32]
    recency: npt.NDArray[np.float32]
    rarity: npt.NDArray[np.float32]
    rate_now: npt.NDArray[np.float32]
    adoption_now: npt.NDArray[np.float32]
    repeat_now: npt.NDArray[np.float32]


class Popular(NamedTuple):
    """Items by fresh popularity.

    order          int32 (n_items,)          all items, most buyers in the last 28 days first, then most orders, then id
    family_start   int64 (n_families + 1,)   family f owns `family_items[family_start[f]:family_start[f + 1]]`
    family_items   int32                     items of each family in the same order
    adopted        int32 (n_items,)          all items, largest `adoption_now` first, then as in `order`
    arrivals       int32                     items first sold in the last 28 days, in the sequence of `adopted`
    """

    order: npt.NDArray[np.int32]
    family_start: npt.NDArray[np.int64]
    family_items: npt.NDArray[np.int32]
    adopted: npt.NDArray[np.int32]
    arrivals: npt.NDArray[np.int32]


class Neighbours(NamedTuple):
    """Items bought by the same customers, (n_items, k), most similar first, -1 padded.

    item        int32    the neighbour
    similarity  float32  cosine of the two items' customers
    after       int32    customers that bought the row's item and bought the neighbour for the first time later
    """

    item: npt.NDArray[np.int32]
    similarity: npt.NDArray[np.float32]
    after: npt.NDArray[np.int32]


class Transitions(NamedTuple):
    """What comes in the next basket, (n_items, k), most likely first, -1 padded.

    item  int32    the item of the next basket
    rate  float32  share of baskets with the row's item whose next basket holds it, shrunk towards its usual rate
    """

    item: npt.NDArray[np.int32]
    rate: npt.NDArray[np.float32]


class Following(NamedTuple):
    """How much oftener than usual an item is in the basket after one with another.

    start   int64 (n_items + 1,)  item i leads to `item[start[i]:start[i + 1]]`, largest excess first
    item    int32                 the item of the next basket
    excess  float32               its rate after baskets with i above its usual rate, shrunk towards 0
    """

    start: npt.NDArray[np.int64]
    item: npt.NDArray[np.int32]
    excess: npt.NDArray[np.float32]


class Peers(NamedTuple):
    """Customers that bought last (witnesses), by the items of their profiles, and what they took lately.

    start         int64 (n_items + 1,)      item i is in the profiles of `customer[start[i]:start[i + 1]]` (ascending)
    customer      int32                     the witness
    weight        float32 (n, 2)            weight of the item in the profile before the newest basket, of length 1, and
                                            in the whole one, see population.witnesses
    fresh         float32 (n_witnesses,)    what the newest basket weighs, by its age
    basket_start  int64 (n_witnesses + 1,)  witness w took `basket_item[basket_start[w]:basket_start[w + 1]]` last
    basket_item   int32
    taken_start   int64 (n_witnesses + 1,)  witness w took `taken_item[taken_start[w]:taken_start[w + 1]]` lately
    taken_item    int32
    taken_worth   float32                   w's last baskets with it, each as much as it is fresh, see population.peers
    """

    start: npt.NDArray[np.int64]
    customer: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32]
    fresh: npt.NDArray[np.float32]
    basket_start: npt.NDArray[np.int64]
    basket_item: npt.NDArray[np.int32]
    taken_start: npt.NDArray[np.int64]
    taken_item: npt.NDArray[np.int32]
    taken_worth: npt.NDArray[np.float32]


class Factors(NamedTuple):
    """Item factors of implicit ALS (Hu, Koren, Volinsky 2008) and what the fold-in of a customer needs.

    item        float32 (n_items, f)
    transposed  float32 (f, n_items)  the same, for scores of all items in one sweep
    gram        float64 (f, f)        items' Gram matrix plus the regularisation on its diagonal
    alpha       float64 (1,)          confidence of one unit of weight
    """

    item: npt.NDArray[np.float32]
    transposed: npt.NDArray[np.float32]
    gram: npt.NDArray[np.float64]
    alpha: npt.NDArray[np.float64]


class Assortment(NamedTuple):
    """What each store sold lately: store s sold `item[start[s]:start[s + 1]]` (ascending)."""

    start: npt.NDArray[np.int64]
    item: npt.NDArray[np.int32]


class Base(NamedTuple):
    """The base as a whole.

    btyd    float64 (11,)  r, alpha, a, b of BG/NBD [days], p, q, v of Gamma-Gamma [minor units],
                           r, alpha, s, beta of Pareto/NBD [days]
    means   float64 (5,)   customers, mean days between purchase days, its weight when shrinking, mean spend per order,
                           orders
    """

    btyd: npt.NDArray[np.float64]
    means: npt.NDArray[np.float64]


class Timing(NamedTuple):
    """What the base says about the time between purchases, see `recsys.population.timing`.

    prior             float64 (3,)  mean of log gaps [log days], their variance within customers, weight of the mean
    table             float64 (n_strata, n_nodes, 1 + n_levels)  waits, and the quantiles of the whole gap given each
    category_prior    float64 (n_categories, 3)
    category_table    float64 like `table`
    product_category  int32 (n_products,)  category of a product, -1 for none
    """

    prior: npt.NDArray[np.float64]
    table: npt.NDArray[np.float64]
    category_prior: npt.NDArray[np.float64]
    category_table: npt.NDArray[np.float64]
    product_category: npt.NDArray[np.int32]


class PopulationArrays(NamedTuple):
    """All arrays of a population as kernels take them."""

    items: ItemFacts
    popular: Popular
    neighbours: Neighbours
    transitions: Transitions
    following: Following
    peers: Peers
    factors: Factors
    base: Base
    timing: Timing


@dataclass(frozen=True, slots=True)
class PopulationSpec:
    """How a population is fitted; part of what a bundle was trained with.

    neighbours, transitions  kept per item
    factors, iterations      of ALS; `regularization` and `alpha` as in the paper
    """

    neighbours: int = 50
    transitions: int = 30
    factors: int = 64
    iterations: int = 12
    regularization: float = 8.0
    alpha: float = 8.0
    seed: int = 20170101


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Facts of one snapshot at its `as_of` [s]."""

    as_of: int
    snapshot_id: str
    spec: PopulationSpec
    arrays: PopulationArrays
    assortment: Assortment
    lookalikes: Lookalikes = field(default_factory=Lookalikes.none)

    def save(self, directory: Path) -> None:
        """Write arrays and `population.json` to `directory`, whole or not at all; what was there is replaced."""
        work = directory.parent / f".population-{os.getpid()}"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        for name, array in _flat(self.arrays, self.assortment).items():
            save_array(work / f"{name}.npy", array)
        self.lookalikes.save(work)
        text = {"format": FORMAT, "as_of": self.as_of, "snapshot_id": self.snapshot_id, "spec": asdict(self.spec)}
        (work / "population.json").write_text(json.dumps(text, indent=1))
        shutil.rmtree(directory, ignore_errors=True)
        work.rename(directory)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Open what `save` wrote, memory-mapped.

        Raises:
            SnapshotError: missing, damaged or of another format.
        """
        try:
            text = json.loads((directory / "population.json").read_text())
        except (OSError, ValueError) as error:
            raise SnapshotError("The snapshot has no population facts", cure="Run `barista import` again") from error
        if text["format"] != FORMAT:
            raise SnapshotError(
                "Population facts of another format",
                found=text["format"],
                expected=str(FORMAT),
                cure="Run `barista import` again",
            )
        parts = [kind(*(load_array(directory / f"{kind.__name__}.{f}.npy") for f in kind._fields)) for kind in _KINDS]
        return cls(
            as_of=text["as_of"],
            snapshot_id=text["snapshot_id"],
            spec=PopulationSpec(**text["spec"]),
            arrays=PopulationArrays(*parts[:-1]),
            assortment=parts[-1],
            lookalikes=Lookalikes.load(directory),
        )


_KINDS: tuple[Any, ...] = (
    ItemFacts,
    Popular,
    Neighbours,
    Transitions,
    Following,
    Peers,
    Factors,
    Base,
    Timing,
    Assortment,
)


def _flat(arrays: PopulationArrays, assortment: Assortment) -> dict[str, npt.NDArray[Any]]:
    parts: list[Any] = [*arrays, assortment]
    return {f"{type(part).__name__}.{name}": getattr(part, name) for part in parts for name in part._fields}
