"""A workspace directory with everything a service opens, made in milliseconds: population facts and linear bundles."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recsys.data.files import replace_text
from recsys.data.snapshot import Snapshot
from recsys.features.customer import CUSTOMER_FEATURES
from recsys.features.pairs import PAIR_FEATURES
from recsys.models.bundle import NAMES, BundleContent, Part, write_bundle
from recsys.models.calibration import Platt
from recsys.models.churn import churn_content
from recsys.models.offers import offers_content
from recsys.models.predictive import GRID, Predictive
from recsys.models.spec import FeatureSpec
from recsys.models.value import value_content
from recsys.population.fit import fit_population
from recsys.testing.serving import HORIZON, SMALL, attentive

CURVE = Platt(1e-3, -1.0)


def publish_snapshot(directory: Path, snapshot: Snapshot, tables: dict[str, bytes] | None = None) -> Snapshot:
    """Save `snapshot` with small population facts in the workspace `directory` and make it the current one.

    `tables` are kept with it, as `customers.parquet`.
    """
    saved = snapshot.save(directory / "snapshots", tables)
    population = directory / "snapshots" / saved.snapshot_id / "population"
    if not population.exists():
        fit_population(saved, SMALL, threads=1).save(population)
    replace_text(directory / "snapshots" / "current", saved.snapshot_id)
    return saved


def publish_models(directory: Path, names: Sequence[str] = NAMES, *, version: str = "1", seed: int = 1) -> None:
    """Put a bundle of each model into the workspace's cache as `version` and make it the champion.

    The models are linear and read every feature; another `seed` gives other scores.
    """
    for name in names:
        write_bundle(directory / "bundles" / name / version, linear_content(name, seed))
        replace_text(directory / "bundles" / name / "champion", version)


def linear_content(name: str, seed: int = 1) -> BundleContent:
    """What a made-up bundle of model `name` holds."""
    metrics = {"validation": {"auc": 0.75}}
    if name == "offers":
        spec = FeatureSpec(PAIR_FEATURES, HORIZON, "made-up")
        scorer = attentive(PAIR_FEATURES, seed)
        return offers_content(spec, scorer, new=CURVE, repeat=CURVE, item_level="product", metrics=metrics)
    spec = FeatureSpec(CUSTOMER_FEATURES, HORIZON, "made-up")
    scorer = attentive(CUSTOMER_FEATURES, seed)
    if name == "churn":
        return churn_content(spec, scorer, CURVE, metrics=metrics)
    facts = {"growth_exponent": 0.1, "tiers": [100.0, 1_000.0, 10_000.0]}
    return value_content(
        spec,
        spend=Part(scorer),
        orders=Part(scorer, scale=0.01),
        predictive=plain_distribution(),
        facts=facts,
        metrics=metrics,
    )


def plain_distribution() -> Predictive:
    """Nearly everyone alive, geometric orders, ratios even between 0 and 2."""
    living, shape = np.array([2.0, 0.1, 0.5, 0.2]), np.array([0.1, 0.1, 0.3])
    ratios = np.array([2.0 * GRID, 0.5 + GRID])
    return Predictive(living, shape, np.array([0.0, -0.5, -0.1]), np.array([-2.0, 0.0]), ratios)
