"""Churn, value and next purchase of a synthetic base: `make bench BENCH=million`, BENCH_CUSTOMERS for a smaller one."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys.data import columns as c
from recsys.data.assemble import assemble
from recsys.data.cataloguing import CatalogueRules
from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot, SnapshotFacts
from recsys.decisioning import Serving, score
from recsys.models.churn import ChurnModel
from recsys.models.value import ValueModel
from recsys.population.facts import PopulationSpec
from recsys.population.fit import fit_population
from tests.benchmarks.measure import figure
from training.fitting import TrainingResult, fit_models
from training.served import reread

CUSTOMERS = int(os.environ.get("BENCH_CUSTOMERS", "1000000"))
PRODUCTS, DAYS, START = 200, 730, 1_640_995_200
SCORED = 2_000
COMMAND = "make bench BENCH=million" + ("" if CUSTOMERS == 1_000_000 else f" BENCH_CUSTOMERS={CUSTOMERS}")
MOST_MINUTES = 30


def simulated(customers: int, seed: int = 1) -> Snapshot:
    """Pareto/NBD customers over two years: Poisson orders while alive, two lines each, gamma amounts."""
    draw = np.random.default_rng(seed)
    first = draw.integers(0, DAYS, customers).astype(np.float64)
    life = np.minimum(draw.exponential(1.0, customers) / draw.gamma(0.6, 1 / 80.0, customers), DAYS - first)
    orders = 1 + draw.poisson(draw.gamma(0.7, 1 / 60.0, customers) * life)
    owner = np.repeat(np.arange(customers), orders)
    later = np.arange(len(owner)) != np.repeat(np.cumsum(orders) - orders, orders)
    when = START + ((first[owner] + later * draw.random(len(owner)) * life[owner]) * DAY).astype(np.int64)
    order = np.repeat(np.arange(len(owner)), 2)
    table = pl.DataFrame(
        {
            c.CUSTOMER: np.char.add("c", np.char.zfill(owner.astype(str), 7))[order],
            c.PRODUCT: np.char.add("p", draw.integers(0, PRODUCTS, len(order)).astype(str)),
            c.TIME: when[order],
            c.QUANTITY: np.ones(len(order)),
            c.AMOUNT: draw.gamma(2.0, 400.0, len(order)).astype(np.int64),
            c.DISCOUNT: np.zeros(len(order), np.int64),
            c.ORDER: np.char.add("o", order.astype(str)),
            c.STORE: np.repeat("s", len(order)),
            c.CHANNEL: np.repeat("till", len(order)),
        }
    )
    return assemble(table, SnapshotFacts(0, currency="EUR", source="simulated"), None, CatalogueRules())


def run(_workspace: Path) -> list[dict[str, Any]]:
    """Minutes of training churn and value, and of scoring everyone with both and the next purchase."""
    snapshot = simulated(CUSTOMERS)
    start = time.perf_counter()
    trained = fit_models(snapshot, ("churn", "value"), seed=1, threads=2)
    training = (time.perf_counter() - start) / 60
    each = one_by_one(snapshot, trained)
    scoring = each * CUSTOMERS / 2 / 60_000
    name = f"{CUSTOMERS:,} customers, {snapshot.history.n_orders:,} orders"
    whole = (training + scoring) * 1_000_000 / CUSTOMERS
    return [
        figure(f"{name}: training churn and value, two threads", training, "min", COMMAND),
        figure("one customer's churn, value and next purchase, mean", each, "ms", COMMAND),
        figure(f"{name}: scoring everyone on two cores, from that", scoring, "min", COMMAND),
        figure("both, in proportion for a million customers", whole, "min", COMMAND, at_most=MOST_MINUTES),
    ]


def one_by_one(snapshot: Snapshot, trained: TrainingResult) -> float:
    """Milliseconds that the answer for one customer takes on average."""
    models = {each.name: reread(each.champion.content) for each in trained.trained}
    churn, value = ChurnModel.from_bundle(models["churn"], ""), ValueModel.from_bundle(models["value"], "")
    population = fit_population(
        snapshot, PopulationSpec(factors=4, iterations=1, neighbours=5, transitions=5), threads=2
    )
    serving = Serving.of(snapshot, population, churn=churn, value=value)
    chosen = np.random.default_rng(1).integers(0, len(snapshot.customers), SCORED)
    names = [snapshot.customers[int(place)] for place in chosen]
    for name in names[:10]:
        score(serving, name, (), snapshot.as_of)
    start = time.perf_counter()
    for name in names:
        score(serving, name, (), snapshot.as_of)
    return (time.perf_counter() - start) * 1_000 / SCORED
