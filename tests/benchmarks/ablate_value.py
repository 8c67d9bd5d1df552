"""Which way of forecasting orders wins on earlier windows: `python -m tests.benchmarks.ablate_value --data DIR`.

Reads the first half of each history only (see `bench_scores`) and writes docs/figures/scores/ablation.json. Every
variant sees the same rows, and has its total set right on the newest window, as the product does.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY
from recsys.evaluation import money, probability
from recsys.features.customer import CUSTOMER_FEATURES
from recsys.models.forest import Forest
from tests.benchmarks.bench_scores import CASES, THREADS, data_sets, halves
from training.models import MODELLING, feasible_horizon
from training.samples import Sample, fit_samples, sample_at
from training.tables import Pasts
from training.trees import Rows, TreeSettings, grow, leafy
from training.value import TREES
from training.windows import first_order, plan_fit

Floats = npt.NDArray[np.float64]
Forecaster = Callable[[Sample], Floats]
"""Forecast of the orders of a sample's customers."""

SEED = 20170101


def column(sample: Sample, name: str) -> Floats:
    """One feature."""
    return sample.X[:, CUSTOMER_FEATURES.index(name)].astype(np.float64)


def trees(
    train: Sample, held: Sample, settings: TreeSettings, of: Callable[[Sample], Floats], offset: str = ""
) -> Forecaster:
    """Trees with a logarithmic or logistic link, starting from the feature `offset` where one is named."""

    def rows(sample: Sample) -> Rows:
        start = np.log(np.maximum(column(sample, offset), 1e-9)) if offset else None
        return Rows(sample.X, of(sample), offset=start)

    grown = grow(
        rows(train),
        CUSTOMER_FEATURES,
        leafy(settings, len(train.orders)),
        seed=SEED,
        threads=THREADS,
        held_out=rows(held),
    )
    forest = Forest.from_text(grown.text)

    def forecast(sample: Sample) -> Floats:
        raw = forest.raw(sample.X)
        if settings.objective == "binary":
            return 1.0 / (1.0 + np.exp(-raw))
        return np.exp(raw) * (column(sample, offset) if offset else 1.0)

    return forecast


def orders(sample: Sample) -> Floats:
    """What is forecast."""
    return sample.orders.astype(np.float64)


def buyers(sample: Sample) -> Sample:
    """Those who bought."""
    bought = sample.orders > 0
    return Sample(sample.X[bought], sample.orders[bought], sample.spend[bought])


def variants(train: Sample, held: Sample) -> dict[str, Forecaster]:
    """All ways that were tried."""
    poisson = TREES["orders"]
    tweedie = TreeSettings("tweedie", "tweedie", 800, 50, {**poisson.parameters, "tweedie_variance_power": 1.3})
    binary = TreeSettings("binary", "binary_logloss", 800, 50, poisson.parameters)
    plain = trees(train, held, poisson, orders)
    corrected = trees(train, held, poisson, orders, "prior_orders")
    buys = trees(train, held, binary, lambda sample: 1.0 - sample.left)
    how_often = trees(buyers(train), buyers(held), poisson, orders)
    return {
        "Pareto/NBD": lambda sample: column(sample, "pareto_orders"),
        "BG/NBD": lambda sample: column(sample, "expected_orders"),
        "Poisson trees": plain,
        "Poisson trees on Pareto/NBD (default)": corrected,
        "Tweedie trees on Pareto/NBD": trees(train, held, tweedie, orders, "prior_orders"),
        "hurdle: P(buys) × orders of buyers": lambda sample: buys(sample) * how_often(sample),
        "geometric blend of Pareto/NBD and plain trees": lambda sample: np.sqrt(
            plain(sample) * np.maximum(column(sample, "prior_orders"), 1e-9)
        ),
        "geometric blend of default and plain trees": lambda sample: np.sqrt(plain(sample) * corrected(sample)),
    }


def compared(pasts: Pasts, cut: int, wanted: int, stop: int) -> dict[str, dict[str, float]]:
    """Figures of every variant at one cut, on the horizon that the history before it can train."""
    modelling = MODELLING["value"]
    days = feasible_horizon("value", pasts, cut, wanted)
    plan = plan_fit(first_order(pasts.snapshot.history), cut, modelling.rules(days))
    samples = fit_samples(pasts, plan, seed=SEED)
    if samples.train is None:
        return {}
    asked = sample_at(pasts, cut, days, stop)
    actual = orders(asked)
    found = {}
    for name, forecast in variants(samples.train, samples.held_out).items():
        scale = samples.held_out.orders.sum() / max(forecast(samples.held_out).sum(), 1e-9)
        p = forecast(asked) * scale
        found[name] = {
            "deviance": float(money.deviances(actual, p).mean()),
            "mae": float(money.absolute_errors(actual, p).mean()),
            "normalised gini": money.normalised_gini(actual, p),
            "auc of buying": probability.auc(actual > 0, p),
        }
    return found


def main() -> None:
    """Compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the files")
    parser.add_argument("--only", nargs="*", default=[], help="names of mappings; default all that are found")
    arguments = parser.parse_args()
    found: list[dict[str, Any]] = []
    for name, snapshot in data_sets(arguments.data, arguments.only):
        known, questions = halves(snapshot, final=False)
        pasts = Pasts(known, threads=THREADS)
        stop = max(cut + days * DAY for _, cut, days in questions)
        for _, cut, days in [each for each in questions if each[0] == "value"][:-1]:
            figures = compared(pasts, cut, days, stop)
            found += [{"data": name, "cut": cut, "variant": key, **values} for key, values in figures.items()]
            print(name, cut, {key: round(values["deviance"], 4) for key, values in figures.items()}, flush=True)
    (CASES / "ablation.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
