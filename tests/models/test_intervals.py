"""Intervals cover what they promise."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recsys.errors import BundleError, NotEnoughData
from recsys.models.intervals import IntervalBins, central_quantiles


def outcomes(seed, n, shape=2.0, active=1.0):
    """Expected spend (n,) and a gamma draw around it; inactive customers spend nothing."""
    random = np.random.default_rng(seed)
    expected = random.gamma(0.7, 2000, n)
    active = np.full(n, active) if np.isscalar(active) else active(expected)
    return expected, np.where(random.random(n) < active, random.gamma(shape, expected / shape), 0.0)


def coverage(bins, predicted, actual):
    """Which rows lie inside."""
    low, high = bins.apply(predicted)
    return (low <= actual) & (actual <= high)


@pytest.mark.parametrize(
    ("shape", "active"), [(2.0, 1.0), (0.5, 1.0), (2.0, 0.85), (2.0, lambda x: np.clip(x / 1500, 0.2, 1))]
)
@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_coverage_is_the_level(shape, active, level):
    """On fresh gamma outcomes, with and without customers who buy nothing, the level holds within 0.03.

    Where more than the rest buys nothing the interval is 0 to 0 and may cover more.
    """
    bins = IntervalBins.fit(*outcomes(0, 20_000, shape, active), level)

    found = coverage(bins, *outcomes(1, 20_000, shape, active)).mean()

    assert level - 0.03 <= found <= (level + 0.03 if np.isscalar(active) else 1)


def test_coverage_holds_for_small_and_large_predictions():
    """In each of eight equal parts of the prediction the 80% interval covers 74% to 86%."""
    bins = IntervalBins.fit(*outcomes(2, 20_000))
    predicted, actual = outcomes(3, 40_000)
    parts = np.array_split(np.argsort(predicted), 8)

    found = [coverage(bins, predicted[part], actual[part]).mean() for part in parts]

    np.testing.assert_allclose(found, 0.8, atol=0.06)


def test_a_small_sample_keeps_the_level_on_average():
    """Fitted on 200 rows, 200 times over, the mean coverage is within 0.03 of the level."""
    found = [coverage(IntervalBins.fit(*outcomes(s, 200)), *outcomes(10_000 + s, 500)).mean() for s in range(200)]

    assert abs(np.mean(found) - 0.8) < 0.03


def test_the_quantiles_are_those_of_conformal_prediction():
    """Of 100 values 1..100 the 10th and 91st: a further draw lies between them with probability 81/101, not less."""
    assert central_quantiles(np.arange(1.0, 101.0), 0.8) == (10.0, 91.0)


def test_zeros_at_the_low_end_lower_the_high_end():
    """With 20 zeros among 99 nothing lies below the interval, so it ends at the 80th value."""
    ordered = np.concatenate([np.zeros(20), np.arange(21.0, 100.0)])

    assert central_quantiles(ordered, 0.8) == (0.0, 80.0)


def test_the_interval_of_a_known_law_is_its_quantiles():
    """For exponential outcomes of mean m the ends are near −m·ln 0.9 and −m·ln 0.1."""
    bins = IntervalBins.fit(*outcomes(4, 200_000, shape=1.0))

    low, high = bins.apply([1000.0])

    np.testing.assert_allclose([low[0], high[0]], [-1000 * np.log(0.9), -1000 * np.log(0.1)], rtol=0.06)


amounts = st.floats(0, 1e6)


@given(
    data=st.integers(100, 400).flatmap(
        lambda n: st.tuples(hnp.arrays(np.float64, n, elements=amounts), hnp.arrays(np.float64, n, elements=amounts))
    ),
    asked=hnp.arrays(np.float64, 30, elements=st.floats(0, 1e7)),
)
def test_intervals_are_ordered_rising_and_never_negative(data, asked):
    """For any amounts ≥ 0: 0 ≤ low ≤ high, and both rise with the prediction."""
    low, high = IntervalBins.fit(*data).apply(np.sort(asked))

    assert all(np.all(step >= 0) for step in (low, high - low, np.diff(low), np.diff(high)))


def test_too_few_rows_are_refused():
    """99 rows carry no interval."""
    with pytest.raises(NotEnoughData, match="99"):
        IntervalBins.fit(np.ones(99), np.ones(99))


def test_json_keeps_every_bit():
    """Stored and read back, the intervals are the same bits."""
    bins = IntervalBins.fit(*outcomes(5, 5000))

    read = IntervalBins.from_json(json.loads(json.dumps(bins.to_json())))

    np.testing.assert_array_equal(read.apply(np.linspace(0, 9e4, 99)), bins.apply(np.linspace(0, 9e4, 99)))


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"level": 0.8, "x": [1, 2], "low": [0, 1], "high": [2]},
        {"level": 0.8, "x": [1, 2], "low": [3, 4], "high": [1, 5]},
        {"level": 0.8, "x": [2, 1], "low": [0, 1], "high": [2, 3]},
        {"level": 8, "x": [1], "low": [0], "high": [2]},
    ],
)
def test_damaged_intervals_are_refused(stored):
    """A table that is no rising pair of curves never answers."""
    with pytest.raises(BundleError):
        IntervalBins.from_json(stored)
