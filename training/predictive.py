"""Fits `Predictive`: how orders and spend of the newest window fell around their forecasts."""

import math

import numba
import numpy as np
import numpy.typing as npt

from recsys.models.predictive import GRID, SMALLEST, Predictive, count_shape, none_at_all, spread_index

Floats = npt.NDArray[np.float64]

START = np.array([2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
"""Where the search begins and what a weak prior pulls to: nearly all alive, one shape for all."""

MOST_ROWS = 50_000
"""Rows the likelihood takes at most, evenly spaced ones."""

BIN, MOST_BINS = 250, 10
"""Buyers of a bin of ratios at least, and bins at most: the ends of a 95% interval rest on six buyers each."""

FARTHEST = 25.0
"""Squared deviations of a ratio from 1 count as this at most: one extreme basket must not bend the spread."""


def fit_predictive(
    orders: Floats, spend: Floats, alive: Floats, days: Floats, bought: Floats, paid: Floats
) -> Predictive:
    """Distribution of orders `bought` and spend `paid` around the forecasts `orders` and `spend`, all (n,).

    alive, days: features `pareto_alive` and `purchase_days`. Forecasts should have the totals of the outcomes. Counts
    by maximum likelihood with a prior worth one row; at least one row must have bought.
    """
    days = np.nan_to_num(days)
    theta = _counts(orders, alive, days, bought)
    living, shape = theta[:4], theta[4:]
    active, per_buyer = _active(orders, alive, days, living, shape)
    buyers = bought > 0
    usual = np.maximum(spend, 0.0)[buyers] / active[buyers]
    floor = 1e-3 * max(float(usual.mean()), 1e-9)
    ratio = np.maximum(paid[buyers], 0.0) / np.maximum(usual, floor)
    spread = _spread(ratio, per_buyer[buyers], days[buyers])
    index = _indices(per_buyer[buyers], days[buyers], spread)
    knots, tables = _bins(index, ratio)
    return Predictive(living, shape, spread, knots, tables)


def _bins(index: Floats, ratio: Floats) -> tuple[Floats, Floats]:
    """Quantiles of the ratio in bins of the index: knots (bins,) and quantiles (bins, len(GRID)).

    Equal indices share a bin; rows are never told apart by what they did, which would sort the outcomes.
    """
    parts = min(max(len(index) // BIN, 1), MOST_BINS)
    edges = np.unique(np.quantile(index, np.arange(1, parts) / parts))
    groups, member = np.unique(np.searchsorted(edges, index, side="left"), return_inverse=True)
    rows = [member == place for place in range(len(groups))]
    knots = np.array([float(np.median(index[each])) for each in rows])
    return knots, np.array([np.quantile(ratio[each], GRID) for each in rows])


def _counts(orders: Floats, alive: Floats, days: Floats, bought: Floats) -> Floats:
    from scipy.optimize import minimize

    step = max(1, -(-len(orders) // MOST_ROWS))
    rows = tuple(np.ascontiguousarray(each[::step], np.float64) for each in (orders, alive, days, bought))
    found = minimize(_loss, START, rows, method="L-BFGS-B", bounds=[(-8.0, 8.0)] * len(START))
    return np.asarray(found.x, np.float64)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _loss(theta: Floats, orders: Floats, alive: Floats, days: Floats, bought: Floats) -> float:
    """Negative mean log-likelihood of the counts, with the prior's share."""
    total = 0.0
    for i in range(len(orders)):
        pi, k = count_shape(orders[i], alive[i], days[i], theta[:4], theta[4:])
        mu, y = max(orders[i], SMALLEST) / pi, bought[i]
        if y <= 0.0:
            total += np.log(none_at_all(pi, k, mu))
        else:
            total += np.log(pi) + _log_choose(k, y) - k * np.log1p(mu / k) + y * np.log(mu / (k + mu))
    return float((-total + np.sum((theta - START) ** 2)) / len(orders))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _log_choose(k: float, y: float) -> float:
    """Logarithm of Γ(k + y) / (Γ(k) y!)."""
    return math.lgamma(k + y) - math.lgamma(k) - math.lgamma(y + 1.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _active(orders: Floats, alive: Floats, days: Floats, living: Floats, shape: Floats) -> tuple[Floats, Floats]:
    """P(N > 0) and E[N | N > 0] of each, (n,)."""
    active, expected = np.empty(len(orders)), np.empty(len(orders))
    for i in range(len(orders)):
        pi, k = count_shape(orders[i], alive[i], days[i], living, shape)
        mean = max(orders[i], SMALLEST)
        active[i] = max(1.0 - none_at_all(pi, k, mean / pi), 1e-12)
        expected[i] = mean / active[i]
    return active, expected


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _indices(expected: Floats, days: Floats, spread: Floats) -> Floats:
    out = np.empty(len(expected))
    for i in range(len(expected)):
        out[i] = spread_index(expected[i], days[i], spread)
    return out


def _spread(ratio: Floats, expected: Floats, days: Floats) -> Floats:
    """Coefficients of ln v, v the mean of (ratio - 1)²: a gamma regression, slopes in [-1, 0].

    More orders and a longer history can only make a sum of amounts surer; v cannot fall faster than 1 / orders. Without
    the bounds a window in which nearly all order once gave a slope of 2, and a longer horizon's intervals ran away.
    """
    from scipy.optimize import minimize

    squares = np.minimum((ratio - 1.0) ** 2, FARTHEST)

    def loss(c: Floats) -> float:
        """Gamma log-likelihood of the squares, negative, with a ridge on the slopes of `c`, (3,)."""
        index = np.clip(_indices(expected, days, c), -6.0, 4.0)
        return float((squares / np.exp(index) + index).mean() + 0.5 / len(ratio) * (c[1:] ** 2).sum())

    found = minimize(
        loss, np.array([0.0, -0.1, -0.1]), method="L-BFGS-B", bounds=[(-6.0, 4.0), (-1.0, 0.0), (-1.0, 0.0)]
    )
    return np.asarray(found.x, np.float64)
