"""Everything an answer is computed from, opened once and never changed."""

import threading
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from recsys.data.clock import ZoneTable
from recsys.data.history import PurchaseHistory
from recsys.data.snapshot import Snapshot
from recsys.decisioning.gather import LIMIT, catalogue_arrays, scratch_for
from recsys.errors import SnapshotError
from recsys.features.customer import item_scratch
from recsys.features.pairs import N_PAIR_FEATURES
from recsys.features.personal import CatalogueArrays, Scratch
from recsys.models.churn import ChurnModel
from recsys.models.offers import OffersModel
from recsys.models.value import ValueModel
from recsys.population.facts import Population


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """Working memory of one thread: scratch of the kernels and room for one ranking table."""

    items: Scratch
    counts: npt.NDArray[np.int64]
    chosen: npt.NDArray[np.int64]
    marks: npt.NDArray[np.uint16]
    known: npt.NDArray[np.uint8]
    X: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Serving:
    """Snapshot, population and models that belong together; the three models are None where there is none.

    cat      catalogue arrays of the kernels
    zone     business time
    allowed  uint8 (n_items,)  1 where an item may be offered
    """

    snapshot: Snapshot
    population: Population
    offers: OffersModel | None
    churn: ChurnModel | None
    value: ValueModel | None
    cat: CatalogueArrays
    zone: ZoneTable
    allowed: npt.NDArray[np.uint8]
    _desks: threading.local = field(default_factory=threading.local)

    @classmethod
    def of(
        cls,
        snapshot: Snapshot,
        population: Population,
        offers: OffersModel | None = None,
        churn: ChurnModel | None = None,
        value: ValueModel | None = None,
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
        return cls(snapshot, population, offers, churn, value, cat, snapshot.zone(), allowed)

    @property
    def history(self) -> PurchaseHistory:
        """The snapshot's purchase history."""
        return self.snapshot.history

    def desk(self) -> Desk:
        """Working memory of the calling thread."""
        desk: Desk | None = getattr(self._desks, "desk", None)
        if desk is None:
            desk = Desk(
                items=scratch_for(self.snapshot.catalogue),
                counts=item_scratch(self.snapshot.catalogue.n_items),
                chosen=np.zeros(LIMIT, np.int64),
                marks=np.zeros(LIMIT, np.uint16),
                known=np.zeros(LIMIT, np.uint8),
                X=np.zeros((LIMIT, N_PAIR_FEATURES), np.float32),
            )
            self._desks.desk = desk
        return desk
