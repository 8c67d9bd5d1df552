"""TIFU-KNN and UP-CF on a snapshot against twins that follow the authors basket by basket."""

import numpy as np
import pytest

from recsys.evaluation import offers_baselines
from recsys.evaluation.basket_baselines import tifu_knn, up_cf
from recsys.evaluation.offers_baselines import baskets_of, known_of
from recsys.population.items import bought_matrix
from recsys.testing.builders import random_snapshot, snapshot

WHOLE = random_snapshot(5, 25)
KNOWN = known_of(WHOLE)
BASKETS = KNOWN.baskets
CUSTOMERS = BASKETS.n_users
EVERYONE = np.arange(CUSTOMERS)


def of_customer(customer: int) -> np.ndarray:
    low, high = BASKETS.basket_start[customer : customer + 2]
    return BASKETS.matrix()[low:high].toarray()


def tifu_vector(baskets: np.ndarray, groups: int = 7) -> np.ndarray:
    """The authors' program: fade over the whole history, average equal groups, a group's age counts from seven."""
    faded = [0.9 ** (len(baskets) - 1 - age) * row for age, row in enumerate(baskets)]
    parts = np.array_split(np.array(faded)[::-1], min(groups, len(baskets)))[::-1] if len(baskets) else []
    ages = range(groups - 1, groups - 1 - len(parts), -1)
    total = sum(
        (0.7**age * part.mean(axis=0) for age, part in zip(ages, parts, strict=True)), np.zeros(BASKETS.n_items)
    )
    return total / max(len(parts), 1)


def test_baskets_are_orders_with_a_purchase() -> None:
    """Two lines of one item count once, a refund is no basket, customers keep their order in time."""
    whole = snapshot(
        "ann tea 2024-03-02 order=b",
        "ann bun 2024-03-01 order=a",
        "ann bun 2024-03-01 order=a",
        "ann tea 2024-03-03 -1x1.00 order=r",
        "bob bun 2024-02-01 order=c",
    )
    baskets = baskets_of(whole, whole.as_of)
    assert (baskets.matrix().toarray().tolist(), baskets.owner.tolist()) == ([[1, 0], [0, 1], [1, 0]], [0, 0, 1])


def test_counts_are_what_the_population_counts() -> None:
    """Orders of each customer with each item, counted here as baskets and there as lines."""
    pairs = bought_matrix(WHOLE.history, WHOLE.catalogue, WHOLE.as_of)
    found = KNOWN.bought.tocoo()
    assert sorted(zip(found.row, found.col, found.data, strict=True)) == [tuple(pair) for pair in pairs.tolist()]


def test_tifu_knn_equals_its_twin() -> None:
    """Own vector and the mean of the four nearest others, written as loops."""
    vectors = np.array([tifu_vector(of_customer(c)) for c in range(CUSTOMERS)])
    expected = []
    for customer, own in enumerate(vectors):
        others = sorted(set(range(CUSTOMERS)) - {customer}, key=lambda c: ((vectors[c] - own) ** 2).sum())[:4]
        expected.append(0.7 * own + 0.3 * vectors[others].mean(axis=0))
    found = tifu_knn(BASKETS, neighbours=4)(EVERYONE)
    assert found == pytest.approx(np.array(expected), abs=1e-5)


def test_up_cf_equals_its_twin() -> None:
    """Similarity-weighted shares of the last two baskets over the five most similar, written as loops."""
    counts = KNOWN.bought.toarray().astype(float)
    shares = np.array(
        [of_customer(c)[-2:].mean(axis=0) if len(of_customer(c)) else counts[c] * 0 for c in range(CUSTOMERS)]
    )
    squares = np.maximum((counts**2).sum(axis=1), 1.0)
    expected = []
    for u in range(CUSTOMERS):
        similarity = counts @ counts[u] / (squares[u] ** 0.75 * squares**0.25)
        nearest = np.argsort(-similarity)[:5]
        expected.append(similarity[nearest] @ shares[nearest])
    found = up_cf(BASKETS, neighbours=5, recency=2)(EVERYONE)
    assert found == pytest.approx(np.array(expected), abs=1e-5)


@pytest.mark.parametrize("make", [tifu_knn, up_cf])
def test_parts_change_nothing(make) -> None:
    """Customers scored in parts get the same scores as all at once."""
    score = make(BASKETS)
    parts = np.concatenate([score(EVERYONE[:9]), score(EVERYONE[9:])])
    assert parts == pytest.approx(score(EVERYONE), abs=1e-6)


def test_a_pool_bounds_who_may_be_a_neighbour() -> None:
    """With the first six as neighbours a later customer is scored as if only they and she were the base."""
    pool, asked = np.arange(6), 20
    few = np.isin(BASKETS.owner, [*pool, asked])
    alone = tifu_knn(BASKETS.keep(few), np.array([*pool]), neighbours=4)(np.array([asked]))
    assert tifu_knn(BASKETS, pool, neighbours=4)(np.array([asked])) == pytest.approx(alone)


@pytest.mark.parametrize("make", [tifu_knn, up_cf])
def test_one_customer_is_enough(make) -> None:
    """A base of one customer is recommended from that one."""
    whole = snapshot("ann tea 2024-03-02 order=b", "ann bun 2024-03-01 order=a", "ann tea 2024-03-05 order=c")
    known = known_of(whole)
    best = offers_baselines.recommend_by(known, make(known.baskets), 1, "repeat")[0, 0]
    assert whole.catalogue.items[best] == "tea"
