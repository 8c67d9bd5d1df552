"""Steps over many numbers at once give what plain Python gives."""

import numba
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.features.alike import _add_baskets
from recsys.features.lanes import LANES, add_pair, at_least, lowest, ones


@numba.njit
def words_of(values, least):
    """Word of `values[:LANES]`, its ones and its lowest."""
    word = at_least(values, 0, least)
    return word, ones(word), lowest(word) if word else -1


@numba.njit
def with_pair(sums, at, pairs, place, one, other):
    """`add_pair` from Python."""
    return add_pair(sums, np.uint64(at), pairs, np.uint64(place), one, other)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=LANES, max_size=LANES), st.data())
def test_a_word_says_which_numbers_reach_a_threshold(values: list[int], data: st.DataObject) -> None:
    """Bit by bit, how many they are and the first of them; numbers below zero are small."""
    least = data.draw(st.sampled_from(values) | st.integers(-(2**31), 2**31 - 1))
    reach = [value >= least for value in values]
    word = sum(1 << lane for lane in range(LANES) if reach[lane])
    expected = word, sum(reach), reach.index(True) if word else -1
    assert words_of(np.array(values, np.int32), np.int32(least)) == expected


def test_large_unsigned_numbers_are_large() -> None:
    """The highest bit of an unsigned number is no sign."""
    values = np.arange(LANES, dtype=np.uint64) << np.uint64(58)
    assert words_of(values, np.uint64(2**63))[1] == LANES // 2


@given(st.lists(st.floats(-8, 8, width=32), min_size=6, max_size=6))
def test_a_pair_is_added_number_by_number(numbers: list[float]) -> None:
    """As float32 sums one by one, and 1 is told where there was nothing."""
    one, other, a, b, c, d = (np.float32(number) for number in numbers)
    sums, pairs = np.array([[9, 9], [a, b]], np.float32), np.array([[9, 9], [9, 9], [c, d]], np.float32)
    nothing = sums[1].tobytes() == bytes(8)
    expected = np.array([[9, 9], [a + one * c, b + other * d]], np.float32)

    told = with_pair(sums, 1, pairs, 2, one, other)

    assert (sums.tobytes(), told) == (expected.tobytes(), int(nothing))


@given(st.lists(st.integers(0, 70), min_size=1, max_size=12), st.integers(0, 2**32))
def test_baskets_of_any_size_are_added_in_their_sequence(sizes: list[int], seed: int) -> None:
    """Empty ones, long ones and the last of all; sums that depend on their order."""
    draw = np.random.default_rng(seed)
    start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    items, met = draw.integers(0, 9, start[-1]).astype(np.int32), draw.permutation(len(sizes)).astype(np.int32)
    chosen = np.arange(0, len(sizes), 2, dtype=np.uint32)
    weights, sums = (
        (draw.random(len(chosen)) * 10.0 ** draw.integers(-4, 4)).astype(np.float32),
        np.zeros(9, np.float32),
    )
    expected = sums.copy()
    for weight, witness in zip(weights, met[chosen], strict=True):
        for item in items[start[witness] : start[witness + 1]]:
            expected[item] += weight

    _add_baskets(chosen, met, weights, start, items, sums)

    assert sums.tobytes() == expected.tobytes()
