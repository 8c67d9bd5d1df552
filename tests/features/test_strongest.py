"""Slots are sorted as any sort would."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.features.state import MOST_PLACED, strongest

VALUES = st.one_of(st.sampled_from([0.0, 1e-300, 0.85, 1.0]), st.floats(0.0, 9.0), st.floats(1.0, 1.0000001))


def sorted_by_python(values: np.ndarray, items: np.ndarray) -> list[int]:
    """The definition."""
    return sorted(range(len(values)), key=lambda slot: (-values[slot], items[slot]))


@given(st.lists(VALUES, max_size=80), st.randoms())
def test_slots_fall_by_value_ties_by_item(values: list[float], draw: object) -> None:
    """Whatever the values are: far apart, crowded, equal, none at all."""
    items = np.arange(len(values), dtype=np.int64)
    draw.shuffle(items)  # type: ignore[attr-defined]
    numbers = np.array(values, np.float64)
    assert strongest(numbers, items).tolist() == sorted_by_python(numbers, items)


@pytest.mark.parametrize("n", [MOST_PLACED, MOST_PLACED + 1])
def test_many_slots_are_sorted_like_few(n: int) -> None:
    """As many as are sorted by steps, and one more."""
    draw = np.random.default_rng(5)
    values, items = draw.integers(0, 300, n) / 7.0, draw.permutation(n)
    assert strongest(values, items).tolist() == sorted_by_python(values, items)
