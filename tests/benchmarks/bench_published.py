"""Likelihoods of the published CDNOW estimates: `make bench-published BENCH_DATA=folder` with the files of CDNOW."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.data.truncate import until
from recsys.population.btyd import summaries
from recsys.population.btyd_fit import fit_bgnbd
from recsys.population.gamma_gamma import fit_gamma_gamma
from recsys.population.pareto_fit import fit_pareto
from tests.benchmarks.bench_scores import data_sets
from tests.benchmarks.measure import figure
from training.windows import first_order

Floats = npt.NDArray[np.float64]

WEEK, FIT_WEEKS = 7.0, 39
"""The papers count in weeks and fit on the first 39 of them."""

PUBLISHED = {
    "cdnow_sample": {"BG/NBD": (-9582.43, 0.005), "Pareto/NBD": (-9594.98, 0.005)},
    "cdnow_master": {"BG/NBD": (-95_368.4, 0.05), "Pareto/NBD": (-95_415.1, 0.05)},
}
"""Log-likelihood by mapping and model, and half of its last digit. Fader, Hardie & Lee (2005), table 2; the master
file's by the same protocol."""

GAMMA_GAMMA = {"p": 6.25, "q": 3.744, "v": 15.444}
"""Fader & Hardie (2013), section 4, on the sample; v in dollars."""

COMMAND = "make bench-published BENCH_DATA=folder"


def run(_workspace: Path) -> list[dict[str, Any]]:
    """Likelihoods beside the published ones, and the parameters of the amounts."""
    directory = Path(os.environ["BENCH_DATA"])
    found = []
    for name, snapshot in data_sets(directory, list(PUBLISHED)):
        known = fitted_part(snapshot)
        seen = summaries(known.history.arrays(), known.history.order_start, known.as_of, known.zone())
        x, t_x, age = seen.x, seen.t_x / WEEK, seen.T / WEEK
        for model, fit in (("BG/NBD", fit_bgnbd(x, t_x, age)), ("Pareto/NBD", fit_pareto(x, t_x, age))):
            published, half = PUBLISHED[name][model]
            off = abs(fit.log_likelihood - published)
            found += [
                figure(f"{name}, {model}: log-likelihood", f"{fit.log_likelihood:,.2f}", "", COMMAND),
                figure(f"{name}, {model}: distance from the published {published:,}", off, "", COMMAND, at_most=half),
            ]
        if name == "cdnow_sample":
            found += amounts(seen.x, seen.mean_spend / 10**known.facts.minor_digits)
    return found


def fitted_part(snapshot: Snapshot) -> Snapshot:
    """Rows of the first 39 weeks, seen at the end of their last day."""
    first = first_order(snapshot.history)
    return until(snapshot, first - first % DAY + FIT_WEEKS * 7 * DAY - 1).snapshot


def amounts(x: npt.NDArray[np.int64], mean_spend: Floats) -> list[dict[str, Any]]:
    """Gamma-Gamma of the repeat buyers."""
    fit = fit_gamma_gamma(x, mean_spend)
    return [
        figure(f"Gamma-Gamma {name}", abs(getattr(fit, name) / told - 1) * 100, "% off", COMMAND, at_most=0.1)
        for name, told in GAMMA_GAMMA.items()
    ]
