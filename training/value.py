"""Value: expected spend and orders over the horizon. Trees beside BG/NBD × Gamma-Gamma and averages of the past.

Every contender's total is set right on the newest window (a season that has come is in it), the 80% interval is taken
from it too. Refunds may make what a customer brought negative: trees learn from that as zero, intervals don't.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from recsys.errors import NotEnoughData
from recsys.evaluation.results import Role
from recsys.features.customer import CUSTOMER_FEATURES
from recsys.models.bundle import Part
from recsys.models.forest import Forest
from recsys.models.intervals import IntervalBins
from recsys.models.value import predicted, value_content
from training.fits import GROWING, MODEL, TOO_SMALL, Contender, ModelFit, customer_spec, fit_facts
from training.rules import rule
from training.samples import FitSamples, Sample, fit_samples
from training.tables import Pasts
from training.trees import Rows, TreeSettings, grow, leafy, without
from training.windows import FitPlan

PARTS = ("spend", "orders")

_PARAMETERS = {
    "num_leaves": 7,
    "learning_rate": 0.04,
    "lambda_l2": 10.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
}

TREES = {
    "spend": TreeSettings("tweedie", "tweedie", 800, 50, _PARAMETERS | {"tweedie_variance_power": 1.3}),
    "orders": TreeSettings("poisson", "poisson", 800, 50, _PARAMETERS),
}
"""Tweedie for spend (many zeros, then amounts), Poisson for orders; both have a logarithmic link."""

BASELINES: dict[str, dict[str, dict[str, float]]] = {
    "BG/NBD × Gamma-Gamma": {"spend": {"expected_spend": 1.0}, "orders": {"expected_orders": 1.0}},
    "average spend × retention": {"spend": {"spend_per_day": 1.0}, "orders": {"orders_horizon": 1.0}},
    "last two horizons": {
        "spend": {"spend_horizon": 0.5, "spend_before_horizon": 0.5},
        "orders": {"orders_horizon": 0.5, "orders_before_horizon": 0.5},
    },
}
"""Weights of features; the scale that sets the total right stands for the base's retention."""

LEAST_BUYERS = 10
"""Customers that must have bought within a window before anything is learned from it."""


def fit_value(
    pasts: Pasts, plan: FitPlan, *, seed: int, threads: int, trees: Mapping[str, int] | None = None
) -> ModelFit:
    """Fit everything on rows up to `plan.cut`; `trees` freezes their numbers, None finds them on the newest window.

    Raises:
        NotEnoughData: too few customers, or too few of them bought in the newest window.
    """
    samples = fit_samples(pasts, plan, seed=seed)
    _check_buyers(samples.held_out, plan)
    baselines = [_contender(name, "baseline", parts, plan, samples) for name, parts in _baselines(samples)]
    if samples.train is None or (samples.train.orders > 0).sum() < LEAST_BUYERS:
        return ModelFit("value", plan, tuple(baselines), notes=(TOO_SMALL,))
    grown = {part: _forest(part, samples.train, samples.held_out, trees, seed, threads) for part in PARTS}
    parts = {part: scored for part, (scored, _) in grown.items()}
    numbers = {part: number for part, (_, number) in grown.items()}
    model = _contender(MODEL, "model", parts, plan, samples)
    return ModelFit("value", plan, (*baselines, model), numbers, len(samples.train.orders))


def _check_buyers(held_out: Sample, plan: FitPlan) -> None:
    buyers = int((held_out.orders > 0).sum())
    if buyers < LEAST_BUYERS:
        raise NotEnoughData(
            f"Hardly anyone bought within {plan.horizon_days} days",
            found=f"{buyers} of {len(held_out.orders)} customers",
            expected=f"at least {LEAST_BUYERS}",
            cure="Choose a longer value horizon",
        )


def _baselines(samples: FitSamples) -> Iterator[tuple[str, dict[str, Part]]]:
    for name, weights in BASELINES.items():
        rules = {part: rule(CUSTOMER_FEATURES, weights[part], samples.held_out.X, missing="smallest") for part in PARTS}
        yield name, {part: Part(scorer) for part, scorer in rules.items()}


def _forest(
    part: str, train: Sample, held_out: Sample, trees: Mapping[str, int] | None, seed: int, threads: int
) -> tuple[Part, int]:
    """Trees on amounts in units of their mean, so that one learning rate suits cents and orders alike."""
    unit = float(_target(train, part).mean())
    settings = without(leafy(TREES[part], len(train.orders)), CUSTOMER_FEATURES, GROWING)
    settings = settings if trees is None else replace(settings, trees=trees[part], patience=None)
    held = Rows(held_out.X, _target(held_out, part) / unit)
    rows = Rows(train.X, _target(train, part) / unit)
    grown = grow(rows, CUSTOMER_FEATURES, settings, seed=seed, threads=threads, held_out=held)
    return Part(Forest.from_text(grown.text), "exp", unit), grown.trees


def _target(sample: Sample, part: str) -> npt.NDArray[np.float64]:
    values = sample.spend if part == "spend" else sample.orders
    return np.maximum(values.astype(np.float64), 0.0)


def _contender(name: str, role: Role, parts: Mapping[str, Part], plan: FitPlan, samples: FitSamples) -> Contender:
    """Totals set right and intervals taken on the held-out rows."""
    held_out = samples.held_out
    level = {part: _levelled(scored, held_out, part) for part, scored in parts.items()}
    intervals = IntervalBins.fit(predicted(level["spend"], held_out.X), held_out.spend)
    content = value_content(
        customer_spec(plan),
        spend=level["spend"],
        orders=level["orders"],
        intervals=intervals,
        facts=fit_facts(name, role, plan),
    )
    return Contender(name, role, content)


def _levelled(part: Part, held_out: Sample, name: str) -> Part:
    """The part with its scale set so that predictions and outcomes of the held-out rows have one sum."""
    total = float(predicted(part, held_out.X).sum())
    actual = float((held_out.spend if name == "spend" else held_out.orders).sum())
    return replace(part, scale=part.scale * max(actual, 0.0) / total) if total > 0 else part
