"""Snapshot, population and champions → the frozen object that answers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys.data.snapshot import Snapshot
from recsys.decisioning import Serving
from recsys.models.bundle import read_bundle
from recsys.models.churn import ChurnModel
from recsys.models.offers import OffersModel
from recsys.models.value import ValueModel
from recsys.population.facts import Population

MODELS: dict[str, Any] = {"offers": OffersModel, "churn": ChurnModel, "value": ValueModel}


def open_serving(
    snapshot: Snapshot, population: Path, bundles: Mapping[str, Path | None], key: bytes | None
) -> Serving:
    """Bind a snapshot, its population directory and the bundle directories of the champions.

    Raises:
        SnapshotError: no population facts, or another snapshot's.
        BundleError: a bundle is damaged.
    """
    models = {name: open_model(name, bundle, key) for name, bundle in bundles.items() if bundle is not None}
    return Serving.of(snapshot, Population.load(population), **models)


def open_model(name: str, directory: Path, key: bytes | None) -> Any:
    """The model in a cached bundle; its version reads `<number>-<first of the digest>`.

    Raises:
        BundleError: the bundle is damaged, or another model's.
    """
    bundle = read_bundle(directory, key)
    return MODELS[name].from_bundle(bundle, f"{directory.name}-{bundle.digest[:8]}")
