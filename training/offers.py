"""Offers: trees that rank candidate items, beside popularity and the customer's own frequency.

The trees predict whether a candidate is bought within the horizon (binary log loss; LambdaMART on the same rows ranked
no better on validation and took eight times as long). Two curves turn the score into a probability, for items never and
already bought, fitted on all candidates of the newest window.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from recsys.errors import NotEnoughData
from recsys.evaluation.offers_baselines import OWN_FREQUENCY, POPULARITY
from recsys.evaluation.results import Role
from recsys.features.pairs import PAIR_FEATURES
from recsys.models.calibration import Calibration, calibrate
from recsys.models.forest import Forest
from recsys.models.linear import Linear
from recsys.models.offers import offers_content
from recsys.models.scorers import Scorer
from recsys.models.spec import FeatureSpec
from training.fits import MODEL, TOO_SMALL, Contender, ModelFit, fit_facts
from training.pairs import Bought, PairSample, chosen_customers, pair_sample, scored
from training.tables import Pasts
from training.trees import Rows, TreeSettings, grow, leafy
from training.windows import FitPlan, halves

TREES = TreeSettings(
    objective="binary",
    metric="binary_logloss",
    trees=300,
    patience=40,
    parameters={
        "num_leaves": 31,
        "learning_rate": 0.04,
        "feature_fraction": 0.6,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 5.0,
    },
)

BUDGET = 800_000
"""Rows the trees learn from at most; misses are thinned by hash and weighted to stand for the others."""

HELD_OUT_BUDGET = 150_000
"""Rows of the newest window that say when to stop growing."""

BASELINES: dict[str, dict[str, float]] = {
    OWN_FREQUENCY: {"own_orders": 1.0, "item_rate_28": 0.5},
    POPULARITY: {"item_rate_28": 1.0},
}
"""Weights of pair features; a rate is below 1, so it only breaks ties of whole orders."""

LEAST_HITS = 50
"""Candidates that must have been bought before trees are grown from them."""

LEAST_CALIBRATED = 10
"""Bought candidates of the newest window below which no probability can be given."""


def fit_offers(
    pasts: Pasts, plan: FitPlan, *, seed: int, threads: int, trees: Mapping[str, int] | None = None
) -> ModelFit:
    """Fit everything on rows up to `plan.cut`; `trees` freezes their number, None finds it on the newest window.

    Raises:
        NotEnoughData: no catalogue to offer from, or hardly any candidate was bought in the newest window.
    """
    _check_catalogue(pasts, plan)
    rules = {name: _rule(weights) for name, weights in BASELINES.items()}
    baselines = [_contender(name, "baseline", rule, pasts, plan, seed) for name, rule in rules.items()]
    train = _training_rows(pasts, plan, seed)
    if train is None or train.bought.sum() < LEAST_HITS:
        return ModelFit("offers", plan, tuple(baselines), notes=(TOO_SMALL,))
    scorer, number = _forest(train, pasts, plan, trees, seed, threads)
    model = _contender(MODEL, "model", scorer, pasts, plan, seed)
    return ModelFit("offers", plan, (*baselines, model), {"ranker": number}, len(train.bought))


def _check_catalogue(pasts: Pasts, plan: FitPlan) -> None:
    catalogue = pasts.at(plan.calibrate_at).snapshot.catalogue
    if catalogue.n_items < 2 or catalogue.offerable.sum() < 2:
        raise NotEnoughData(
            "There is nothing to choose an offer from",
            found=f"{int(catalogue.offerable.sum())} offerable items",
            expected="at least 2",
            cure="Import purchases that name products",
        )


def _training_rows(pasts: Pasts, plan: FitPlan, seed: int) -> PairSample | None:
    """Rows of all windows of the trees; None where the plan has none."""
    if not plan.starts:
        return None
    budget = BUDGET // len(plan.starts)
    among = _half(pasts, plan, seed, first=True)
    parts = [pair_sample(pasts, start, plan, budget, seed, among) for start in plan.starts]
    return PairSample(*(np.concatenate([getattr(part, name) for part in parts]) for name in PairSample.__slots__))


def _forest(
    train: PairSample, pasts: Pasts, plan: FitPlan, trees: Mapping[str, int] | None, seed: int, threads: int
) -> tuple[Scorer, int]:
    settings = leafy(TREES, len(train.bought))
    held_out = None
    if trees is None:
        among = _half(pasts, plan, seed, first=False)
        held = pair_sample(pasts, plan.calibrate_at, plan, HELD_OUT_BUDGET, seed, among)
        held_out = Rows(held.X, held.bought, held.weight)
    else:
        settings = replace(settings, trees=trees["ranker"], patience=None)
    rows = Rows(train.X, train.bought, train.weight)
    grown = grow(rows, PAIR_FEATURES, settings, seed=seed, threads=threads, held_out=held_out)
    return Forest.from_text(grown.text), grown.trees


def _half(pasts: Pasts, plan: FitPlan, seed: int, *, first: bool) -> npt.NDArray[np.bool_] | None:
    """Which customers the trees (`first`) or the rest may see where they share one window; None where they don't."""
    if not plan.shared or not plan.starts:
        return None
    half = halves(pasts.at(plan.calibrate_at).keys, seed)
    return half if first else ~half


def _rule(weights: Mapping[str, float]) -> Scorer:
    return Linear.of(PAIR_FEATURES, weights)


def _contender(name: str, role: Role, ranker: Scorer, pasts: Pasts, plan: FitPlan, seed: int) -> Contender:
    """The ranker with its two curves, from all candidates of the newest window."""
    new, repeat = _curves(ranker, pasts, plan, seed)
    spec = FeatureSpec(PAIR_FEATURES, plan.horizon_days, "pairs-3")
    level = pasts.at(plan.calibrate_at).snapshot.catalogue.item_level
    content = offers_content(spec, ranker, new=new, repeat=repeat, item_level=level, facts=fit_facts(name, role, plan))
    return Contender(name, role, content)


def _curves(ranker: Scorer, pasts: Pasts, plan: FitPlan, seed: int) -> tuple[Calibration, Calibration]:
    """P(bought) by raw score, for items never bought and already bought."""
    past = pasts.at(plan.calibrate_at)
    labels = pasts.outcomes(past.as_of, plan.horizon_days, known_until=plan.cut)
    among = _half(pasts, plan, seed, first=False)
    customers = chosen_customers(past, np.ones(len(labels.orders), np.bool_) if among is None else among, seed)
    bought = Bought.of(labels, customers, past.snapshot.catalogue.n_items)
    parts = [(each.raw, bought.among(each.customer, each.item), each.known) for each in scored(ranker, past, customers)]
    raw, hit, known = (np.concatenate(each) for each in zip(*parts, strict=True))
    if hit.sum() < LEAST_CALIBRATED:
        raise NotEnoughData(
            f"Hardly any candidate was bought within {plan.horizon_days} days",
            found=int(hit.sum()),
            expected=f"at least {LEAST_CALIBRATED}",
            cure="Offer a broader item level, or choose a longer offers horizon",
        )
    return _curve(raw, hit, ~known), _curve(raw, hit, known)


def _curve(raw: npt.NDArray[np.float64], hit: npt.NDArray[np.bool_], mask: npt.NDArray[np.bool_]) -> Calibration:
    """The curve of the rows in `mask`; of all rows where there are none."""
    rows = mask if mask.any() else np.ones(len(raw), np.bool_)
    return calibrate(raw[rows], np.where(hit[rows], 1.0, 0.0))
