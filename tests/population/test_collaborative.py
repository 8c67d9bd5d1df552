"""Neighbours, transitions and factors against brute force and against a base whose right answer is provable."""

import numpy as np
import pytest

from recsys.data.snapshot import Snapshot
from recsys.population.factors import all_scores, fit_factors, fold_in
from recsys.population.facts import PopulationSpec
from recsys.population.items import bought_matrix
from recsys.population.neighbours import fit_neighbours
from recsys.population.transitions import SHRINK, fit_transitions
from recsys.testing.builders import random_snapshot, snapshot


def pairs_of(whole: Snapshot) -> np.ndarray:
    """Who bought what how often."""
    return bought_matrix(whole.history, whole.catalogue, whole.as_of)


def checkerboard() -> Snapshot:
    """Even customers buy even items, odd customers odd ones; customer i misses item i."""
    rows = [
        f"c{i:02d} p{j:02d} 2024-01-{1 + j:02d} 1x1.00 order=o{i}-{j}"
        for i in range(20)
        for j in range(20)
        if i % 2 == j % 2 and i != j
    ]
    return snapshot(*rows)


def test_similarity_is_the_cosine_of_the_buyers() -> None:
    """The nearest item and its similarity equal those of a dense cosine over sqrt(orders)."""
    whole = random_snapshot(11, 30)
    pairs, n = pairs_of(whole), whole.catalogue.n_items
    dense = np.zeros((whole.history.n_customers, n))
    dense[pairs[:, 0], pairs[:, 1]] = np.sqrt(pairs[:, 2])
    unit = dense / np.linalg.norm(dense, axis=0)
    cosine = unit.T @ unit
    np.fill_diagonal(cosine, -1)
    near = fit_neighbours(pairs, whole.history, whole.catalogue.product_item, n, 5)
    np.testing.assert_allclose(near.similarity[:, 0], cosine.max(axis=1), rtol=1e-5)


def test_went_on_counts_first_purchases_in_order() -> None:
    """Ann and bob went from latte to mocha, cem the other way round: two of three latte buyers went on."""
    whole = snapshot(
        "ann latte 2024-01-01 1x1.00 order=a1",
        "ann mocha 2024-01-02 1x1.00 order=a2",
        "bob latte 2024-01-01 1x1.00 order=b1",
        "bob mocha 2024-01-05 1x1.00 order=b2",
        "cem mocha 2024-01-01 1x1.00 order=c1",
        "cem latte 2024-01-05 1x1.00 order=c2",
    )
    near = fit_neighbours(pairs_of(whole), whole.history, whole.catalogue.product_item, 2, 1)
    assert near.after[:, 0].tolist() == [2, 1]


def test_transition_rate_is_counted_over_consecutive_baskets() -> None:
    """Latte was followed by tea in one of ann's two transitions; the rate is shrunk to tea's usual rate."""
    whole = snapshot(
        "ann latte 2024-01-01 1x1.00 order=a1",
        "ann tea 2024-01-02 1x1.00 order=a2",
        "ann latte 2024-01-03 1x1.00 order=a3",
    )
    latte, tea = 0, 1
    found = fit_transitions(whole.history, whole.catalogue.product_item, 2, whole.as_of, 2)
    at = found.item[latte].tolist().index(tea)
    assert found.rate[latte, at] == pytest.approx((1 + SHRINK * 0.5) / (1 + SHRINK))


@pytest.mark.parametrize(("size", "bought"), [(8, 3), (6, 1), (13, 19), (16, 16)])
def test_fold_in_solves_the_normal_equations(size: int, bought: int) -> None:
    """A customer's factors equal the dense solution of the paper's normal equations, whole blocks or not."""
    whole, spec = random_snapshot(13, 40, n_products=24), PopulationSpec(factors=size, iterations=3)
    n = whole.catalogue.n_items
    factors = fit_factors(pairs_of(whole), whole.history.n_customers, n, spec, threads=1)
    items, weights = np.arange(n - 1, -1, -1)[:bought], 0.7 + 0.2 * np.arange(bought)
    y = factors.item.astype(np.float64)
    confidence = np.ones(n)
    confidence[items] = spec.alpha * weights
    liked = np.zeros(n)
    liked[items] = 1
    wanted = np.linalg.solve((y.T * confidence) @ y + spec.regularization * np.eye(size), y.T @ (confidence * liked))
    np.testing.assert_allclose(fold_in(factors, items, weights, bought), wanted, rtol=1e-8)


def test_even_customers_like_even_items() -> None:
    """On a checkerboard the best item a customer never bought is the one of the same colour that was left out."""
    whole, spec = checkerboard(), PopulationSpec(factors=4, regularization=0.1, alpha=10.0)
    n = whole.catalogue.n_items
    pairs = pairs_of(whole)
    factors = fit_factors(pairs, whole.history.n_customers, n, spec, threads=2)
    best = []
    for customer in range(20):
        own = pairs[pairs[:, 0] == customer, 1]
        scores = np.zeros(n, np.float32)
        all_scores(factors, fold_in(factors, own, np.full(len(own), np.log(2.0)), len(own)), scores)
        scores[own] = -np.inf
        best.append(int(np.argmax(scores)))
    assert best == list(range(20))


def test_threads_change_no_bit_of_the_factors() -> None:
    """Two threads give the factors of one."""
    whole, spec = random_snapshot(17, 60), PopulationSpec(factors=8, iterations=4)
    one, two = (fit_factors(pairs_of(whole), 60, whole.catalogue.n_items, spec, threads=k) for k in (1, 2))
    assert one.item.tobytes() == two.item.tobytes()
