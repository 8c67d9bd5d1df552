"""Fits of the buy-till-you-die models on a million simulated customers: `make bench-classics`."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.population.btyd_fit import fit_bgnbd, fit_mbgnbd
from recsys.population.pareto_fit import fit_pareto
from tests.benchmarks.measure import figure

Floats = npt.NDArray[np.float64]

CUSTOMERS = 1_000_000

TRUTH = (0.7, 60.0, 0.6, 80.0)
"""r, alpha, s, beta of the simulated Pareto/NBD base [days], watched for up to two years."""


def simulated(n: int, seed: int = 1) -> tuple[Floats, Floats, Floats]:
    """x, t_x and T of n customers, in whole days."""
    r, alpha, s, beta = TRUTH
    rng = np.random.default_rng(seed)
    seen = rng.integers(0, 730, n).astype(np.float64)
    life = np.minimum(rng.exponential(1.0, n) / rng.gamma(s, 1 / beta, n), seen)
    x = rng.poisson(rng.gamma(r, 1 / alpha, n) * life).astype(np.float64)
    last = np.floor(life * rng.random(n) ** (1 / np.maximum(x, 1.0)))
    return x, np.where(x > 0, last, 0.0), seen


def run(_workspace: Path) -> list[dict[str, Any]]:
    """Seconds of each fit, and how far Pareto/NBD's parameters are from the truth."""
    rows = simulated(CUSTOMERS)
    fits: dict[str, Callable[..., Any]] = {"BG/NBD": fit_bgnbd, "MBG/NBD": fit_mbgnbd}
    command, found = "make bench-classics", []
    for name, fit in fits.items():
        start = time.perf_counter()
        fit(*rows)
        found.append(figure(f"{name}, a million customers", time.perf_counter() - start, "s", command, at_most=60))
    fit_pareto(*(each[:100] for each in rows))
    start = time.perf_counter()
    pareto = fit_pareto(*rows, threads=2)
    seconds = time.perf_counter() - start
    found.append(figure("Pareto/NBD, a million customers, two threads", seconds, "s", command, at_most=60))
    off = np.abs(np.array([pareto.r, pareto.alpha, pareto.s, pareto.beta]) / np.array(TRUTH) - 1).max()
    found.append(figure("Pareto/NBD, farthest parameter from the truth", 100 * float(off), "%", command, at_most=10))
    return found
