"""Everything an answer is computed from, opened once and never changed."""

import threading
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from recsys.data.clock import ZoneTable
from recsys.data.history import PurchaseHistory
from recsys.data.ids import ABSENT
from recsys.data.snapshot import Snapshot
from recsys.decisioning.books import Books, Costs
from recsys.decisioning.gather import LIMIT, Bench, bench, catalogue_arrays, scratch_for
from recsys.errors import SnapshotError
from recsys.features.pairs import N_PAIR_FEATURES
from recsys.features.state import CatalogueArrays, Scratch
from recsys.models.churn import ChurnModel
from recsys.models.offers import OffersModel
from recsys.models.value import ValueModel
from recsys.population.facts import Population


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """Working memory of one thread: scratch of the kernels and room for one ranking table.

    `bench` is what the gathering kernel works with: `items` beside the `cat` and `population` it was laid out for.
    """

    cat: CatalogueArrays
    population: Population
    items: Scratch
    bench: Bench
    chosen: npt.NDArray[np.int64]
    marks: npt.NDArray[np.uint16]
    known: npt.NDArray[np.uint8]
    X: npt.NDArray[np.float32]


class Label(NamedTuple):
    """What is told of an item; `spend` is that of one purchase [currency]."""

    item_id: str
    name: str
    group: str | None
    spend: float


@dataclass(frozen=True, slots=True, eq=False)
class Serving:
    """Snapshot, population and models that belong together; the three models are None where there is none.

    cat      catalogue arrays of the kernels
    zone     business time
    allowed  uint8 (n_items,)  1 where an item may be offered
    books    costs that were imported or set
    """

    snapshot: Snapshot
    population: Population
    offers: OffersModel | None
    churn: ChurnModel | None
    value: ValueModel | None
    cat: CatalogueArrays
    zone: ZoneTable
    allowed: npt.NDArray[np.uint8]
    books: Books
    _desks: threading.local = field(default_factory=threading.local)
    _labels: dict[int, Label] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        snapshot: Snapshot,
        population: Population,
        offers: OffersModel | None = None,
        churn: ChurnModel | None = None,
        value: ValueModel | None = None,
        costs: Costs | None = None,
    ) -> Self:
        """Bind what belongs together.

        Raises:
            SnapshotError: the population was fitted on another snapshot.
        """
        if population.snapshot_id != snapshot.snapshot_id:
            raise SnapshotError(
                "The population facts belong to another snapshot",
                found=population.snapshot_id,
                expected=snapshot.snapshot_id,
                cure="Run `barista import` again",
            )
        allowed = snapshot.catalogue.offerable.astype(np.uint8)
        cat = catalogue_arrays(snapshot.catalogue)
        books = Books.of(snapshot, costs, float(population.arrays.base.means[3]))
        return cls(snapshot, population, offers, churn, value, cat, snapshot.zone(), allowed, books)

    @property
    def history(self) -> PurchaseHistory:
        """The snapshot's purchase history."""
        return self.snapshot.history

    def label(self, item: int) -> Label:
        """What is told of an item, read from catalogue and population once."""
        found = self._labels.get(item)
        if found is None:
            catalogue = self.snapshot.catalogue
            group = int(catalogue.item_group[item])
            spend = self.snapshot.money(float(self.population.arrays.items.spend[item]))
            name = catalogue.groups[group] if group != ABSENT else None
            found = self._labels[item] = Label(catalogue.items[item], catalogue.name(item), name, spend)
        return found

    @property
    def threads(self) -> threading.local:
        """What each thread keeps for itself."""
        return self._desks

    def desk(self) -> Desk:
        """Working memory of the calling thread."""
        desk: Desk | None = getattr(self._desks, "desk", None)
        if desk is None or desk.cat is not self.cat or desk.population is not self.population:
            items = scratch_for(self.snapshot.catalogue)
            desk = Desk(
                cat=self.cat,
                population=self.population,
                items=items,
                bench=bench(self.cat, self.population.arrays, items),
                chosen=np.zeros(LIMIT, np.int64),
                marks=np.zeros(LIMIT, np.uint16),
                known=np.zeros(LIMIT, np.uint8),
                X=np.zeros((LIMIT, N_PAIR_FEATURES), np.float32),
            )
            self._desks.desk = desk
        return desk
