"""Intervals: coverage by simulation, pairing, DeLong against resampling, large bases against the full bootstrap."""

import math

import numpy as np
import pytest

from recsys.evaluation.bootstrap import (
    auc_difference,
    auc_interval,
    mean_interval,
    paired_interval,
    statistic_difference,
    statistic_interval,
)
from recsys.evaluation.probability import auc


def scored(n: int, seed: int = 3):
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.3
    return y.astype(float), rng.normal(y, 1.0), rng.normal(0.5 * y, 1.0)


def test_intervals_cover() -> None:
    """Of 300 samples of 60 exponential values about 95% of the intervals contain the true mean."""
    rng = np.random.default_rng(5)
    found = [mean_interval(rng.exponential(1.0, 60), draws=400, seed=i) for i in range(300)]
    assert np.mean([each.low <= 1.0 <= each.high for each in found]) == pytest.approx(0.93, abs=0.04)


def test_left_out_customers_do_not_count() -> None:
    """NaN figures change nothing."""
    values = np.arange(50.0)
    assert mean_interval(np.append(values, [math.nan] * 9)) == mean_interval(values)


def test_pairing_removes_what_contenders_share() -> None:
    """Two contenders that differ by 1 for every customer differ by exactly 1, however the customers scatter."""
    values = np.random.default_rng(0).normal(0, 100, 200)
    assert paired_interval(values + 1, values) == pytest.approx((1.0, 1.0, 1.0))


def test_large_bases_agree_with_small_ones() -> None:
    """The normal interval of 10,000 customers has the width of the bootstrap of 9,999."""
    values = np.random.default_rng(0).exponential(1.0, 10_000)
    large, small = mean_interval(values), mean_interval(values[:-1])
    assert large.high - large.low == pytest.approx(small.high - small.low, rel=0.08)


def test_seeds_repeat() -> None:
    """The same seed gives the same interval, another seed another."""
    values = np.random.default_rng(0).normal(size=40)
    again, other = mean_interval(values, seed=1), mean_interval(values, seed=2)
    assert (mean_interval(values, seed=1) == again, again == other) == (True, False)


def test_delong_agrees_with_resampling() -> None:
    """DeLong's interval of an AUC is that of 1,000 resamples."""
    y, s, _ = scored(600)
    resampled = statistic_interval(auc, (y, s), 1_000)
    assert auc_interval(y, s) == pytest.approx(resampled, abs=0.008)


def test_delong_difference_agrees_with_resampling() -> None:
    """DeLong's interval of a paired AUC difference is that of 1,000 paired resamples."""
    y, first, second = scored(600)
    assert auc_difference(y, first, second) == pytest.approx(
        statistic_difference(auc, (y, first), (y, second), 1_000), abs=0.01
    )


def test_few_of_many_rows_scale_to_all() -> None:
    """Resampling 50,000 of 120,000 customers gives the width of the mean's normal interval."""
    values = np.random.default_rng(0).normal(size=120_000)
    part, whole = statistic_interval(np.mean, (values,), 200), mean_interval(values)
    assert part.high - part.low == pytest.approx(whole.high - whole.low, rel=0.2)


@pytest.mark.parametrize("values", [[], [math.nan]])
def test_nobody_is_undefined(values) -> None:
    """Without a customer the interval is NaN."""
    assert math.isnan(mean_interval(values).mean)


def test_one_class_is_undefined() -> None:
    """Without a negative there is no AUC."""
    assert math.isnan(auc_interval([1, 1], [0.1, 0.2]).mean)
