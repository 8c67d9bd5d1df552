r"""When the next purchase comes: a survival curve in units of the customer's own rhythm.

A customer's gaps between purchase days are lognormal around an own mean m and spread s of log days, both shrunk to the
base's (Bühlmann & Straub 1970; newer gaps weigh more). What z = (log gap − m) / s does is read from the base: a
Kaplan-Meier curve (1958) for each number of gaps known, open gaps right-censored, so that the first gap of a newcomer,
that often never ends, is not taken for the fiftieth of a regular. Known to have waited e days, the time left is

    T | e  =  exp(m + s · Z) − e,    Z ~ curve of z given z ≥ (log e − m) / s,

which moves with every purchase (m, s, the curve) and with every day without one (e).
"""

import math
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY

Floats = npt.NDArray[np.float64]

LEVELS = np.arange(1, 20) / 20.0
"""Quantiles that are kept of the time to the next purchase: 5%, 10% … 95%."""

MIDDLE, LOW, HIGH, LIKELY_LOW, LIKELY_HIGH = 9, 1, 17, 4, 14
"""Places in LEVELS of the median and of the ends of the 80% and the 50% window."""

EVERY = np.arange(len(LEVELS))
"""All places in LEVELS."""

WINDOW = np.array([LOW, MIDDLE, HIGH])
"""Places of the median and of the ends of the 80% window, ascending."""

STRATA = np.array([0, 1, 2, 4, 8, 16, 32])
"""Least number of own gaps of each stratum, which has a curve of its own."""

NODES = np.concatenate([[-12.0], np.arange(-5.0, 6.01, 0.2)])
"""Waits, in own units, that a curve is tabulated at; the first stands for none."""

DECAY = 0.9
"""Weight of a gap against the next newer one."""

SPREAD_WEIGHT = 10.0
"""Gaps of one's own that weigh as much as the base's spread."""

SHORTEST = 0.25
"""Gaps count for at least this long [days]."""

FARTHEST = 3_650.0
"""No next purchase is announced for later than this [days]."""


class Pace(NamedTuple):
    """What a customer's gaps so far say: their number, and decayed sums of 1, log gap and log gap squared."""

    gaps: int
    weight: float
    total: float
    squares: float


@numba.njit(cache=True, nogil=True, error_model="numpy")
def quicker(pace: Pace, days: float) -> Pace:
    """`pace` after one more gap [days]."""
    log = math.log(max(days, SHORTEST))
    return Pace(pace.gaps + 1, DECAY * pace.weight + 1.0, DECAY * pace.total + log, DECAY * pace.squares + log * log)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def own_rhythm(pace: Pace, mean: float, within: float, kappa: float) -> tuple[float, float]:
    """Mean and spread of log gaps [log days] of a customer, shrunk to the base's `mean` and variance `within`."""
    centre = (pace.total + kappa * mean) / (pace.weight + kappa)
    own = pace.total / pace.weight if pace.weight > 0.0 else 0.0
    scatter = max(pace.squares - pace.weight * own * own, 0.0)
    variance = (scatter + SPREAD_WEIGHT * within) / (max(pace.weight - 1.0, 0.0) + SPREAD_WEIGHT)
    return centre, math.sqrt(variance)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def waited(elapsed: float, centre: float, spread: float) -> float:
    """A wait [days] in own units."""
    return (math.log(max(elapsed, 0.01)) - centre) / spread


@numba.njit(cache=True, nogil=True, error_model="numpy")
def days_left(pace: Pace, elapsed: float, mean: float, within: float, kappa: float, table: Any, out: Any) -> None:
    """Quantiles LEVELS of the days to the next purchase after a wait of `elapsed` [days], into `out` (n_levels,)."""
    days_left_at(pace, elapsed, mean, within, kappa, table, EVERY, out)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def days_left_at(
    pace: Pace, elapsed: float, mean: float, within: float, kappa: float, table: Any, places: Any, out: Any
) -> None:
    """The quantiles at the `places` of LEVELS alone, into `out` (len(places),).

    `table` float64 (n_strata, n_nodes, 1 + n_levels): NODES, and the quantiles of Z given Z ≥ node. Linear between
    nodes, a constant distance beyond the last.
    """
    centre, spread = own_rhythm(pace, mean, within, kappa)
    z = waited(elapsed, centre, spread)
    curve = table[np.searchsorted(STRATA, pace.gaps, side="right") - 1]
    row = min(max(int(np.searchsorted(curve[:, 0], z, side="right")) - 1, 0), len(curve) - 1)
    beyond = row == len(curve) - 1
    share = 0.0 if beyond or z < curve[0, 0] else (z - curve[row, 0]) / (curve[row + 1, 0] - curve[row, 0])
    for place in range(len(places)):
        k = places[place]
        if beyond:
            quantile = z + curve[row, k + 1] - curve[row, 0]
        else:
            quantile = curve[row, k + 1] + share * (curve[row + 1, k + 1] - curve[row, k + 1])
        gap = math.exp(min(centre + spread * max(quantile, z), 12.0))
        out[place] = min(max(gap - elapsed, 0.0), FARTHEST)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def chance_within(days: float, quantiles: Any) -> float:
    """P(the next purchase comes within `days`), from the quantiles LEVELS of its time; an exponential tail."""
    step = LEVELS[0]
    if days <= quantiles[0]:
        return float(step * days / quantiles[0] if quantiles[0] > 0.0 else step)
    last = len(quantiles) - 1
    if days >= quantiles[last]:
        rate = math.log(2.0) / max(quantiles[last] - quantiles[last - 1], 1e-6)
        return 1.0 - (1.0 - float(LEVELS[last])) * math.exp(-rate * (days - quantiles[last]))
    k = int(np.searchsorted(quantiles, days, side="right")) - 1
    width = quantiles[k + 1] - quantiles[k]
    return float(LEVELS[k] + (LEVELS[k + 1] - LEVELS[k]) * (days - quantiles[k]) / width)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def pace_of(times: Any, start: int, end: int) -> Pace:
    """Pace of the visits `times[start:end]` [s], ascending."""
    pace = Pace(0, 0.0, 0.0, 0.0)
    for k in range(start + 1, end):
        pace = quicker(pace, (times[k] - times[k - 1]) / DAY)
    return pace
