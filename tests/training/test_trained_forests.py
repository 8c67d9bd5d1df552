"""Every forest that training grows scores as LightGBM scores its text."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest

from recsys.data.snapshot import Snapshot
from recsys.evaluation.results import ModelName
from recsys.models.bundle import read_bundle, write_bundle
from recsys.models.forest import Forest
from recsys.samples.subscriptions import PERIOD, simulate_subscriptions
from tests.training.test_leads import HORIZON, LAST, simulated
from training.contractual import _period_rows, fit_hazard, known_at
from training.fits import MODEL
from training.leads import _features, fit_leads
from training.models import MODELLING
from training.pairs import pair_sample
from training.tables import Pasts
from training.windows import FitPlan, first_order, plan_fit

FORESTS: dict[ModelName, tuple[str, ...]] = {
    "offers": ("ranker",),
    "churn": ("churn",),
    "value": ("orders", "spend"),
}
"""Parts of each bundle that are trees."""

TREES: dict[ModelName, dict[str, int] | None] = {"offers": {"ranker": 60}, "churn": None, "value": None}
"""Numbers of trees where finding the best one would take long."""

ROWS = 2_000


def of_leads() -> tuple[Forest, np.ndarray]:
    """The forest of simulated leads, and the rows (n, f) of those open two weeks later."""
    leads, _ = simulated()
    model = fit_leads(leads, LAST - timedelta(days=HORIZON), HORIZON, seed=1)
    return model.forest, _features(leads.open_at(LAST), leads.touches, LAST, model.columns, model.kinds)


def of_contracts() -> tuple[Forest, np.ndarray]:
    """The forest of simulated contracts, and a row (n, f) for each period they ran through."""
    base = simulate_subscriptions(n=1_000)
    hazard = fit_hazard(base.table, base.end, seed=1)
    return hazard.forest, _period_rows(known_at(base.table, base.end), hazard.columns, base.end, PERIOD)[0]


ALONE: dict[str, Callable[[], tuple[Forest, np.ndarray]]] = {"leads": of_leads, "contracts": of_contracts}
"""Forests that score in the command that grew them, and never are in a bundle."""


PARTS = [*((name, part) for name, parts in FORESTS.items() for part in parts), *((name, name) for name in ALONE)]


@pytest.fixture(scope="module")
def pasts(cafe_snapshot: Snapshot) -> Pasts:
    return Pasts(cafe_snapshot)


@pytest.fixture(scope="module")
def trained(pasts: Pasts, tmp_path_factory: pytest.TempPathFactory):
    """Forests by part and rows (n, f) float32 to score, of the café for the models of bundles; each is trained once."""

    @cache
    def train(name: Any) -> tuple[dict[str, Forest], np.ndarray]:
        if name in ALONE:
            forest, X = ALONE[name]()
            return {name: forest}, X
        plan = plan_fit(first_order(pasts.snapshot.history), pasts.snapshot.as_of, MODELLING[name].rules(21))
        contender = MODELLING[name].fit(pasts, plan, seed=1, threads=1, trees=TREES[name]).contender(MODEL)
        assert contender is not None
        directory: Path = tmp_path_factory.mktemp("bundles") / name
        write_bundle(directory, contender.content)
        parts = read_bundle(directory).content.parts
        forests = {part: found.scorer for part, found in parts.items() if isinstance(found.scorer, Forest)}
        return forests, rows_of(name, pasts, plan)

    return train


def rows_of(name: ModelName, pasts: Pasts, plan: FitPlan) -> np.ndarray:
    """Rows of the newest window: candidates of buyers for offers, customers for the others."""
    if name != "offers":
        return pasts.at(plan.calibrate_at).rows(plan.horizon_days)
    return pair_sample(pasts, plan.calibrate_at, plan, ROWS, seed=1).X


def delicate(X: np.ndarray, booster: lgb.Booster, dtype: type) -> np.ndarray:
    """Rows of `X`, then the same with two cells in five NaN, infinite, zero, or a threshold of their own column."""
    splits = booster.trees_to_dataframe().dropna(subset=["threshold"]).groupby("split_feature")["threshold"].unique()
    draw, rough = np.random.default_rng(3), X[np.arange(ROWS) % len(X)].astype(np.float64)
    for column, name in enumerate(booster.feature_name()):
        own = splits.get(name, np.zeros(1))
        near = [own, np.nextafter(own, np.inf), np.nextafter(own, -np.inf), own.astype(np.float32)]
        pool = [each for each in (*near, [np.nan, np.inf, -np.inf, 0.0, -0.0]) for _ in range(-(-20 // len(each)))]
        changed = draw.random(ROWS) < 0.4
        rough[changed, column] = draw.choice(np.concatenate(pool), changed.sum())
    with np.errstate(over="ignore"):
        return np.concatenate([X.astype(np.float64), rough]).astype(dtype)


def test_training_grows_the_forests_that_are_looked_at(trained) -> None:
    """No part with trees is left out."""
    assert {name: tuple(trained(name)[0]) for name in FORESTS} == FORESTS


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "part"), PARTS)
def test_a_trained_forest_scores_as_lightgbm(trained, name: str, part: str, dtype: type) -> None:
    """Bit for bit on rows of its kind, on missing and infinite values and on thresholds, many rows or one."""
    forests, X = trained(name)
    booster = lgb.Booster(model_str=forests[part].to_text())
    rows = delicate(X, booster, dtype)
    theirs = booster.predict(rows, raw_score=True, num_threads=1)
    alone = [forests[part].raw(row[None])[0] for row in rows[-50:]]
    assert (np.array_equal(forests[part].raw(rows), theirs), np.array_equal(alone, theirs[-50:])) == (True, True)
