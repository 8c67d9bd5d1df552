"""What was known at each instant, and what happened after it: the tables that models are fitted on."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY, ZoneTable
from recsys.data.snapshot import Snapshot
from recsys.data.truncate import until
from recsys.errors import ClockError
from recsys.evaluation.ranking import Truth, truth_of_pairs
from recsys.features.customer import customer_table
from recsys.features.labels import Outcomes, outcomes
from recsys.population.base import fit_base
from recsys.population.facts import Base, Population, PopulationSpec
from recsys.population.fit import fit_population

Features = npt.NDArray[np.float32]


@dataclass(eq=False)
class Past:
    """What was known of the base at one instant, coded as if imported then; each fact is computed once, when asked for.

    as_of      the instant [s]
    snapshot   rows up to it
    customers  int32 (n_customers,)  where its customers stand in the snapshot the past was cut from
    items      int32 (n_items,)      where its items stand there
    """

    as_of: int
    snapshot: Snapshot
    customers: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    spec: PopulationSpec
    threads: int
    _tables: dict[int, Features] = field(default_factory=dict)

    @cached_property
    def zone(self) -> ZoneTable:
        """Business time."""
        return self.snapshot.zone()

    @cached_property
    def base(self) -> Base:
        """Facts of the base that customer features read; far cheaper than the whole population."""
        return self.population.arrays.base if "population" in self.__dict__ else fit_base(self.snapshot)

    @cached_property
    def population(self) -> Population:
        """All facts of the base."""
        return fit_population(self.snapshot, self.spec, threads=self.threads)

    @cached_property
    def keys(self) -> npt.NDArray[np.uint64]:
        """Hash of each customer, (n_customers,): the key of the first order, itself a hash of customer and order id."""
        history = self.snapshot.history
        return np.asarray(history.order_key[history.order_start[:-1]])

    def rows(self, horizon_days: int) -> Features:
        """Customer features of everyone, (n_customers, n_features)."""
        if horizon_days not in self._tables:
            history, catalogue = self.snapshot.history, self.snapshot.catalogue
            self._tables[horizon_days] = customer_table(
                history,
                catalogue.product_item,
                catalogue.n_items,
                self.zone,
                self.base,
                self.as_of,
                horizon_days,
                threads=self.threads,
            )
        return self._tables[horizon_days]


LINES_KEPT = 60_000_000
"""Lines that the pasts kept in memory may hold together; at least three pasts stay."""


class Pasts:
    """Pasts of one snapshot, each made once and shared by all models and fits; the longest unused ones go first."""

    def __init__(self, snapshot: Snapshot, spec: PopulationSpec | None = None, *, threads: int = 1) -> None:
        self.snapshot, self.spec, self.threads = snapshot, spec or PopulationSpec(), threads
        self._known: dict[int, Past] = {}
        self._most = max(3, LINES_KEPT // max(1, snapshot.history.n_lines))

    def at(self, as_of: int) -> Past:
        """The past at `as_of` [s].

        Raises:
            NotEnoughData: nothing was bought up to then.
        """
        past = self._known.pop(as_of, None)
        if past is None:
            cut = until(self.snapshot, as_of)
            past = Past(as_of, cut.snapshot, cut.customers, cut.items, self.spec, self.threads)
        self._known[as_of] = past
        while len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        return past

    def outcomes(self, as_of: int, horizon_days: int, *, known_until: int) -> Outcomes:
        """What the customers known at `as_of` did within the horizon; items are indices of the past's own catalogue.

        Items that nobody had bought up to `as_of` are left out: no model of that day could offer them.

        Raises:
            ClockError: the labels would reach past `known_until` [s].
        """
        self._check(as_of, horizon_days, known_until)
        past = self.at(as_of)
        whole = outcomes(self.snapshot, past.customers, as_of, horizon_days)
        return _coded(whole, past.items, self.snapshot.catalogue.n_items)

    def truth(self, as_of: int, horizon_days: int, *, known_until: int) -> Truth:
        """Items each customer known at `as_of` buys within the horizon, coded as in `outcomes`.

        Items nobody had bought up to `as_of` count too, under codes beyond the past's catalogue: nothing finds them.
        """
        self._check(as_of, horizon_days, known_until)
        past = self.at(as_of)
        whole = outcomes(self.snapshot, past.customers, as_of, horizon_days)
        code = _codes(past.items, self.snapshot.catalogue.n_items)
        unseen = np.flatnonzero(code < 0)
        code[unseen] = len(past.items) + np.arange(len(unseen), dtype=np.int32)
        owner = np.repeat(np.arange(len(past.customers)), np.diff(whole.item_start).astype(np.int64))
        return truth_of_pairs(owner, code[whole.items], len(past.customers))

    def _check(self, as_of: int, horizon_days: int, known_until: int) -> None:
        if as_of + horizon_days * DAY > known_until:
            raise ClockError(
                "Labels would look past the cut", found=as_of + horizon_days * DAY, expected=f"<= {known_until}"
            )


def _coded(whole: Outcomes, items: npt.NDArray[np.int32], n_items: int) -> Outcomes:
    """`whole` with items as positions in `items`, dropping the others."""
    recoded = _codes(items, n_items)[whole.items]
    kept = recoded >= 0
    before = np.concatenate([[0], np.cumsum(kept)])
    return Outcomes(whole.orders, whole.spend, whole.next_days, before[whole.item_start], recoded[kept])


def _codes(items: npt.NDArray[np.int32], n_items: int) -> npt.NDArray[np.int32]:
    """Position in `items` of each of `n_items` items, -1 for those not in it."""
    code = np.full(n_items, -1, np.int32)
    code[items] = np.arange(len(items), dtype=np.int32)
    return code
