"""The customers most like one: likeness by what they bought, and what they took last and lately."""

from typing import Any

import numba
import numpy as np

from recsys.features.state import Own, Scratch, ranked
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
    peers, like, met, n_met = population.peers, scratch.like, scratch.met, 0
    start, customer, likeness = peers.start, peers.customer, peers.weight
    slots, weights = _profile(own, population.items.rarity)
    for at in range(len(slots)):
        item, weight = own.item[slots[at]], np.float32(weights[at])
        orders = np.float32(own.orders[slots[at]])
        for place in range(start[item], start[item + 1]):
            witness = np.uint32(customer[place])  # no sign: no index is looked at for counting from the end
            if like[witness, 0] == 0 and like[witness, 1] == 0:
                met[n_met] = witness
                n_met += 1
            like[witness, 0] += weight * likeness[place, 0]
            like[witness, 1] += orders * likeness[place, 1]
    _add_peers(peers, scratch, n_met)
    _add_votes(peers, scratch, n_met)
    for at in range(n_met):
        like[met[at], 0], like[met[at], 1] = np.float32(0.0), np.float32(0.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _profile(own: Own, rarity: Any) -> Any:
    """Slots and weights of the PROFILE strongest items, ties by item; weights have length 1. As in `profiles`."""
    n, items, fast = own.counts[0], own.item, own.fast
    strength = np.empty(n)
    for k in range(n):
        strength[k] = -fast[k] * np.float64(rarity[items[k]])
    order = ranked(strength, items)[:PROFILE]
    squares = 0.0
    for k in order:
        squares += strength[k] * strength[k]
    scale = np.sqrt(squares) if squares > 0 else 1.0
    return order, -strength[order] / scale


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_peers(peers: Peers, scratch: Scratch, n_met: int) -> None:
    """Newest baskets of about PEERS witnesses most like the customer, by likeness and freshness, as shares.

    Likeness is told apart in steps; all witnesses of the last step that is reached count.
    """
    met, like, shares = scratch.met[:n_met], scratch.like, scratch.peers
    fresh, start, items = peers.fresh, peers.basket_start, peers.basket_item
    steps = np.zeros(STEPS_OF_LIKENESS + 1, np.int64)
    for witness in met:
        if like[witness, 0] > 0:
            steps[_step(like[witness, 0])] += 1
    least = _least_step(steps, PEERS)
    total = np.float32(0.0)
    for witness in met:
        if like[witness, 0] > 0 and _step(like[witness, 0]) >= least:
            weight = like[witness, 0] * fresh[witness]
            total += weight
            for at in range(start[witness], start[witness + 1]):
                shares[np.uint32(items[at])] += weight
    total = max(total, np.float32(1e-9))
    for item in range(shares.size):
        shares[item] /= total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_votes(peers: Peers, scratch: Scratch, n_met: int) -> None:
    """What about VOTERS witnesses with the most like orders took lately, by likeness, over the sum of likeness.

    Likeness is told apart in steps of the largest; all witnesses of the last step that is reached count.
    """
    met, like, votes = scratch.met[:n_met], scratch.like, scratch.votes
    start, items, worth = peers.taken_start, peers.taken_item, peers.taken_worth
    largest = np.float32(1e-9)
    for witness in met:
        largest = max(largest, like[witness, 1])
    steps = np.zeros(STEPS_OF_LIKENESS + 1, np.int64)
    for witness in met:
        steps[_step(like[witness, 1] / largest)] += 1
    least = _least_step(steps, VOTERS)
    total = np.float32(1e-9)
    for witness in met:
        weight = like[witness, 1]
        if _step(weight / largest) >= least:
            total += weight
            for at in range(start[witness], start[witness + 1]):
                votes[np.uint32(items[at])] += weight * worth[at]
    for item in range(votes.size):
        votes[item] /= total


@numba.njit(cache=True, nogil=True)
def _least_step(steps: Any, wanted: int) -> int:
    """The highest step at and above which `wanted` witnesses stand; 0 if there are fewer."""
    least, reached = STEPS_OF_LIKENESS, steps[STEPS_OF_LIKENESS]
    while least > 0 and reached < wanted:
        least -= 1
        reached += steps[least]
    return least


@numba.njit(cache=True, nogil=True)
def _step(likeness: float) -> int:
    step = int(likeness * STEPS_OF_LIKENESS)
    return step if step < STEPS_OF_LIKENESS else STEPS_OF_LIKENESS
