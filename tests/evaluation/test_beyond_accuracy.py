"""Coverage, popular share and novelty of lists small enough to count."""

import numpy as np
import pytest

from recsys.evaluation.beyond_accuracy import COVERAGE, NOVELTY, POPULAR_SHARE, beyond_accuracy, popular_items

LISTS = np.array([[0, 1], [0, 2], [0, -1]], np.int32)
BUYERS = np.array([8, 2, 1, 4, 0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [(COVERAGE, 3 / 4), (POPULAR_SHARE, 3 / 5), (NOVELTY, (3 * 0 + 2 + 3) / 5)],
)
def test_three_lists_of_four_items(name: str, expected: float) -> None:
    """Items 0, 1 and 2 of the four that were ever bought; 0, which all eight know, thrice; 1 has 2 bits, 2 has 3."""
    assert beyond_accuracy(LISTS, BUYERS, 8)[name] == pytest.approx(expected)


def test_what_may_not_be_offered_is_not_missing() -> None:
    """Coverage is taken over the items that may be offered."""
    assert beyond_accuracy(LISTS, BUYERS, 8, np.array([1, 1, 1, 0, 1], np.bool_))[COVERAGE] == 1.0


def test_popular_is_one_item_in_a_hundred() -> None:
    """Of 300 items the three most bought; a tie goes to the smaller index."""
    buyers = np.full(300, 5)
    buyers[[7, 200]] = 9
    assert np.flatnonzero(popular_items(buyers)).tolist() == [0, 7, 200]


def test_empty_lists_say_nothing() -> None:
    """Without a single item shown the figures are undefined."""
    assert np.isnan(list(beyond_accuracy(np.full((2, 3), -1, np.int32), BUYERS, 8).values())).all()
