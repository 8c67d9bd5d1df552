"""Customers like this one: profiles of the witnesses by item, and what they took last and lately."""

from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY
from recsys.population.facts import Peers
from recsys.population.witnesses import Witnesses, profiles, strongest, whole_profiles

RECENCY = 10
"""Baskets of a witness that say what it takes lately."""
LATELY = 7.0
"""Days after which such a basket says half as much."""
LEAST = 0.01
"""What a basket must say at least to be kept."""
TAKEN = 32
"""Items kept of them, those that were taken most."""
ASYMMETRY = 0.75
"""How much longer histories are preferred as neighbours; see `recsys.evaluation.basket_baselines.up_cf`."""


def fit_peers(seen: Witnesses, rarity: npt.NDArray[np.float32]) -> Peers:
    """Profiles as lists of witnesses by item, the newest baskets, and what was taken in the last RECENCY ones.

    A witness with one basket has no profile before it and is a peer by its whole profile alone. After Faggioli, Polato,
    Aiolli (2020), "Recency Aware Collaborative Filtering for Next Basket Recommendation", UMAP; but baskets count by
    their age in days.
    """
    start, customer, weight = _by_item(profiles(seen, rarity, 0), whole_profiles(seen, ASYMMETRY))
    newest = np.flatnonzero(seen.age == 0)
    sizes = np.diff(seen.start)[newest]
    ends = np.concatenate([[0], np.cumsum(sizes)])
    within = np.arange(ends[-1]) - np.repeat(ends[:-1], sizes)
    basket = seen.item[np.repeat(seen.start[newest], sizes) + within]
    taken = _taken(seen)
    return Peers(
        start=start,
        customer=customer,
        weight=weight,
        fresh=_by_witness(seen, newest),
        basket_start=_all_starts(seen, newest, sizes),
        basket_item=basket.astype(np.int32),
        taken_start=taken.indptr.astype(np.int64),
        taken_item=taken.indices.astype(np.int32),
        taken_worth=taken.data.astype(np.float32),
    )


def _by_item(before: Any, whole: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Start, witness and both weights of the entries of either matrix, by item, witnesses ascending."""
    parts = [each.tocoo() for each in (before, whole)]
    n = before.shape[0]
    codes = [part.col.astype(np.int64) * n + part.row for part in parts]
    code = np.unique(np.concatenate(codes))
    weight = np.zeros((len(code), 2), np.float32)
    for column, (part, each) in enumerate(zip(parts, codes, strict=True)):
        weight[np.searchsorted(code, each), column] = part.data
    counts = np.bincount(code // max(1, n), minlength=before.shape[1])
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), (code % max(1, n)).astype(np.int32), weight


def _taken(seen: Witnesses) -> Any:
    """Σ of 2^(-age / LATELY) over the last RECENCY baskets with the item, csr (count, n_items)."""
    worth = 0.5 ** ((seen.as_of - seen.time) / DAY / LATELY)
    return strongest(seen.matrix(np.where((seen.age < RECENCY) & (worth >= LEAST), worth, 0.0)), TAKEN)


def _by_witness(seen: Witnesses, newest: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    fresh = np.zeros(seen.count, np.float32)
    fresh[seen.owner[newest]] = seen.fresh[newest]
    return fresh


def _all_starts(seen: Witnesses, newest: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each witness's newest basket starts, (count + 1,); empty for a witness without any."""
    counts = np.zeros(seen.count, np.int64)
    counts[seen.owner[newest]] = sizes
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
