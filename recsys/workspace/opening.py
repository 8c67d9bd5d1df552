"""Snapshot, population and champions → the frozen object that answers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys.data.snapshot import Snapshot
from recsys.decisioning import Serving
from recsys.decisioning.books import Costs
from recsys.errors import WrongModel
from recsys.features.customer import CUSTOMER_FEATURES
from recsys.features.pairs import PAIR_FEATURES
from recsys.models.bundle import read_bundle
from recsys.models.churn import ChurnModel
from recsys.models.offers import OffersModel
from recsys.models.value import ValueModel
from recsys.population.facts import Population

MODELS: dict[str, Any] = {"offers": OffersModel, "churn": ChurnModel, "value": ValueModel}

FEATURES = {"offers": PAIR_FEATURES, "churn": CUSTOMER_FEATURES, "value": CUSTOMER_FEATURES}
"""Columns of the rows each model is applied to."""


def open_serving(
    snapshot: Snapshot,
    population: Path,
    bundles: Mapping[str, Path | None],
    key: bytes | None,
    costs: Costs | None = None,
) -> Serving:
    """Bind a snapshot, its population directory and the bundle directories of the champions.

    Raises:
        SnapshotError: no population facts, or another snapshot's.
        BundleError: a bundle is damaged.
        SettingsError: the costs make no sense.
    """
    models = {name: open_model(name, bundle, key) for name, bundle in bundles.items() if bundle is not None}
    return Serving.of(snapshot, Population.load(population), **models, costs=costs)


def open_model(name: str, directory: Path, key: bytes | None) -> Any:
    """The model in a cached bundle; its version reads `<number>-<first of the digest>`.

    Raises:
        BundleError: the bundle is damaged, or another model's.
    """
    bundle = read_bundle(directory, key)
    spec, expected = bundle.content.spec.names, FEATURES[name]
    if bundle.content.name == name and spec != expected:
        raise WrongModel(
            f"The {name} bundle reads other features than this version of Barista computes",
            found=sorted(set(spec) ^ set(expected)) or "another order",
            expected=f"{len(expected)} features in their order",
            cure="Train again with this version",
        )
    return MODELS[name].from_bundle(bundle, f"{directory.name}-{bundle.digest[:8]}")
