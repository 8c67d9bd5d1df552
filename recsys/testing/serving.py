"""A `Serving` without training: linear models that read every feature, so that no bit of a row can change unseen."""

import numpy as np

from recsys.data.snapshot import Snapshot
from recsys.decisioning.serving import Serving
from recsys.features.customer import CUSTOMER_FEATURES
from recsys.features.pairs import PAIR_FEATURES
from recsys.models.bundle import Part
from recsys.models.calibration import Platt
from recsys.models.churn import ChurnModel
from recsys.models.intervals import IntervalBins
from recsys.models.linear import Linear
from recsys.models.offers import OffersModel
from recsys.models.spec import FeatureSpec
from recsys.models.value import ValueModel
from recsys.population.facts import Population, PopulationSpec
from recsys.population.fit import fit_population

HORIZON = 28
"""Horizon of the made-up models [days]."""

SMALL = PopulationSpec(neighbours=8, transitions=8, factors=4, iterations=3)
"""Population facts of a few items, fitted in milliseconds."""


def attentive(names: tuple[str, ...], seed: int = 1) -> Linear:
    """A linear score with a weight other than 0 for every feature."""
    draw = np.random.default_rng(seed)
    weights = dict(zip(names, (draw.uniform(0.5, 1.5, len(names)) / len(names)).tolist(), strict=True))
    return Linear.of(names, weights, missing=dict.fromkeys(names, 0.25))


def linear_serving(snapshot: Snapshot, population: Population | None = None) -> Serving:
    """A serving of `snapshot` with made-up linear models; fits a small population if none is given."""
    population = population or fit_population(snapshot, SMALL, threads=1)
    pair, own = (FeatureSpec(names, HORIZON, "made-up") for names in (PAIR_FEATURES, CUSTOMER_FEATURES))
    curve = Platt(1e-3, -1.0)
    knots = np.array([0.0, 1e6])
    scorer = attentive(CUSTOMER_FEATURES)
    return Serving.of(
        snapshot,
        population,
        OffersModel(pair, attentive(PAIR_FEATURES), curve, curve, snapshot.catalogue.item_level, {}, "linear"),
        ChurnModel(own, scorer, curve, {}, "linear"),
        ValueModel(own, Part(scorer), Part(scorer), IntervalBins(knots, knots * 0.5, knots * 2.0, 0.8), {}, "linear"),
    )
