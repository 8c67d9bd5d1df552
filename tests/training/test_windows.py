"""Windows: nothing lies after the cut, and short histories degrade in the documented order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.clock import DAY
from recsys.errors import NotEnoughData
from recsys.testing.builders import at, snapshot
from training.windows import WindowRules, first_order, halves, plan_fit, plan_training, uniform

HORIZONS = st.integers(1, 60)


def rules(horizon: int, per_horizon: int = 2, most: int = 6) -> WindowRules:
    return WindowRules(horizon, per_horizon, most)


@given(horizon=HORIZONS, span=st.integers(3, 400), per_horizon=st.integers(1, 4))
def test_trees_never_see_a_label_of_the_newest_window(horizon: int, span: int, per_horizon: int) -> None:
    """Labels of every window of the trees end where the calibrator's begin, or earlier."""
    if span < 2 * horizon:
        return
    plan = plan_fit(0, span * DAY, rules(horizon, per_horizon))
    assert plan.shared or all(start + horizon * DAY <= plan.calibrate_at for start in plan.starts)


@given(horizon=HORIZONS, span=st.integers(3, 400))
def test_calibration_ends_at_the_cut(horizon: int, span: int) -> None:
    """The newest window is complete: its labels end exactly at the cut."""
    if span < 2 * horizon:
        return
    assert plan_fit(0, span * DAY, rules(horizon)).calibrate_at == (span - horizon) * DAY


def test_starts_of_the_three_fits_lie_on_one_grid() -> None:
    """Validation, test and final fit share their starts, so that what is known at a start is computed once."""
    plan = plan_training(0, 400 * DAY, rules(30))
    fits = (plan.validation, plan.test, plan.final)
    offsets = {(400 * DAY - start) % (15 * DAY) for fit in fits if fit for start in fit.starts}
    assert offsets == {0}


def test_validation_lies_before_test_and_test_before_the_end() -> None:
    """The window that chooses ends where the one that reports begins."""
    plan = plan_training(0, 400 * DAY, rules(30))
    assert plan.validation
    assert plan.test
    assert (plan.validation.cut, plan.test.cut) == (340 * DAY, 370 * DAY)


@pytest.mark.parametrize(
    ("span", "validation", "test", "trees"),
    [(105, True, True, True), (99, True, False, True), (50, False, False, False)],
)
def test_short_histories_lose_the_test_window_first(span: int, validation: bool, test: bool, trees: bool) -> None:
    """At 30 days: below 3.5 horizons no test window, below 2.5 no validation and no trees."""
    plan = plan_training(0, span * DAY, rules(30))
    assert (plan.validation is not None, plan.test is not None, bool(plan.final.starts)) == (validation, test, trees)


def test_a_window_short_of_two_horizons_is_shared_by_halves() -> None:
    """Where trees and calibrator can't have windows of their own they share one."""
    assert plan_fit(0, 60 * DAY, rules(30)).shared


def test_too_short_a_history_is_refused() -> None:
    """One and a half horizons are the least."""
    with pytest.raises(NotEnoughData, match="too short"):
        plan_fit(0, 44 * DAY, rules(30))


def test_first_order_is_the_oldest_of_all_customers() -> None:
    """Customers without an early order don't hide those with one."""
    history = snapshot("bob tea 2024-02-01", "ann tea 2024-01-05", "ann tea 2024-03-01").history
    assert first_order(history) == at("2024-01-05")


def test_uniform_numbers_are_uniform() -> None:
    """Kolmogorov-Smirnov distance of a million consecutive keys stays below the 99.9% bound 1.95 / √n."""
    numbers = np.sort(uniform(np.arange(1_000_000, dtype=np.uint64), seed=3))
    distance = np.abs(numbers - np.arange(1_000_000) / 1_000_000).max()
    assert distance < 1.95 / 1_000


@given(order=st.permutations(list(range(20))), seed=st.integers(0, 2**40))
def test_halves_do_not_depend_on_the_order_of_customers(order: list[int], seed: int) -> None:
    """A customer's half follows from key and seed alone."""
    keys = np.arange(100, 120, dtype=np.uint64)
    assert (halves(keys[order], seed) == halves(keys, seed)[order]).all()
