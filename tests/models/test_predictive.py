"""The distribution around a forecast: its quantiles are those of the law it names, alone and in a batch."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from recsys.errors import BundleError
from recsys.models.predictive import GRID, PROBABILITIES, Predictive

EXPONENTIAL = stats.expon().ppf(GRID)
"""Quantiles of an exponential ratio: beyond the mass at zero, spend is exponential."""


def predictive(living: float = 2.0, shape: float = 0.5) -> Predictive:
    """The same P(living) and shape for everyone, an exponential ratio."""
    coefficients = np.array([living, 0.0, 0.0, 0.0]), np.array([shape, 0.0, 0.0])
    return Predictive(*coefficients, np.array([0.0, -0.5, 0.0]), np.array([-1.0, 0.0]), np.array([EXPONENTIAL] * 2))


def law(mean: float, living: float, shape: float) -> Callable[[float], float]:
    """P(N <= n) of the zero-inflated negative binomial by scipy."""
    pi, k = 1 / (1 + np.exp(-living)), np.exp(shape)
    return lambda n: 1 - pi + pi * stats.nbinom(k, k / (k + mean / pi)).cdf(n) if n >= 0 else 0.0


@pytest.mark.parametrize("mean", [0.01, 0.4, 3.0, 60.0])
def test_quantiles_of_orders_are_those_of_the_law(mean: float) -> None:
    """scipy's distribution reaches each probability at the count told and not one below it."""
    found = predictive().quantiles(np.array([mean]), np.array([5.0]), np.array([0.5]), np.array([3.0]))[0][0]
    reached = law(mean, 2.0, 0.5)
    assert all(reached(n) >= p - 1e-12 and reached(n - 1) < p for n, p in zip(found, PROBABILITIES, strict=True))


def test_the_mean_stays_the_forecast() -> None:
    """A mean over the quantiles of 20,000 even probabilities is the forecast, carried on to three horizons."""
    even = (np.arange(20_000) + 0.5) / 20_000
    counts, _ = predictive().quantiles(np.array([1.5]), np.array([5.0]), np.array([0.5]), np.array([3.0]), 3.0, even)
    assert counts.mean() == pytest.approx(4.5, rel=0.01)


def test_spend_is_zero_below_the_mass_at_zero_and_exponential_above() -> None:
    """The quantile of spend is E[spend | an order] times that of an exponential at (p - P0) / (1 - P0)."""
    _, spend = predictive().quantiles(np.array([0.4]), np.array([5.0]), np.array([0.5]), np.array([3.0]))
    none = law(0.4, 2.0, 0.5)(0)
    inner = np.clip((np.array(PROBABILITIES) - none) / (1 - none), 0, None)
    knots = np.interp(inner, np.concatenate([[0], GRID]), np.concatenate([[0], EXPONENTIAL]))
    assert spend[0] == pytest.approx(5.0 / (1 - none) * knots)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 40))
def test_alone_as_in_a_batch_and_rising(seed: int, n: int) -> None:
    """A customer's quantiles have the same bits alone, and never fall with the probability."""
    draw = np.random.default_rng(seed)
    columns = (draw.lognormal(0, 3, n), draw.lognormal(5, 3, n), draw.random(n), np.floor(draw.lognormal(1, 1, n)))
    counts, spend = predictive().quantiles(*columns)
    alone = predictive().quantiles(*(each[1:2] for each in columns))
    assert alone[0].tobytes() == counts[1:2].tobytes()
    assert alone[1].tobytes() == spend[1:2].tobytes()
    assert bool(np.all(np.diff(counts, axis=1) >= 0) and np.all(np.diff(spend, axis=1) >= 0))


def test_nobody_knows_a_newcomer() -> None:
    """Missing features count as no purchase: finite quantiles all the same."""
    found = predictive().quantiles(np.array([0.0]), np.array([0.0]), np.array([np.nan]), np.array([np.nan]))
    assert bool(np.all(np.isfinite(found)))


def test_json_keeps_every_bit() -> None:
    """Written and read back, the quantiles are equal to the last bit."""
    read = Predictive.from_json(json.loads(json.dumps(predictive().to_json())))
    row = np.array([0.7]), np.array([9.0]), np.array([0.4]), np.array([2.0])
    assert [each.tobytes() for each in read.quantiles(*row)] == [
        each.tobytes() for each in predictive().quantiles(*row)
    ]


@pytest.mark.parametrize("damage", [{"knots": []}, {"living": [1.0]}, {"ratios": [[2.0, 1.0]]}, {"knots": "x"}])
def test_damage_is_refused(damage: dict) -> None:
    """Missing, misshaped or falling numbers are named as damage."""
    with pytest.raises(BundleError, match="predictive distribution is damaged"):
        Predictive.from_json({**predictive().to_json(), **damage})
