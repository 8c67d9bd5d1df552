"""A next-basket problem told as purchases in time."""

import numpy as np

from recsys.data.clock import DAY
from recsys.evaluation.baskets_data import Baskets
from recsys.evaluation.next_basket import problem_of
from tests.benchmarks.bench_offers_ranker import without
from tests.benchmarks.bench_offers_snapshot import AS_OF, snapshot_of

BASE = Baskets.of({"ann": [[0, 1], [2], [3]], "bob": [[1], [2, 0]]})
PROBLEM = problem_of(BASE, np.array([1]), np.array([0]))[0]
"""Ann is asked, bob's target {0, 2} has arrived."""


def days(customer: int) -> list[float]:
    history = snapshot_of(PROBLEM).history
    low, high = history.span(customer)
    return ((AS_OF - history.order_time[low:high]) / DAY).tolist()


def test_asked_users_last_basket_has_not_arrived() -> None:
    """Ann's two known baskets lie one and two days before the day of the targets."""
    assert days(0) == [2.0, 1.0]


def test_targets_that_arrived_lie_on_one_day() -> None:
    """Bob's target is bought on the day itself."""
    assert days(1) == [1.0, 0.0]


def test_lines_hold_the_items_of_their_baskets() -> None:
    """Items ascend within an order, orders follow user and time; ann's 3 is nowhere."""
    assert snapshot_of(PROBLEM).history.line_product.tolist() == [0, 1, 2, 1, 0, 2]


def test_out_of_fold_takes_the_target_away() -> None:
    """Asked out of fold, bob has no target either, and nothing is left to learn from."""
    held = without(PROBLEM, np.array([1]))
    assert (held.asked.tolist(), held.learn.tolist(), len(held.targets.item)) == ([1], [], 0)
