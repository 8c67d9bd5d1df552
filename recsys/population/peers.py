"""Customers like this one: profiles of the witnesses by item, and what their newest baskets held."""

import numpy as np
import numpy.typing as npt

from recsys.population.facts import Peers
from recsys.population.witnesses import Witnesses, profiles


def fit_peers(seen: Witnesses, rarity: npt.NDArray[np.float32]) -> Peers:
    """Profiles before the newest basket, as lists of witnesses by item, and the newest baskets themselves.

    A witness with one basket has no profile and is nobody's peer.
    """
    by_item = profiles(seen, rarity, 0).tocsc()
    by_item.sort_indices()
    newest = np.flatnonzero(seen.age == 0)
    sizes = np.diff(seen.start)[newest]
    start = np.concatenate([[0], np.cumsum(sizes)])
    within = np.arange(start[-1]) - np.repeat(start[:-1], sizes)
    basket = seen.item[np.repeat(seen.start[newest], sizes) + within]
    return Peers(
        start=by_item.indptr.astype(np.int64),
        customer=by_item.indices.astype(np.int32),
        weight=by_item.data.astype(np.float32),
        fresh=_by_witness(seen, newest),
        basket_start=_all_starts(seen, newest, sizes),
        basket_item=basket.astype(np.int32),
    )


def _by_witness(seen: Witnesses, newest: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    fresh = np.zeros(seen.count, np.float32)
    fresh[seen.owner[newest]] = seen.fresh[newest]
    return fresh


def _all_starts(seen: Witnesses, newest: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each witness's newest basket starts, (count + 1,); empty for a witness without any."""
    counts = np.zeros(seen.count, np.int64)
    counts[seen.owner[newest]] = sizes
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
