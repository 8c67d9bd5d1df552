"""Which way of forecasting orders wins on earlier windows: `python -m tests.benchmarks.ablate_value --data DIR`.

Reads the first half of each history only (see `bench_scores`) and writes docs/figures/scores/ablation.json: forecasts
of the same rows with the same total; totals for the default forecast; intervals around it. A row names its `topic`.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY
from recsys.evaluation import money, probability
from recsys.features.customer import CUSTOMER_FEATURES
from recsys.models.forest import Forest
from recsys.models.intervals import IntervalBins
from recsys.models.predictive import PROBABILITIES
from recsys.models.value import PREDICTIVE_FEATURES
from tests.benchmarks.bench_scores import CASES, THREADS, data_sets, halves
from tests.benchmarks.classic_draws import classic_outlook
from training.models import MODELLING, feasible_horizon
from training.predictive import fit_predictive
from training.samples import Sample, fit_samples, sample_at
from training.tables import Pasts
from training.trees import Rows, TreeSettings, grow, leafy
from training.value import TREES, expected_total
from training.windows import first_order, plan_fit

Floats = npt.NDArray[np.float64]
Forecaster = Callable[[Sample], Floats]
"""Forecast of the orders of a sample's customers."""

SEED = 20170101
DEFAULT = "geometric blend of trees on Pareto/NBD and plain trees (default)"


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
        "Poisson trees on Pareto/NBD": corrected,
        "Tweedie trees on Pareto/NBD": trees(train, held, tweedie, orders, "prior_orders"),
        "hurdle: P(buys) × orders of buyers": lambda sample: buys(sample) * how_often(sample),
        "geometric blend of Pareto/NBD and plain trees": lambda sample: np.sqrt(
            plain(sample) * np.maximum(column(sample, "prior_orders"), 1e-9)
        ),
        DEFAULT: lambda sample: np.sqrt(plain(sample) * corrected(sample)),
    }


def compared(pasts: Pasts, cut: int, wanted: int, stop: int) -> list[dict[str, Any]]:
    """Figures of every variant at one cut, on the horizon that the history before it can train."""
    modelling = MODELLING["value"]
    days = feasible_horizon("value", pasts, cut, wanted)
    plan = plan_fit(first_order(pasts.snapshot.history), cut, modelling.rules(days))
    samples = fit_samples(pasts, plan, seed=SEED)
    if samples.train is None:
        return []
    asked, held = sample_at(pasts, cut, days, stop), samples.held_out
    found = variants(samples.train, held)
    usual = expected_total("orders", asked.X)
    forecasts = {name: forecast(asked) for name, forecast in found.items()}
    rows = [figures("forecast", name, asked, p * usual / max(p.sum(), 1e-9)) for name, p in forecasts.items()]
    default = forecasts[DEFAULT] * usual / forecasts[DEFAULT].sum()
    missed = float(held.orders.sum()) / expected_total("orders", held.X)
    rows += [figures("total", name, asked, default * missed**share) for name, share in SHARES.items()]
    others = float(column(asked, "pareto_orders").sum() / column(asked, "expected_orders").sum())
    rows.append(figures("total", "Pareto/NBD's", asked, default * others))
    before = found[DEFAULT](held)
    before = before * held.orders.sum() / before.sum()
    outlook = classic_outlook(pasts.at(cut), days, PROBABILITIES).orders
    bands = {"Pareto/NBD's own": (outlook[:, 1], outlook[:, 5])} | intervals(held, before, asked, default)
    return rows + [scored(name, asked, *ends) for name, ends in bands.items()]


SHARES = {
    "BG/NBD's (default)": 0.0,
    "and a quarter of what it missed": 0.25,
    "and half": 0.5,
    "the newest window's": 1.0,
}
"""How much of what BG/NBD missed in the newest window is carried into the next."""


def figures(topic: str, name: str, asked: Sample, p: Floats) -> dict[str, Any]:
    """What a forecast is judged by."""
    actual = orders(asked)
    return {
        "topic": topic,
        "variant": name,
        "deviance": float(money.deviances(actual, p).mean()),
        "mae": float(money.absolute_errors(actual, p).mean()),
        "sum ratio": money.sum_ratio(actual, p),
        "normalised gini": money.normalised_gini(actual, p),
        "auc of buying": probability.auc(actual > 0, p),
    }


def intervals(held: Sample, before: Floats, asked: Sample, p: Floats) -> dict[str, tuple[Floats, Floats]]:
    """80% intervals around forecasts `p`, fitted on the held-out rows with forecasts `before`."""
    alive, days = (column(held, name) for name in PREDICTIVE_FEATURES)
    fitted = fit_predictive(before, before, alive, days, orders(held), orders(held))
    alive, days = (column(asked, name) for name in PREDICTIVE_FEATURES)
    counts, _ = fitted.quantiles(p, p, alive, days)
    everyone = replace(fitted, living=np.array([8.0, 0.0, 0.0, 0.0])).quantiles(p, p, alive, days)[0]
    return {
        "conformal bins of the forecast": IntervalBins.fit(before, orders(held), 0.8).apply(p),
        "tenths left out below and above, by bins of the forecast": tenths(before, orders(held), p),
        "negative binomial, everyone alive": (everyone[:, 1], everyone[:, 5]),
        "alive or not, negative binomial (default)": (counts[:, 1], counts[:, 5]),
    }


def tenths(before: Floats, actual: Floats, p: Floats) -> tuple[Floats, Floats]:
    """The 10% and 90% quantile of the actual in 25 bins of the forecast, interpolated between their middles."""
    bins = np.array_split(np.argsort(before, kind="stable"), min(max(len(before) // 100, 1), 25))
    middles = np.array([np.median(before[rows]) for rows in bins])
    ends = (np.array([np.quantile(actual[rows], q, method="inverted_cdf") for rows in bins]) for q in (0.1, 0.9))
    low, high = (np.interp(p, middles, np.maximum.accumulate(each)) for each in ends)
    return low, high


def scored(name: str, asked: Sample, low: Floats, high: Floats) -> dict[str, Any]:
    """An interval score [mean of the outcome]."""
    score = money.interval_scores(orders(asked), low, high, 0.8).mean() / max(orders(asked).mean(), 1e-9)
    return {"topic": "interval", "variant": name, "score 80%": float(score)}


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
            rows = compared(pasts, cut, days, stop)
            found += [{"data": name, "cut": cut, **row} for row in rows]
            print(name, cut, {row["variant"]: row.get("deviance", row.get("score 80%")) for row in rows}, flush=True)
    (CASES / "ablation.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
