"""Tiles of outer products are the sums of a plain loop, bit for bit."""

import numba
import numpy as np
import pytest

from recsys.population.tiles import SIDE, add_outer, take_outer, take_rows

WIDTH = 3 * SIDE


@numba.njit
def added(a, left, left_at, right, right_at, steps):
    """`add_outer` from Python."""
    add_outer(a, left, left_at, right, right_at, steps)


@numba.njit
def taken(a, left, left_at, right, right_at, steps):
    """`take_outer` from Python."""
    take_outer(a, left, left_at, right, right_at, steps)


@numba.njit
def rows_taken(a, top, side):
    """`take_rows` from Python."""
    take_rows(a, top, side)


def test_rows_of_a_factor_are_taken_one_after_the_other() -> None:
    """Each is divided by its pivot, then taken off those below, in one tile; the others stay."""
    draw = np.random.default_rng(3)
    a = draw.normal(size=(WIDTH, WIDTH))
    expected = a.copy()
    for row in range(SIDE):
        for column in range(2 * SIDE, 3 * SIDE):
            expected[row, column] /= a[row, row]
            for below in range(row + 1, SIDE):
                expected[below, column] -= a[row, below] * expected[row, column]

    rows_taken(a, 0, 2 * SIDE)

    assert a.tobytes() == expected.tobytes()


@pytest.mark.parametrize(("kernel", "sign"), [(added, 1.0), (taken, -1.0)])
@pytest.mark.parametrize("steps", [0, 1, 7, 16])
def test_a_tile_takes_one_step_after_the_other(kernel, sign: float, steps: int) -> None:
    """Numbers of many sizes, whose sum depends on its order, in one tile; the others stay."""
    draw = np.random.default_rng(steps)
    a, left, right = (draw.normal(size=(WIDTH, WIDTH)) * 10.0 ** draw.integers(-9, 9, (WIDTH, WIDTH)) for _ in range(3))
    expected = a.copy()
    for row in range(SIDE, 2 * SIDE):
        for column in range(2 * SIDE, 3 * SIDE):
            for step in range(steps):
                expected[row, column] += sign * (left[step, row] * right[step, column])

    kernel(a, left, SIDE, right, 2 * SIDE, steps)

    assert a.tobytes() == expected.tobytes()
