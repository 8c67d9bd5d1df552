"""Is one churn horizon enough where customers' rhythms differ? `python -m tests.benchmarks.bench_horizon --data DIR`.

On the first half of each history, at the last cut of `make bench-scores`: repeat buyers in quarters by their own mean
gap, one-time buyers apart. Each quarter's own horizon by the rule of the base, and whether the model of one horizon
tells each quarter the truth: what was told against what happened once the base's level is right.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from recsys.data.clock import DAY
from recsys.evaluation.probability import auc
from recsys.evaluation.subgroups import check_chances
from recsys.features.customer import CUSTOMER_FEATURES
from tests.benchmarks.bench_scores import THREADS, data_sets, halves
from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from training.churn import fit_churn
from training.fits import MODEL
from training.models import MODELLING, feasible_horizon
from training.served import churn_scores
from training.tables import Pasts
from training.windows import first_order, plan_fit

COMMAND = "python -m tests.benchmarks.bench_horizon"


def main() -> None:
    """Measure, write docs/figures/horizon.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("BENCH_DATA"), help="folder with the files")
    arguments = parser.parse_args()
    figures = []
    for name, snapshot in data_sets(Path(arguments.data), []):
        known, questions = halves(snapshot, final=False)
        stop = max(cut + days * DAY for _, cut, days in questions)
        _, cut, days = [each for each in questions if each[0] == "churn"][-1]
        figures += list(judged(name, Pasts(known, threads=THREADS), cut, days, stop))
    write_figures("horizon", figures)


def judged(name: str, pasts: Pasts, cut: int, days: int, stop: int) -> Iterator[dict[str, Any]]:
    """Each quarter's own horizon, and how far the one horizon's model is off for it."""
    trained = feasible_horizon("churn", pasts, cut, days)
    plan = plan_fit(first_order(pasts.snapshot.history), cut, MODELLING["churn"].rules(trained))
    content = fit_churn(pasts, plan, seed=1, threads=THREADS).contender(MODEL)
    if content is None:
        return
    past = pasts.at(cut)
    label = np.where(pasts.outcomes(cut, days, known_until=stop).orders == 0, 1.0, 0.0)
    p = churn_scores(content.content, past, days)
    gap = past.rows(trained)[:, CUSTOMER_FEATURES.index("mean_gap")].astype(np.float64)
    edges = np.nanquantile(gap, (0.0, 0.25, 0.5, 0.75, 1.0))
    quarter = np.clip(np.searchsorted(edges, gap, side="left"), 1, 4)
    groups = {f"quarter {k}, gaps to {edges[k]:.0f} days": np.isfinite(gap) & (quarter == k) for k in range(1, 5)}
    checks = {each.group: each for each in check_chances(label, p, groups | {"one purchase day": np.isnan(gap)})}
    for group, check in checks.items():
        mask = (groups | {"one purchase day": np.isnan(gap)})[group]
        head = f"{name}, one horizon of {days} days, {group}"
        if group in groups:
            own = float(np.quantile(gap[mask], 0.9))
            yield figure(f"{head}: own horizon by the base's rule", own, "days", COMMAND, split="validation")
        yield figure(f"{head}: left, actual", check.actual, "", COMMAND, split="validation")
        yield figure(f"{head}: left, told at the base's level", check.expected, "", COMMAND, split="validation")
        yield figure(f"{head}: AUC within", auc(label[mask], p[mask]), "", COMMAND, split="validation")


if __name__ == "__main__":
    main()
