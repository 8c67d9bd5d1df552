"""Fitting the distribution around forecasts, on simulated outcomes whose law is known."""

import numpy as np
import pytest

from recsys.models.predictive import GRID, LEVELS, PROBABILITIES, Predictive
from training.predictive import _bins, fit_predictive

N = 20_000


def simulated(seed: int) -> tuple[np.ndarray, ...]:
    """Forecasts, P(alive), purchase days; outcomes: alive with that probability, gamma rates, gamma amounts."""
    draw = np.random.default_rng(seed)
    days = 1.0 + draw.poisson(2.0, N)
    alive = draw.beta(2, 1, N)
    living = 0.2 * days
    bought = draw.poisson(draw.gamma(days, living / days)) * (draw.random(N) < alive)
    paid = np.where(bought > 0, draw.gamma(np.maximum(2.0 * bought, 1e-9), 10.0), 0.0)
    orders = alive * living
    return orders, 20.0 * orders, alive, days, bought.astype(np.float64), paid


@pytest.fixture(scope="module")
def fitted() -> Predictive:
    return fit_predictive(*simulated(1))


@pytest.mark.parametrize("level", LEVELS)
def test_intervals_of_orders_leave_out_no_more_than_they_may(fitted: Predictive, level: float) -> None:
    """On other customers of the same law at most (1 - level) / 2 lie beyond each end, and half a point."""
    orders, spend, alive, days, bought, _ = simulated(2)
    counts, _ = fitted.quantiles(orders, spend, alive, days)
    place = LEVELS.index(level)
    beyond = (bought < counts[:, 2 - place]).mean(), (bought > counts[:, 4 + place]).mean()
    assert max(beyond) <= (1 - level) / 2 + 0.005


@pytest.mark.parametrize("place", range(7))
def test_quantiles_of_spend_hold(fitted: Predictive, place: int) -> None:
    """No more customers than its probability lie below a quantile and no fewer at or below it, within a point."""
    orders, spend, alive, days, _, paid = simulated(2)
    quantile = fitted.quantiles(orders, spend, alive, days)[1][:, place]
    assert (paid < quantile).mean() - 0.01 <= PROBABILITIES[place] <= (paid <= quantile).mean() + 0.01


def test_who_may_have_left_has_a_wider_interval(fitted: Predictive) -> None:
    """Of two customers with one forecast, the one with the lower P(alive) more often orders nothing."""
    same = np.array([3.0, 3.0]), np.array([60.0, 60.0])
    counts, _ = fitted.quantiles(*same, np.array([0.2, 0.95]), np.array([9.0, 3.0]), 1.0, (0.3,))
    assert counts[0, 0] < counts[1, 0]


def test_one_buyer_is_enough() -> None:
    """Thirty customers of whom one bought give finite quantiles."""
    bought = np.zeros(30)
    bought[3] = 1
    ones = np.ones(30)
    found = fit_predictive(ones / 30, ones, ones / 2, ones, bought, 30 * bought)
    assert bool(np.all(np.isfinite(found.quantiles(ones, ones, ones / 2, ones))))


def test_equal_indices_share_a_bin() -> None:
    """Rows that nothing tells apart are one bin with the quantiles of all, whatever they did."""
    draw = np.random.default_rng(5).exponential(1.0, 3_000)
    knots, tables = _bins(np.zeros(3_000), draw)
    assert knots.tolist() == [0.0]
    assert tables[0] == pytest.approx(np.quantile(draw, GRID))
