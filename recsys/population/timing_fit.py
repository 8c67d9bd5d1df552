"""Fits what the base says about the time between purchases: priors of the own rhythm, and curves of what is left."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.catalogue import categories_of
from recsys.data.clock import DAY, ZoneTable
from recsys.data.history import HistoryArrays
from recsys.data.snapshot import Snapshot
from recsys.population.facts import Timing
from recsys.population.timing import LEVELS, NODES, STRATA, Pace, own_rhythm, quicker, waited
from recsys.population.visits import category_visits, visits

Floats = npt.NDArray[np.float64]

BUDGET = 20_000_000
"""Lines the curves are fitted on at most: of larger bases every k-th customer."""

LEAST_AT_RISK = 10
"""Beyond the wait that fewer gaps than this have reached, a curve goes on as an exponential in own units."""

LEAST_GAPS = 30
"""Completed gaps a stratum needs for a curve of its own; with fewer it takes that of the stratum before, or of all."""

SHRUNK_BY = 10.0
"""Customers of a category that weigh as much as all categories together."""

KAPPA_RANGE = (0.2, 50.0)
"""The base's mean counts for at least and at most so many gaps of one's own."""


class Waits(NamedTuple):
    """One row a visit: what was known then, and how long it took to the next. Shapes (n_visits,).

    who       int64    customer, or customer × category
    category  int64    0 where all purchases count
    gaps, weight, total, squares  `Pace` before the gap
    days      float64  to the next visit, or to as_of where none has come yet [days]
    open      bool     none has come yet
    """

    who: npt.NDArray[np.int64]
    category: npt.NDArray[np.int64]
    gaps: npt.NDArray[np.int64]
    weight: Floats
    total: Floats
    squares: Floats
    days: Floats
    open: npt.NDArray[np.bool_]


def fit_timing(snapshot: Snapshot) -> Timing:
    """Facts of the base at its `as_of`, for all purchases and by category."""
    history = snapshot.history
    product_category = categories_of(snapshot.catalogue)
    step = max(1, -(-history.n_lines // BUDGET))
    customers = np.arange(0, history.n_customers, step)
    span = (history.arrays(), history.order_start, customers, snapshot.as_of, snapshot.zone())
    whole = _waits(_visits(*span), snapshot.as_of)
    by_category = _waits(_category_visits(*span, product_category), snapshot.as_of)
    n_categories = int(product_category.max(initial=-1)) + 1
    prior = _prior(whole, 1)
    priors = _prior(by_category, n_categories)
    return Timing(
        prior=prior[0],
        table=_tables(whole, prior),
        category_prior=priors,
        category_table=_tables(by_category, priors),
        product_category=product_category,
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _visits(h: HistoryArrays, order_start: Any, customers: Any, as_of: int, zone: ZoneTable) -> Any:
    """(customer, 0, instant) of all visits, by customer and time."""
    bound: Any = 0
    for customer in customers:
        bound += order_start[customer + 1] - order_start[customer]
    who, times = np.empty(bound, np.int64), np.empty(bound, np.int64)
    n = 0
    for customer in customers:
        found = visits(h, order_start[customer], order_start[customer + 1], as_of, zone)
        who[n : n + len(found)] = customer
        times[n : n + len(found)] = found
        n += len(found)
    return who[:n], np.zeros(n, np.int64), times[:n]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _category_visits(
    h: HistoryArrays, order_start: Any, customers: Any, as_of: int, zone: ZoneTable, product_category: Any
) -> Any:
    """(customer × category, category, instant) of all visits, by customer, category and time."""
    bound: Any = 0
    for customer in customers:
        low, high = order_start[customer], order_start[customer + 1]
        bound += np.int64(h.line_start[high]) - np.int64(h.line_start[low])
    who, category, times = np.empty(bound, np.int64), np.empty(bound, np.int64), np.empty(bound, np.int64)
    n, pair = 0, -1
    for customer in customers:
        low, high = order_start[customer], order_start[customer + 1]
        of, at = category_visits(h, low, high, as_of, zone, product_category)
        for k in range(len(of)):
            pair += 1 if k == 0 or of[k] != of[k - 1] else 0
            who[n], category[n], times[n] = pair, of[k], at[k]
            n += 1
    return who[:n], category[:n], times[:n]


def _waits(found: tuple[Any, Any, Any], as_of: int) -> Waits:
    who, category, times = found
    return Waits(who, category, *_paces(who, times, as_of))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _paces(who: Any, times: Any, as_of: int) -> Any:
    n = len(who)
    gaps, days, still = np.empty(n, np.int64), np.empty(n, np.float64), np.empty(n, np.bool_)
    weight, total, squares = np.empty(n, np.float64), np.empty(n, np.float64), np.empty(n, np.float64)
    pace = Pace(0, 0.0, 0.0, 0.0)
    for k in range(n):
        if k == 0 or who[k] != who[k - 1]:
            pace = Pace(0, 0.0, 0.0, 0.0)
        gaps[k], weight[k], total[k], squares[k] = pace.gaps, pace.weight, pace.total, pace.squares
        still[k] = k + 1 == n or who[k + 1] != who[k]
        days[k] = ((as_of if still[k] else times[k + 1]) - times[k]) / DAY
        if not still[k]:
            pace = quicker(pace, days[k])
    return gaps, weight, total, squares, days, still


def _prior(waits: Waits, n_categories: int) -> Floats:
    """Mean of log gaps of a category, variance within customers, and the weight kappa of the mean, (n_categories, 3).

    Kappa is the variance within customers over that between their means (Bühlmann & Straub 1970).
    """
    closed = ~waits.open
    if not closed.any():
        silence = float(np.log(np.maximum(waits.days, 1.0)).mean()) if len(waits.days) else 0.0
        return np.tile(np.array([silence, 1.0, 1.0]), (n_categories, 1))
    logs = np.log(np.maximum(waits.days[closed], 0.25))
    _, first, row, count = np.unique(waits.who[closed], return_index=True, return_inverse=True, return_counts=True)
    means = np.bincount(row, logs) / count
    category = waits.category[closed][first]
    freedom = len(logs) - len(means)
    within = float(((logs - means[row]) ** 2).sum()) / freedom if freedom > 0 else 1.0
    within = max(within, 0.01)
    everyone = float(means.mean())
    customers = np.bincount(category, minlength=n_categories)
    centre = (np.bincount(category, means, n_categories) + SHRUNK_BY * everyone) / (customers + SHRUNK_BY)
    between = max(float(((means - centre[category]) ** 2).mean()) - within * float((1.0 / count).mean()), 1e-3)
    kappa = min(max(within / between, KAPPA_RANGE[0]), KAPPA_RANGE[1])
    if n_categories == 1:
        centre = np.array([everyone])
    return np.column_stack([centre, np.full(n_categories, within), np.full(n_categories, kappa)])


def _tables(waits: Waits, priors: Floats) -> Floats:
    """The curves of all strata, (n_strata, n_nodes, 1 + n_levels)."""
    tables = np.empty((len(STRATA), len(NODES), 1 + len(LEVELS)))
    z = _own_units(waits, priors)
    stratum = np.searchsorted(STRATA, waits.gaps, side="right") - 1
    latest = _table(z, ~waits.open, _fair(waits.who, np.ones(len(z), np.bool_)))
    for k in range(len(STRATA)):
        mine = stratum == k
        if (mine & ~waits.open).sum() >= LEAST_GAPS:
            latest = _table(z[mine], ~waits.open[mine], _fair(waits.who, mine))
        tables[k] = latest
    return tables


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _own_units(waits: Waits, priors: Any) -> Any:
    z = np.empty(len(waits.who), np.float64)
    for k in range(len(z)):
        pace = Pace(waits.gaps[k], waits.weight[k], waits.total[k], waits.squares[k])
        prior = priors[waits.category[k]]
        centre, spread = own_rhythm(pace, prior[0], prior[1], prior[2])
        z[k] = waited(waits.days[k], centre, spread)
    return z


def _fair(who: npt.NDArray[np.int64], rows: npt.NDArray[np.bool_]) -> Floats:
    """Weights of the chosen rows that sum to one for each customer, so that frequent buyers don't drown the rest."""
    _, row, count = np.unique(who[rows], return_inverse=True, return_counts=True)
    weights: Floats = 1.0 / count[row]
    return weights


