"""What the classics expect of one customer, as features."""

from typing import Any

import numba
import numpy as np

from recsys.population.btyd import Summary, bgnbd_alive, bgnbd_expected, gamma_gamma_mean
from recsys.population.facts import Base
from recsys.population.pareto import pareto_alive, pareto_buying, pareto_living

EXPECTED = (
    "alive",
    "expected_orders",
    "expected_spend",
    "pareto_alive",
    "pareto_active",
    "pareto_orders",
    "pareto_spend",
    "prior_orders",
    "prior_spend",
    "lifetime_share",
    "purchase_rate",
)
"""P(alive), orders and spend [minor units] over the horizon by BG/NBD and Gamma-Gamma, see recsys.population.btyd;
pareto_*: the same by Pareto/NBD, pareto_active P(a purchase within the horizon); prior_*: these with P(alive) at least
LEAST_ALIVE, what trees start from; lifetime_share: first to last purchase day over the time known; purchase_rate:
repeat purchase days per horizon so far."""

LEAST_ALIVE = 0.05
"""Customers the classics give up on come back: on no data set fewer than this share of the living ones' purchases."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def alive_of(own: Summary, base: Base) -> float:
    """P(alive) of the customer of `own` by Pareto/NBD."""
    r, alpha, s, beta = base.btyd[7], base.btyd[8], base.btyd[9], base.btyd[10]
    return float(pareto_alive(r, alpha, s, beta, np.float64(own.x), own.t_x, own.T))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def expected_row(own: Summary, base: Base, alive: float, horizon: float, out: Any) -> None:
    """Features EXPECTED of the customer of `own` into `out`; `alive` from `alive_of`, `horizon` [days]."""
    r, alpha, a, b = base.btyd[0], base.btyd[1], base.btyd[2], base.btyd[3]
    p, q, v = base.btyd[4], base.btyd[5], base.btyd[6]
    out[0] = bgnbd_alive(r, alpha, a, b, own.x, own.t_x, own.T)
    out[1] = bgnbd_expected(r, alpha, a, b, own.x, own.t_x, own.T, horizon)
    x = own.x if own.mean_spend > 0 else 0
    usual = gamma_gamma_mean(p, q, v, x, own.mean_spend)
    out[2] = np.float64(out[1]) * usual
    _pareto(base, own, alive, horizon, usual, out[3:])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _pareto(base: Base, own: Summary, alive: float, horizon: float, usual: float, out: Any) -> None:
    r, alpha, s, beta = base.btyd[7], base.btyd[8], base.btyd[9], base.btyd[10]
    x, t_x, T = np.float64(own.x), own.t_x, own.T
    living = pareto_living(r, alpha, s, beta, x, T, horizon)
    orders, raised = alive * living, max(alive, LEAST_ALIVE) * living
    out[0], out[1] = alive, alive * pareto_buying(r, alpha, s, beta, x, T, horizon)
    out[2], out[3], out[4], out[5] = orders, orders * usual, raised, raised * usual
    if own.n > 0:
        out[6], out[7] = t_x / max(T, 1.0), x * horizon / max(T, 1.0)
