"""Customer × item rows that the offers model is fitted on and judged by; memory stays bounded by what is kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.decisioning.candidates import MIXED
from recsys.decisioning.gather import OffersTable, offers_table
from recsys.features.labels import Outcomes
from recsys.models.scorers import Scorer
from training.tables import Past, Pasts
from training.windows import FitPlan, uniform

MOST_CUSTOMERS = 25_000
"""Customers of one window that rows are made for; larger bases give a share of them, chosen by hash."""

CHUNK = 4_000
"""Customers whose candidates are held in memory at a time while scoring."""

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PairSample:
    """Candidates of some customers at one start, with labels.

    X       float32 (n, n_pair_features)
    bought  float64 (n,)  1.0 where the customer bought the item within the horizon
    weight  float64 (n,)  how many candidates the row stands for (negatives are thinned)
    """

    X: npt.NDArray[np.float32]
    bought: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]


class Scored(NamedTuple):
    """Scored candidates: customer (position in what was asked for), item, known, raw score; all (n,)."""

    customer: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    known: Mask
    raw: npt.NDArray[np.float64]


def chosen_customers(past: Past, among: Mask, seed: int, most: int = MOST_CUSTOMERS) -> Indices:
    """At most about `most` of the customers `among` (n_customers,), ascending; always the same ones for a seed."""
    share = most / max(1, int(among.sum()))
    kept = among if share >= 1 else among & (uniform(past.keys, seed + 2) < share)
    return np.flatnonzero(kept).astype(np.int64)


def pair_sample(
    pasts: Pasts, start: int, plan: FitPlan, budget: int, seed: int, among: Mask | None = None
) -> PairSample:
    """Candidates at `start` [s] of customers who buy within the horizon, about `budget` rows: all hits, some misses.

    `among` (n_customers,) leaves out the others.
    """
    past, labels = pasts.at(start), pasts.outcomes(start, plan.horizon_days, known_until=plan.cut)
    buyers = labels.orders > 0
    customers = chosen_customers(past, buyers if among is None else buyers & among, seed)
    bought = Bought.of(labels, customers, past.snapshot.catalogue.n_items)
    share = min(1.0, budget / max(1, len(customers) * 200))

    def keep(customer: npt.NDArray[np.int32], item: npt.NDArray[np.int32], _known: Mask) -> Mask:
        """Which pairs stay, (n_pairs,): all that were bought, a share of the others by the customer's seed."""
        hits = bought.among(customer, item)
        draw = uniform(past.keys[customers[customer]] ^ (item.astype(np.uint64) << np.uint64(32)), seed)
        return hits | (draw < share)

    table = offers_table(
        past.snapshot, past.population, start, customers, threads=past.threads, keep=None if share >= 1 else keep
    )
    hits = bought.among(table.customer, table.item)
    return PairSample(table.X, np.where(hits, 1.0, 0.0), np.where(hits, 1.0, 1.0 / share))


def scored(ranker: Scorer, past: Past, customers: Indices, mode: int = MIXED) -> Iterator[Scored]:
    """Candidates of `customers` as a request would get them, scored, a chunk of customers at a time."""
    for start in range(0, len(customers), CHUNK):
        part = customers[start : start + CHUNK]
        table: OffersTable = offers_table(
            past.snapshot, past.population, past.as_of, part, mode=mode, threads=past.threads
        )
        yield Scored(table.customer + np.int32(start), table.item, table.known, ranker.raw(table.X))


@dataclass(frozen=True, slots=True, eq=False)
class Bought:
    """Which (customer, item) pairs were bought: sorted codes `position · n_items + item`."""

    codes: npt.NDArray[np.int64]
    n_items: int

    @classmethod
    def of(cls, labels: Outcomes, customers: Indices, n_items: int) -> "Bought":
        """Pairs of the customers with the ascending indices `customers`; others are left out."""
        position = np.full(len(labels.orders), -1, np.int64)
        position[customers] = np.arange(len(customers))
        owner = np.repeat(position, np.diff(labels.item_start).astype(np.int64))
        mine = (owner >= 0) & (labels.items < n_items)
        return cls(owner[mine] * n_items + labels.items[mine], n_items)

    def among(self, customer: npt.NDArray[np.int32], item: npt.NDArray[np.int32]) -> Mask:
        """Whether each pair was bought, (n,)."""
        wanted = customer.astype(np.int64) * self.n_items + item
        place = np.searchsorted(self.codes, wanted)
        inside = place < len(self.codes)
        found: Mask = (
            inside & (self.codes[np.minimum(place, len(self.codes) - 1)] == wanted) if len(self.codes) else inside
        )
        return found
