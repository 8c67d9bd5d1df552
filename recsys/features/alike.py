"""The customers most like one: likeness by what they bought, and what they took last and lately."""

from typing import Any

import numba
import numpy as np

from recsys.features.lanes import BLOCK, add_pair, copy_block, fill_block
from recsys.features.state import Own, Scratch, strongest
from recsys.population.facts import Peers, PopulationArrays
from recsys.population.witnesses import PROFILE

PEERS = 1_000
"""Witnesses most like the customer whose newest baskets count."""
VOTERS = 300
"""Witnesses whose orders are most like the customer's and whose last baskets count."""
STEPS_OF_LIKENESS = 1_024
"""Steps of likeness between 0 and 1 that the PEERS are told apart by."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def from_peers(own: Own, population: PopulationArrays, scratch: Scratch) -> None:
    """Likeness of the customer to each witness, what those most like took last, and what they took lately."""
    slots, weights = _profile(own, population.items.rarity)
    n_met = _meet(own, slots, weights, population.peers, scratch.like, scratch.met)
    met = scratch.met[:n_met]
    before, whole = _likeness(scratch.like, met)
    _add_peers(population.peers, met, before, scratch.peers)
    _add_votes(population.peers, met, whole, scratch.votes)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _profile(own: Own, rarity: Any) -> Any:
    """Slots and weights of the PROFILE strongest items, ties by item; weights have length 1. As in `profiles`."""
    n, items, fast = own.counts[0], own.item, own.fast
    strength = np.empty(n)
    for k in range(n):
        strength[k] = fast[k] * np.float64(rarity[items[k]])
    order = strongest(strength, items)[:PROFILE]
    squares = 0.0
    for k in order:
        squares += strength[k] * strength[k]
    scale = np.sqrt(squares) if squares > 0 else 1.0
    return order, strength[order] / scale


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _meet(own: Own, slots: Any, weights: Any, peers: Peers, like: Any, met: Any) -> int:
    """Sum both kinds of likeness in `like`; notes who has any in `met`, in the sequence they are met; how many.

    Everybody is written to `met` and only who is new is kept: nobody can guess who is new, and a wrong guess costs
    more than the rest. No index has a sign: none is looked at for counting from the end.
    """
    start, customer, likeness = peers.start, peers.customer, peers.weight
    n_met = np.uint64(0)
    for at in range(len(slots)):
        item, weight = own.item[slots[at]], np.float32(weights[at])
        orders = np.float32(own.orders[slots[at]])
        for place in range(np.uint64(start[item]), np.uint64(start[item + 1])):
            witness = np.uint64(np.uint32(customer[place]))
            met[n_met] = witness
            n_met += add_pair(like, witness, likeness, place, weight, orders)
    return int(n_met)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _likeness(like: Any, met: Any) -> Any:
    """Both kinds of likeness of those `met`, float32 (n_met,); `like` is clean again."""
    before, whole = np.empty(len(met), np.float32), np.empty(len(met), np.float32)
    for at in range(len(met)):
        witness = np.uint32(met[at])
        before[at], whole[at] = like[witness, 0], like[witness, 1]
        like[witness, 0], like[witness, 1] = np.float32(0.0), np.float32(0.0)
    return before, whole


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_peers(peers: Peers, met: Any, likeness: Any, shares: Any) -> None:
    """Newest baskets of about PEERS witnesses most like the customer, by likeness and freshness, as shares.

    Likeness is told apart in steps; all witnesses of the last step that is reached count.
    """
    fresh, total, chosen = peers.fresh, np.float32(0.0), _most_like(likeness, np.float32(1.0), PEERS)
    weights = np.empty(len(chosen), np.float32)
    for k in range(np.uint64(len(chosen))):
        at = chosen[k]
        weights[k] = likeness[at] * fresh[np.uint32(met[at])]
        total += weights[k]
    _add_baskets(chosen, met, weights, peers.basket_start, peers.basket_item, shares)
    total = max(total, np.float32(1e-9))
    for item in range(shares.size):
        shares[item] /= total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_baskets(chosen: Any, met: Any, weights: Any, start: Any, items: Any, sums: Any) -> None:
    """Add to `sums` the weight of each of `met[chosen]` at the items of its basket, one after the other.

    Baskets are laid end to end first, each by a copy of BLOCK items of which the next covers what is too much: nobody
    can guess how long the next one is, and a wrong guess costs more than the copy.
    """
    room, last = np.int64(BLOCK), len(items) - BLOCK
    for at in chosen:
        witness = np.uint32(met[at])
        room += start[witness + np.uint32(1)] - start[witness]
    taken, weight, n = np.empty(room, np.int32), np.empty(room, np.float32), 0
    for k in range(np.uint64(len(chosen))):
        witness = np.uint32(met[chosen[k]])
        first, size = start[witness], start[witness + np.uint32(1)] - start[witness]
        if size <= BLOCK and first <= last:
            copy_block(taken, n, items, first)
            fill_block(weight, n, weights[k])
        else:
            taken[n : n + size], weight[n : n + size] = items[first : first + size], weights[k]
        n += size
    for at in range(np.uint64(n)):
        sums[np.uint32(taken[at])] += weight[at]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_votes(peers: Peers, met: Any, likeness: Any, votes: Any) -> None:
    """What about VOTERS witnesses with the most like orders took lately, by likeness, over the sum of likeness.

    Likeness is told apart in steps of the largest; all witnesses of the last step that is reached count.
    """
    start, items, worth = peers.taken_start, peers.taken_item, peers.taken_worth
    largest = np.float32(1e-9)
    for each in likeness:
        largest = max(largest, each)
    total = np.float32(1e-9)
    for at in _most_like(likeness, largest, VOTERS):
        witness, weight = np.uint32(met[at]), likeness[at]
        total += weight
        for place in range(np.uint64(start[witness]), np.uint64(start[witness + np.uint32(1)])):
            votes[np.uint32(items[place])] += weight * worth[place]
    for item in range(votes.size):
        votes[item] /= total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _most_like(likeness: Any, largest: Any, wanted: int) -> Any:
    """Places of about `wanted` of those with any `likeness`, uint32, in their sequence: all of the steps needed.

    Three plain passes that guess nothing; one pass with questions cost twice as much.
    """
    n, kept = len(likeness), np.uint32(0)
    step, places = np.empty(n, np.int32), np.empty(n + 1, np.uint32)
    counts = np.zeros(STEPS_OF_LIKENESS + 1, np.int64)
    for at in range(n):
        step[at] = np.int32(min(likeness[at] / largest * np.float32(STEPS_OF_LIKENESS), np.float32(STEPS_OF_LIKENESS)))
    for at in range(n):
        counts[np.uint32(step[at])] += 1
    least = _least_step(counts, wanted)
    for at in range(n):
        places[kept] = at
        kept += np.uint32((step[at] >= least) & (likeness[at] > 0))
    return places[:kept]


@numba.njit(cache=True, nogil=True)
def _least_step(steps: Any, wanted: int) -> int:
    """The highest step at and above which `wanted` witnesses stand; 0 if there are fewer."""
    least, reached = STEPS_OF_LIKENESS, steps[STEPS_OF_LIKENESS]
    while least > 0 and reached < wanted:
        least -= 1
        reached += steps[least]
    return least
