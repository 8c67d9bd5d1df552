"""Fits all population facts of a snapshot at its `as_of`."""

import numpy as np
import numpy.typing as npt

from recsys.data.snapshot import Snapshot
from recsys.population.base import fit_base
from recsys.population.factors import fit_factors
from recsys.population.facts import Factors, Neighbours, Population, PopulationArrays, PopulationSpec, Transitions
from recsys.population.following import fit_following
from recsys.population.items import bought_matrix, fit_assortment, fit_items, fit_popular
from recsys.population.lookalikes_fit import fit_lookalikes
from recsys.population.neighbours import fit_neighbours
from recsys.population.peers import fit_peers
from recsys.population.timing_fit import fit_timing
from recsys.population.transitions import fit_transitions
from recsys.population.witnesses import witnesses


def fit_population(snapshot: Snapshot, spec: PopulationSpec | None = None, *, threads: int = 2) -> Population:
    """Facts of the whole base from every row of `snapshot` (for the past: of `until(snapshot, cut).snapshot`).

    Depends on rows, spec and nothing else: threads change no bit.
    """
    spec = spec or PopulationSpec()
    history, catalogue, as_of = snapshot.history, snapshot.catalogue, snapshot.as_of
    seen = witnesses(history, catalogue.product_item, catalogue.n_items, as_of)
    items = fit_items(history, catalogue, as_of, seen)
    neighbours, transitions, factors = _collaborative(snapshot, spec, threads)
    arrays = PopulationArrays(
        items=items,
        popular=fit_popular(items, catalogue),
        neighbours=neighbours,
        transitions=transitions,
        following=fit_following(seen),
        peers=fit_peers(seen, items.rarity),
        factors=factors,
        base=fit_base(snapshot),
        timing=fit_timing(snapshot),
    )
    assortment = fit_assortment(history, catalogue, len(snapshot.stores), as_of)
    lookalikes = fit_lookalikes(snapshot, items)
    return Population(as_of, snapshot.snapshot_id, spec, arrays, assortment, lookalikes)


def _collaborative(snapshot: Snapshot, spec: PopulationSpec, threads: int) -> tuple[Neighbours, Transitions, Factors]:
    """What customers' baskets say about items; empty where the catalogue has fewer than two items."""
    history, catalogue = snapshot.history, snapshot.catalogue
    n = catalogue.n_items
    pairs = bought_matrix(history, catalogue, snapshot.as_of)
    if n < 2 or len(pairs) < 2:
        return _nothing(n, spec)
    neighbours = fit_neighbours(pairs, history, catalogue.product_item, n, spec.neighbours)
    transitions = fit_transitions(history, catalogue.product_item, n, snapshot.as_of, spec.transitions)
    return neighbours, transitions, fit_factors(pairs, history.n_customers, n, spec, threads)


def _nothing(n: int, spec: PopulationSpec) -> tuple[Neighbours, Transitions, Factors]:
    absent = np.full((n, 1), -1, np.int32)
    zeros: npt.NDArray[np.float32] = np.zeros((n, 1), np.float32)
    flat = np.zeros((n, spec.factors), np.float32)
    factors = Factors(flat, np.ascontiguousarray(flat.T), np.eye(spec.factors), np.array([spec.alpha]))
    return Neighbours(absent, zeros, absent.copy()), Transitions(absent.copy(), zeros.copy()), factors
