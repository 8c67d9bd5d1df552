"""What a customer's purchases point to, against dense twins of the definitions."""

from functools import cache

import numpy as np

from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.decisioning.gather import catalogue_arrays, scratch_for
from recsys.features.personal import clean, own_items, point_to_items
from recsys.features.state import Scratch
from recsys.population.facts import Population, PopulationSpec
from recsys.population.fit import fit_population
from recsys.population.peers import ASYMMETRY, LATELY, LEAST, RECENCY
from recsys.population.witnesses import FADE_BASKETS
from recsys.testing.builders import random_snapshot

CUSTOMERS = range(0, 40, 3)


@cache
def whole() -> Snapshot:
    return random_snapshot(5, 40)


@cache
def facts() -> Population:
    return fit_population(whole(), PopulationSpec(factors=8, iterations=3))


def pointed(customer: int) -> tuple[Scratch, dict[str, np.ndarray]]:
    """Clean scratch, and a copy of the scores the customer's rows left in it."""
    base = whole()
    low, high = base.history.span(customer)
    cat, scratch = catalogue_arrays(base.catalogue), scratch_for(base.catalogue)
    own = own_items(base.history.arrays(), low, high, base.as_of, cat, scratch)
    point_to_items(own, cat, facts().arrays, scratch)
    scores = {name: np.array(getattr(scratch, name)) for name in ("after", "peers", "votes")}
    clean(own, cat, scratch)
    return scratch, scores


def baskets(customer: int) -> list[set[int]]:
    """Items of each order, oldest first; orders without items are passed over."""
    return [items for _, items in dated_baskets(customer)]


def dated_baskets(customer: int) -> list[tuple[int, set[int]]]:
    """`baskets` with their instants [s]."""
    history, catalogue = whole().history, whole().catalogue
    found = []
    for order in range(*history.span(customer)):
        lines = range(int(history.line_start[order]), int(history.line_start[order + 1]))
        products = [int(history.line_product[line]) for line in lines if history.line_quantity[line] > 0]
        items = {int(catalogue.product_item[p]) for p in products if p >= 0} - {-1}
        found += [(int(history.order_time[order]), items)] if items else []
    return found


def profile(customer: int) -> np.ndarray:
    """Faded orders × rarity, of length one."""
    out = np.zeros(whole().catalogue.n_items)
    for age, items in enumerate(reversed(baskets(customer))):
        for item in items:
            out[item] += FADE_BASKETS**age
    out *= facts().arrays.items.rarity
    return out / np.linalg.norm(out)


def excess() -> np.ndarray:
    """What follows what, dense (n_items, n_items)."""
    maps, n = facts().arrays.following, whole().catalogue.n_items
    out = np.zeros((n, n))
    for row in range(n):
        places = slice(maps.start[row], maps.start[row + 1])
        out[row, maps.item[places]] = maps.excess[places]
    return out


def test_excess_is_summed_over_the_last_basket() -> None:
    """Each item of the last basket adds its row."""
    for customer in CUSTOMERS:
        wanted = sum(excess()[item] for item in baskets(customer)[-1])
        np.testing.assert_allclose(pointed(customer)[1]["after"], wanted, atol=1e-6)


def test_peers_are_weighed_by_likeness_and_freshness() -> None:
    """With fewer witnesses than are asked for, all count: shares of their newest baskets."""
    peers, n = facts().arrays.peers, whole().catalogue.n_items
    others = np.zeros((len(peers.fresh), n))
    for item in range(n):
        places = slice(peers.start[item], peers.start[item + 1])
        others[peers.customer[places], item] = peers.weight[places, 0]
    for customer in CUSTOMERS:
        weight, wanted = others @ profile(customer) * peers.fresh, np.zeros(n)
        for witness, each in enumerate(weight):
            wanted[peers.basket_item[peers.basket_start[witness] : peers.basket_start[witness + 1]]] += each
        np.testing.assert_allclose(pointed(customer)[1]["peers"], wanted / weight.sum(), atol=1e-6)


def votes(customer: int) -> np.ndarray:
    """Fresh baskets of all, by asymmetric cosine of counts of orders (Faggioli et al. 2020) to the customer."""
    everyone, n = range(len(whole().history.order_start) - 1), whole().catalogue.n_items
    counts, taken = np.zeros((len(everyone), n)), np.zeros((len(everyone), n))
    for other in everyone:
        for age, (time, items) in enumerate(reversed(dated_baskets(other))):
            worth = 0.5 ** ((whole().as_of - time) / DAY / LATELY)
            counts[other, list(items)] += 1
            if age < RECENCY and worth >= LEAST:
                taken[other, list(items)] += worth
    likeness = counts @ counts[customer] / np.maximum(np.linalg.norm(counts, axis=1), 1e-9) ** (2 - 2 * ASYMMETRY)
    return np.asarray(likeness @ taken / likeness.sum())


def test_votes_are_fresh_baskets_by_likeness_of_orders() -> None:
    """With fewer customers than are asked for, all vote, the customer too."""
    for customer in CUSTOMERS:
        np.testing.assert_allclose(pointed(customer)[1]["votes"], votes(customer), atol=1e-6)


def test_the_scratch_is_clean_afterwards() -> None:
    """Nothing but the ALS scores and lists that are counted stays."""
    scratch, _ = pointed(3)
    left = [
        name for name in Scratch._fields if name not in ("als", "logs", "met", "slot") and getattr(scratch, name).any()
    ]
    assert (left, (scratch.slot < 0).all()) == ([], True)
