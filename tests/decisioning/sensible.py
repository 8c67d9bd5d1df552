"""A `Serving` whose linear models behave as trained ones should: popular and own items first, silence means churn."""

import numpy as np

from recsys.data.snapshot import Snapshot
from recsys.decisioning import Serving
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
from recsys.population.facts import PopulationSpec
from recsys.population.fit import fit_population

OFFER_WEIGHTS = {"own_orders": 1.0, "own_slow": 0.5, "near": 0.3, "next_rate": 2.0, "als": 0.5, "item_rate_28": 1.0}
HORIZON = 28


def linear_offers() -> OffersModel:
    """Offers ranked by own orders and what others buy."""
    spec = FeatureSpec(PAIR_FEATURES, HORIZON, "offers-1")
    ranker = Linear.of(PAIR_FEATURES, OFFER_WEIGHTS)
    return OffersModel(spec, ranker, Platt(1.0, -3.0), Platt(1.0, -2.0), "product", {}, "offers-test")


def linear_churn() -> ChurnModel:
    """Churn by silence against the customer's own rhythm."""
    spec = FeatureSpec(CUSTOMER_FEATURES, HORIZON, "churn-1")
    scorer = Linear.of(CUSTOMER_FEATURES, {"overdue": 1.0, "orders_56d": -0.2}, reference={"overdue": 1.0})
    return ChurnModel(spec, scorer, Platt(1.0, -1.0), {}, "churn-test")


def linear_value() -> ValueModel:
    """Value by BG/NBD and Gamma-Gamma."""
    spec = FeatureSpec(CUSTOMER_FEATURES, HORIZON, "value-1")
    spend = Part(Linear.of(CUSTOMER_FEATURES, {"expected_spend": 1.0}))
    orders = Part(Linear.of(CUSTOMER_FEATURES, {"expected_orders": 1.0}))
    knots = np.array([0.0, 1_000.0, 100_000.0])
    return ValueModel(spec, spend, orders, IntervalBins(knots, knots * 0.5, knots * 2.0, 0.8), {}, "value-test")


def sensible_serving(snapshot: Snapshot) -> Serving:
    """Everything an answer needs over `snapshot`: its population facts and the three linear models."""
    population = fit_population(snapshot, PopulationSpec(factors=8, iterations=3, neighbours=10, transitions=10))
    return Serving.of(snapshot, population, linear_offers(), linear_churn(), linear_value())
