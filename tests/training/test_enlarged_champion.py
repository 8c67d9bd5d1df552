"""The champion that the figures of the service are read with has the trees they are asked for."""

import shutil
from pathlib import Path

from recsys.models.bundle import read_bundle
from recsys.settings import Settings
from recsys.testing.published import publish_models
from recsys.testing.serving import HORIZON
from recsys.workspace import Workspace
from tests.benchmarks.champion import enlarge_champion


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
