"""The customers most like one: likeness by what they bought, and what they took last and lately."""

from typing import Any

import numba
import numpy as np

from recsys.features.state import Own, Scratch, touch
from recsys.population.facts import PopulationArrays
from recsys.population.witnesses import PROFILE

PEERS = 1_000
"""Witnesses most like the customer whose newest baskets count."""
VOTERS = 300
"""Witnesses whose orders are most like the customer's and whose last baskets count."""
STEPS_OF_LIKENESS = 1_024
"""Steps of likeness between 0 and 1 that the PEERS are told apart by."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def from_peers(own: Own, population: PopulationArrays, scratch: Scratch, n_touched: int) -> Any:
    """Likeness of the customer to each witness, what those most like took last, and what they took lately."""
    peers, n_met = population.peers, 0
    slots, weights = _profile(own, population.items.rarity)
    for at in range(len(slots)):
        item, weight = own.item[slots[at]], np.float32(weights[at])
        orders = np.float32(own.orders[slots[at]])
        for place in range(peers.start[item], peers.start[item + 1]):
            witness = peers.customer[place]
            if scratch.like[witness, 0] == 0 and scratch.like[witness, 1] == 0:
                scratch.met[n_met] = witness
                n_met += 1
            scratch.like[witness, 0] += weight * peers.weight[place, 0]
            scratch.like[witness, 1] += orders * peers.weight[place, 1]
    n_touched = _add_peers(population, scratch, n_met, n_touched)
    n_touched = _add_votes(population, scratch, n_met, n_touched)
    for at in range(n_met):
        scratch.like[scratch.met[at]] = np.float32(0.0)
    return n_touched


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _profile(own: Own, rarity: Any) -> Any:
    """Slots and weights of the PROFILE strongest items, ties by item; weights have length 1. As in `profiles`."""
    n = own.counts[0]
    by_item = np.argsort(own.item[:n], kind="mergesort")
    strength = np.empty(n)
    for k in range(n):
        strength[k] = -own.fast[by_item[k]] * np.float64(rarity[own.item[by_item[k]]])
    order = np.argsort(strength, kind="mergesort")[:PROFILE]
    squares = 0.0
    for k in order:
        squares += strength[k] * strength[k]
    scale = np.sqrt(squares) if squares > 0 else 1.0
    return by_item[order], -strength[order] / scale


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_peers(population: PopulationArrays, scratch: Scratch, n_met: int, n_touched: int) -> int:
    """Newest baskets of about PEERS witnesses most like the customer, by likeness and freshness, as shares.

    Likeness is told apart in steps; all witnesses of the last step that is reached count.
    """
    peers, met = population.peers, scratch.met[:n_met]
    steps = np.zeros(STEPS_OF_LIKENESS + 1, np.int64)
    for witness in met:
        if scratch.like[witness, 0] > 0:
            steps[_step(scratch.like[witness, 0])] += 1
    least = _least_step(steps, PEERS)
    total = np.float32(0.0)
    for witness in met:
        if scratch.like[witness, 0] > 0 and _step(scratch.like[witness, 0]) >= least:
            weight = scratch.like[witness, 0] * peers.fresh[witness]
            total += weight
            for at in range(peers.basket_start[witness], peers.basket_start[witness + 1]):
                n_touched = touch(peers.basket_item[at], scratch, n_touched)
                scratch.peers[peers.basket_item[at]] += weight
    total = max(total, np.float32(1e-9))
    for at in range(n_touched):
        scratch.peers[scratch.touched[at]] /= total
    return n_touched


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_votes(population: PopulationArrays, scratch: Scratch, n_met: int, n_touched: int) -> int:
    """What about VOTERS witnesses with the most like orders took lately, by likeness, over the sum of likeness.

    Likeness is told apart in steps of the largest; all witnesses of the last step that is reached count.
    """
    peers, met = population.peers, scratch.met[:n_met]
    largest = np.float32(1e-9)
    for witness in met:
        largest = max(largest, scratch.like[witness, 1])
    steps = np.zeros(STEPS_OF_LIKENESS + 1, np.int64)
    for witness in met:
        steps[_step(scratch.like[witness, 1] / largest)] += 1
    least = _least_step(steps, VOTERS)
    total = np.float32(1e-9)
    for witness in met:
        weight = scratch.like[witness, 1]
        if _step(weight / largest) >= least:
            total += weight
            for at in range(peers.taken_start[witness], peers.taken_start[witness + 1]):
                n_touched = touch(peers.taken_item[at], scratch, n_touched)
                scratch.votes[peers.taken_item[at]] += weight * peers.taken_worth[at]
    for at in range(n_touched):
        scratch.votes[scratch.touched[at]] /= total
    return n_touched


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