def _table(z: Floats, event: npt.NDArray[np.bool_], weight: Floats) -> Floats:
    """NODES, and the quantiles LEVELS of Z given Z ≥ node, (n_nodes, 1 + n_levels)."""
    if not event.any():
        z, event, weight = _bell()
    times, survival, hazard = _kaplan_meier(z, event, weight)
    place = np.searchsorted(times, NODES, side="left")
    now = np.where(place > 0, survival[np.maximum(place - 1, 0)], 1.0)
    wanted = now[:, None] * (1.0 - LEVELS)
    later = np.searchsorted(-survival, -wanted - 1e-12, side="left")
    end = np.maximum(times[-1], NODES)[:, None]
    # A curve that has died out at its end goes on from the survival before its last step.
    at_end = np.where(times[-1] < NODES, now, survival[-1])[:, None]
    tail = end + np.log(np.maximum(at_end, 1e-12) / np.maximum(wanted, 1e-12)) / hazard
    quantiles = np.where(later < len(times), times[np.minimum(later, len(times) - 1)], np.maximum(tail, end))
    return np.column_stack([NODES, np.maximum(quantiles, NODES[:, None])])


def _kaplan_meier(z: Floats, event: npt.NDArray[np.bool_], weight: Floats) -> tuple[Floats, Floats, float]:
    """Event times, survival just after each, and the hazard per own unit in the upper half of the curve."""
    order = np.argsort(z, kind="stable")
    z, weight, died = z[order], weight[order], (weight * event)[order]
    times, first = np.unique(z, return_index=True)
    at_risk = np.cumsum(weight[::-1])[::-1][first]
    deaths = np.add.reduceat(died, first)
    kept = (deaths > 0) & (len(z) - first >= min(LEAST_AT_RISK, len(z)))
    if not kept.any():
        kept = deaths > 0
    survival: Floats = np.cumprod(np.maximum(1.0 - deaths[kept] / at_risk[kept], 0.0)).astype(np.float64)
    times = times[kept]
    half = times[min(int(np.searchsorted(-survival, -(float(survival[-1]) ** 0.5))), len(times) - 1)]
    exposure = float((weight * np.maximum(z - half, 0.0)).sum())
    hazard = max(float(died[z > half].sum()), 0.5) / max(exposure, 0.1)
    return times, survival, hazard


def _bell() -> tuple[Floats, npt.NDArray[np.bool_], Floats]:
    """A standard normal in 199 steps: a base without a single gap says no more than lognormal."""
    from statistics import NormalDist

    z = np.array([NormalDist().inv_cdf(k / 200) for k in range(1, 200)])
    return z, np.ones(199, np.bool_), np.ones(199)
