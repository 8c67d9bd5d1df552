"""TIFU-KNN and UP-CF against twins that follow the papers basket by basket."""

import numpy as np
import pytest

from recsys.evaluation import offers_baselines
from recsys.evaluation.basket_baselines import _tifu_weights, baskets_of, tifu_knn, up_cf
from recsys.evaluation.offers_baselines import known_of
from recsys.testing.builders import random_snapshot, snapshot

WHOLE = random_snapshot(5, 25)
KNOWN = known_of(WHOLE)
BASKETS, owners = baskets_of(WHOLE.history, WHOLE.catalogue.product_item, WHOLE.catalogue.n_items, WHOLE.as_of)
CUSTOMERS = KNOWN.bought.shape[0]


def of_customer(customer: int) -> np.ndarray:
    return BASKETS[owners == customer].toarray()


def tifu_vector(baskets: np.ndarray, groups: int = 7) -> np.ndarray:
    """Section 3.2 of the paper: average groups of baskets with decay, then the groups with decay."""
    parts = [part for part in np.array_split(baskets, min(groups, len(baskets))) if len(part)] if len(baskets) else []
    means = [sum(0.9 ** (len(p) - 1 - i) * row for i, row in enumerate(p)) / len(p) for p in parts]
    total = sum((0.7 ** (len(means) - 1 - i) * mean for i, mean in enumerate(means)), np.zeros(BASKETS.shape[1]))
    return total / max(len(means), 1)


def test_baskets_are_orders_with_a_purchase() -> None:
    """Two lines of one item count once, a refund is no basket, customers keep their order in time."""
    whole = snapshot(
        "ann tea 2024-03-02 order=b",
        "ann bun 2024-03-01 order=a",
        "ann bun 2024-03-01 order=a",
        "ann tea 2024-03-03 -1x1.00 order=r",
        "bob bun 2024-02-01 order=c",
    )
    baskets, owner = baskets_of(whole.history, whole.catalogue.product_item, 2, whole.as_of)
    assert (baskets.toarray().tolist(), owner.tolist()) == ([[1, 0], [0, 1], [1, 0]], [0, 0, 1])


@pytest.mark.parametrize("count", [1, 3, 7, 10, 23])
def test_tifu_weights_equal_grouping_by_hand(count: int) -> None:
    """Weights of one customer's baskets equal averaging each basket's indicator through groups."""
    weights = _tifu_weights(np.zeros(count, np.int64), 0.9, 0.7, 7)
    parts = np.array_split(np.eye(count), min(7, count))
    means = [sum(0.9 ** (len(p) - 1 - i) * row for i, row in enumerate(p)) / len(p) for p in parts]
    assert weights == pytest.approx(sum(0.7 ** (len(means) - 1 - i) * m for i, m in enumerate(means)) / len(means))


def test_tifu_knn_equals_its_twin() -> None:
    """Own vector and the mean of the four nearest others, written as loops."""
    vectors = np.array([tifu_vector(of_customer(c)) for c in range(CUSTOMERS)])
    expected = []
    for customer, own in enumerate(vectors):
        others = sorted(set(range(CUSTOMERS)) - {customer}, key=lambda c: ((vectors[c] - own) ** 2).sum())[:4]
        expected.append(0.7 * own + 0.3 * vectors[others].mean(axis=0))
    found = tifu_knn(KNOWN, BASKETS, owners, neighbours=4)(slice(0, CUSTOMERS))
    assert found == pytest.approx(np.array(expected), abs=1e-5)


def test_up_cf_equals_its_twin() -> None:
    """Similarity-weighted shares of the last two baskets over the five most similar, written as loops."""
    counts = KNOWN.bought.toarray().astype(float)
    shares = np.array(
        [of_customer(c)[-2:].mean(axis=0) if (owners == c).any() else counts[c] * 0 for c in range(CUSTOMERS)]
    )
    squares = np.maximum((counts**2).sum(axis=1), 1e-9)
    expected = []
    for u in range(CUSTOMERS):
        similarity = counts @ counts[u] / (squares[u] ** 0.75 * squares**0.25)
        nearest = np.argsort(-similarity)[:5]
        expected.append(similarity[nearest] @ shares[nearest])
    found = up_cf(KNOWN, BASKETS, owners, neighbours=5, recency=2)(slice(0, CUSTOMERS))
    assert found == pytest.approx(np.array(expected), abs=1e-5)


@pytest.mark.parametrize("make", [tifu_knn, up_cf])
def test_parts_change_nothing(make) -> None:
    """Customers scored in parts get the same scores as all at once."""
    score = make(KNOWN, BASKETS, owners)
    parts = np.concatenate([score(slice(0, 9)), score(slice(9, CUSTOMERS))])
    assert parts == pytest.approx(score(slice(0, CUSTOMERS)), abs=1e-6)


@pytest.mark.parametrize("make", [tifu_knn, up_cf])
def test_one_customer_is_enough(make) -> None:
    """A base of one customer is recommended from that one."""
    whole = snapshot("ann tea 2024-03-02 order=b", "ann bun 2024-03-01 order=a", "ann tea 2024-03-05 order=c")
    known = known_of(whole)
    baskets, owner = baskets_of(whole.history, whole.catalogue.product_item, 2, whole.as_of)
    best = offers_baselines.recommend_by(known, make(known, baskets, owner), 1, "repeat")[0, 0]
    assert whole.catalogue.items[best] == "tea"
