"""A workspace with a snapshot, its population facts and small linear models."""

from pathlib import Path

import numpy as np
import pytest

from recsys.data.snapshot import Snapshot
from recsys.features.customer import CUSTOMER_FEATURES
from recsys.features.pairs import PAIR_FEATURES
from recsys.models.bundle import BundleContent, Part, write_bundle
from recsys.models.calibration import Isotonic
from recsys.models.churn import churn_content
from recsys.models.intervals import IntervalBins
from recsys.models.linear import Linear
from recsys.models.offers import offers_content
from recsys.models.spec import FeatureSpec
from recsys.models.value import value_content
from recsys.population.facts import PopulationSpec
from recsys.population.fit import fit_population
from recsys.settings import Settings
from recsys.testing.builders import random_snapshot
from recsys.workspace import Workspace

CURVE = Isotonic(np.array([-1e6, 1e6]), np.array([0.01, 0.99]))


def linear(names: tuple[str, ...], intercept: float = 0.0) -> Linear:
    """Every feature counts a little, so that no difference in a row goes unnoticed."""
    return Linear.of(names, {name: 0.01 * (1 + at) for at, name in enumerate(names)}, intercept)


def content(name: str, intercept: float = 0.0) -> BundleContent:
    """What a small bundle of model `name` holds."""
    if name == "offers":
        spec = FeatureSpec(PAIR_FEATURES, 28, "offers-1")
        ranker = linear(PAIR_FEATURES, intercept)
        return offers_content(spec, ranker, new=CURVE, repeat=CURVE, item_level="product")
    spec = FeatureSpec(CUSTOMER_FEATURES, 28, "customer-1")
    scorer = linear(CUSTOMER_FEATURES, intercept)
    if name == "churn":
        return churn_content(spec, scorer, CURVE, metrics={"auc": 0.75})
    bins = IntervalBins(np.array([0.0, 100.0]), np.array([0.0, 50.0]), np.array([10.0, 200.0]), 0.8)
    return value_content(spec, spend=Part(scorer), orders=Part(scorer), intervals=bins)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Thirty random customers with population facts, no model yet."""
    workspace = Workspace.create(Settings(workspace=tmp_path_factory.mktemp("registry") / "workspace"))
    snapshot = random_snapshot(7).save(workspace.snapshots)
    fit_population(snapshot, PopulationSpec(factors=4, iterations=2)).save(Path(str(snapshot.directory)) / "population")
    workspace.publish_snapshot(snapshot.snapshot_id)
    return workspace


@pytest.fixture
def bundle(tmp_path: Path):
    """Writes a bundle and says where it is."""

    def write(name: str = "churn", intercept: float = 0.0, key: bytes | None = None) -> Path:
        directory = tmp_path / f"{name}{intercept}"
        write_bundle(directory, content(name, intercept), key)
        return directory

    return write


@pytest.fixture
def snapshot(workspace: Workspace) -> Snapshot:
    """The workspace's snapshot."""
    return workspace.current_snapshot()
