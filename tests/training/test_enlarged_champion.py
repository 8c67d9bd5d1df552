"""The champion that the figures of the service are read with has the trees they are asked for."""

import shutil
from pathlib import Path

import lightgbm as lgb
import numpy as np

from recsys.models.bundle import read_bundle
from recsys.models.forest import Forest
from recsys.settings import Settings
from recsys.testing.published import publish_models
from recsys.testing.serving import HORIZON
from recsys.workspace import Workspace
from tests.benchmarks.champion import Size, enlarge_champion


def test_a_champion_gets_as_many_trees_as_asked(cafe_settings: Settings, tmp_path: Path) -> None:
    """What serves in the copy is a forest of six trees, for the horizon of the one before."""
    directory = tmp_path / "workspace"
    shutil.copytree(cafe_settings.workspace / "snapshots", directory / "snapshots")
    publish_models(directory, ("offers",))
    enlarge_champion(directory, trees=6)
    champion = Workspace.open(Settings(workspace=directory)).champion("offers")
    assert champion is not None
    content = read_bundle(champion).content
    assert (content.parts["ranker"].scorer.n_trees, content.spec.horizon_days) == (6, HORIZON)


def test_the_size_of_a_forest_is_lightgbm_s_own() -> None:
    """Trees, most and mean leaves and features are those LightGBM tells of its own model, trees of unequal size."""
    draw = np.random.default_rng(4)
    X = draw.normal(size=(900, 3))
    data = lgb.Dataset(X, label=X[:, 0] * X[:, 1], free_raw_data=False)
    booster = lgb.train({"num_leaves": 9, "min_data_in_leaf": 60, "max_depth": 3, "verbose": -1}, data, 12)
    leaves = booster.trees_to_dataframe().query("split_feature.isnull()").groupby("tree_index").size()
    told = (booster.num_trees(), leaves.max(), leaves.mean(), booster.num_feature())
    assert Size.of(Forest.from_text(booster.model_to_string())) == told
