"""Churn of contracts where the hazards are known: `python -m tests.benchmarks.bench_contracts`."""

from datetime import timedelta

import numpy as np
import polars as pl

from recsys.evaluation.probability import auc, calibration_line
from recsys.samples.subscriptions import PERIOD, Subscriptions, simulate_subscriptions
from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from training.contractual import fit_hazard, known_at, running

COMMAND = "python -m tests.benchmarks.bench_contracts"
AHEAD, DRAWS = 3, 100
"""Periods ahead; times the outcomes are drawn anew from the truth."""


def main() -> None:
    """Fit on bases of three sizes; compare with the truth three periods ahead."""
    figures = []
    for n in (1_000, 4_000, 20_000):
        base = simulate_subscriptions(n=n)
        cut = base.end - timedelta(days=AHEAD * PERIOD)
        place = pl.int_range(pl.len(), dtype=pl.Int64).alias("place")
        then = running(known_at(base.table.with_columns(place), cut))
        tenure = (pl.Series([cut] * len(then)) - then["started_at"]).dt.total_days().to_numpy() // PERIOD
        true = Subscriptions(then, base.odds[then["place"].to_numpy()], base.end).leaving(tenure, AHEAD)
        told = fit_hazard(base.table, cut, seed=1).leaving(then.drop("place"), cut, AHEAD)
        label = (np.random.default_rng(5).random((DRAWS, len(true))) < true).astype(np.float64).ravel()
        mine, oracle = (np.tile(each, DRAWS) for each in (told, true))
        head = f"{n:,} contracts"
        figures += [
            figure(f"{head}: calibration slope", calibration_line(label, mine).slope, "", COMMAND),
            figure(f"{head}: ended, told over true", told.mean() / true.mean(), "", COMMAND),
            figure(f"{head}: AUC", auc(label, mine), "", COMMAND),
            figure(f"{head}: AUC of the true hazards", auc(label, oracle), "", COMMAND),
            figure(f"{head}: mean distance from the true chance", np.abs(told - true).mean(), "", COMMAND),
        ]
    write_figures("contracts", figures)


if __name__ == "__main__":
    main()
