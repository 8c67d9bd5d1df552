"""A café to break: a workspace with a small snapshot and three linear models."""

from pathlib import Path

from recsys.settings import Settings
from recsys.testing.builders import products, random_lines, snapshot
from recsys.testing.published import publish_models, publish_snapshot
from recsys.workspace import Workspace


def small_workspace(place: Path, **settings: object) -> Workspace:
    """Two hundred customers, thirty products and tea, the clock at the last purchase."""
    workspace = Workspace.create(Settings(workspace=place, clock="snapshot", refresh_seconds=0.5, **settings))
    catalogue = products("tea DRINKS>TEA 2.10", *(f"p{i:03d} G{i % 2}>F{i % 4} 2.50" for i in range(30)))
    publish_snapshot(place, snapshot(random_lines(21, 200, n_products=30), catalogue=catalogue))
    publish_models(place)
    return workspace
