"""Fits the facts of the base as a whole: buy-till-you-die parameters, rhythm, means."""

import numpy as np

from recsys.data.snapshot import Snapshot
from recsys.population.btyd import summaries
from recsys.population.btyd_fit import fit_bgnbd
from recsys.population.facts import Base
from recsys.population.gamma_gamma import fit_gamma_gamma_or_mean
from recsys.population.pareto_fit import fit_pareto
from recsys.population.rhythm import fit_rhythm


def fit_base(snapshot: Snapshot) -> Base:
    """Facts of the base from every row of `snapshot` at its `as_of`."""
    history, zone = snapshot.history, snapshot.zone()
    arrays = history.arrays()
    seen = summaries(arrays, history.order_start, snapshot.as_of, zone)
    bought = seen.n > 0
    x, t_x, age = seen.x[bought], seen.t_x[bought], seen.T[bought]
    counts, lives = fit_bgnbd(x, t_x, age), fit_pareto(x, t_x, age)
    money = fit_gamma_gamma_or_mean(x, seen.mean_spend[bought], history.mean_order)
    rhythm = fit_rhythm(arrays, history.order_start, snapshot.as_of, zone)
    n_orders = float(history.n_orders)
    means = np.array([float(history.n_customers), rhythm.mean_gap, rhythm.weight, history.mean_order, n_orders])
    rates, amounts = [counts.r, counts.alpha, counts.a, counts.b], [money.p, money.q, money.v]
    btyd = np.array([*rates, *amounts, lives.r, lives.alpha, lives.s, lives.beta])
    return Base(btyd, means)
