"""A champion of offers with as many trees as the figures of the service are asked for, and how large it is."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from recsys.data.files import read_text, replace_text
from recsys.models.bundle import read_bundle, write_bundle
from recsys.models.forest import Forest
from recsys.settings import load_settings
from recsys.workspace import Workspace
from training.fits import MODEL
from training.models import MODELLING
from training.tables import Pasts
from training.windows import first_order, plan_training

LEAST_TREES = 200


class Size(NamedTuple):
    """How large a forest is: its trees, the leaves of the largest and of one on average, the features of a row."""

    trees: int
    most_leaves: int
    mean_leaves: float
    features: int

    @classmethod
    def of(cls, forest: Forest) -> "Size":
        """The size of a forest."""
        leaves = np.diff(forest.trees.first) + 1
        return cls(forest.n_trees, int(leaves.max()), float(leaves.mean()), len(forest.feature_names))


def enlarge_champion(directory: Path, trees: int = LEAST_TREES) -> None:
    """Let the ranker of a workspace's copy have at least `trees`, fitted as `barista train` does but for their number.

    Training stops where more trees no longer help on the validation window, which may be before.
    """
    bundles = directory / "bundles" / "offers"
    before = read_bundle(bundles / (read_text(bundles / "champion") or "").strip()).content
    if getattr(before.parts["ranker"].scorer, "n_trees", 0) >= trees:
        return
    settings = load_settings(workspace=directory)
    pasts = Pasts(Workspace.open(settings).current_snapshot(), threads=settings.threads)
    modelling, snapshot = MODELLING["offers"], pasts.snapshot
    plan = plan_training(first_order(snapshot.history), snapshot.as_of, modelling.rules(before.spec.horizon_days)).final
    fit = modelling.fit(pasts, plan, seed=settings.seed, threads=settings.threads, trees={"ranker": trees})
    contender = fit.contender(MODEL)
    assert contender is not None, "the workspace's data are too few for trees"
    write_bundle(bundles / str(trees), contender.content)
    replace_text(bundles / "champion", str(trees))
