"""Value: expected spend and orders over the horizon, and what may happen beside it. Trees, the classics and averages.

The model is the geometric mean of two forests: one learns a factor on what Pareto/NBD expects, one starts from nothing.
Every contender shares out the total that BG/NBD expects at the cut; how the newest window fell around the forecasts
gives the distribution. Refunds may make what a customer brought negative: that counts as zero.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY
from recsys.errors import NotEnoughData
from recsys.evaluation.results import Role
from recsys.features.customer import CUSTOMER_FEATURES
from recsys.models.bundle import Part
from recsys.models.forest import Forest
from recsys.models.predictive import Predictive
from recsys.models.value import PREDICTIVE_FEATURES, predicted, value_content
from training.fits import GROWING, MODEL, TOO_SMALL, Contender, ModelFit, customer_spec, fit_facts
from training.predictive import fit_predictive
from training.rules import rule
from training.samples import FitSamples, Sample, fit_samples, sample_at
from training.tables import Features, Pasts
from training.trees import Rows, TreeSettings, blended, grow, leafy, without
from training.windows import FitPlan, first_order

PARTS = ("spend", "orders")

OFFSETS = {"spend": "prior_spend", "orders": "prior_orders"}
"""What one forest starts from: it learns a factor on the classic's expectation."""

LEVELS_OF = {"spend": "expected_spend", "orders": "expected_orders"}
"""Whose total every contender shares out."""

ALONE = "alone"
"""Suffix of the part's name for the number of trees of the forest that starts from nothing."""

SMALLEST = 1e-9
"""Expectations below count as this in logarithms."""

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
    "Pareto/NBD × Gamma-Gamma": {"spend": {"pareto_spend": 1.0}, "orders": {"pareto_orders": 1.0}},
    "average spend × retention": {"spend": {"spend_per_day": 1.0}, "orders": {"orders_horizon": 1.0}},
    "last two horizons": {
        "spend": {"spend_horizon": 0.5, "spend_before_horizon": 0.5},
        "orders": {"orders_horizon": 0.5, "orders_before_horizon": 0.5},
    },
}
"""Weights of features; the scale that sets the total stands for the base's retention."""

TIERS = (0.5, 0.8, 0.95)
"""Quantiles of the expected spend of the cut's customers at which the tiers `medium`, `high`, `top` begin."""

PER_DAY = ("orders", "purchase_days")
"""Features whose totals say how many orders a purchase day holds."""

LONGER, ENOUGH, STEEPEST = 1.5, 200, 0.5
"""A window this many times as long as the horizon, with so many orders, corrects growth by this exponent at most."""

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
    now = pasts.at(plan.cut).rows(plan.horizon_days)
    growth = growth_exponent(pasts, plan)
    baselines = [_contender(name, "baseline", parts, plan, samples, now, growth) for name, parts in _baselines(samples)]
    if samples.train is None or (samples.train.orders > 0).sum() < LEAST_BUYERS:
        return ModelFit("value", plan, tuple(baselines), notes=(TOO_SMALL,))
    grown = {part: _forest(part, samples.train, samples.held_out, trees, seed, threads) for part in PARTS}
    parts = {part: scored for part, (scored, _) in grown.items()}
    numbers = {name: number for _, found in grown.values() for name, number in found.items()}
    model = _contender(MODEL, "model", parts, plan, samples, now, growth)
    return ModelFit("value", plan, (*baselines, model), numbers, len(samples.train.orders))


def growth_exponent(pasts: Pasts, plan: FitPlan) -> float:
    """How purchases grew with the horizon in the longest window up to the cut, against what Pareto/NBD expected there.

    The window begins where a third of the history had passed. With its length L, actual orders A and expected orders C
    within a horizon: log((A(L) / A(H)) / (C(L) / C(H))) / log(L / H), so that carried(…) reproduces A(L); 0 where L is
    hardly longer than H or too few bought, and where it would be negative: the classics lose those who stay, and a
    negative exponent, from a young base whose lifetimes nobody has seen yet, made earlier windows worse.
    """
    first = first_order(pasts.snapshot.history)
    start = first + (plan.cut - first) // 3
    longest = (plan.cut - start) // DAY
    if longest < LONGER * plan.horizon_days:
        return 0.0
    near, far = (sample_at(pasts, start, int(days), plan.cut) for days in (plan.horizon_days, longest))
    if near.orders.sum() < ENOUGH:
        return 0.0
    column = CUSTOMER_FEATURES.index("pareto_orders")
    actual = float(far.orders.sum() / near.orders.sum())
    classic = float(far.X[:, column].astype(np.float64).sum() / near.X[:, column].astype(np.float64).sum())
    exponent = np.log(actual / classic) / np.log(longest / plan.horizon_days)
    return float(np.clip(exponent, 0.0, STEEPEST))


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
) -> tuple[Part, dict[str, int]]:
    """Geometric mean of trees that correct Pareto/NBD and trees that start from nothing, and the number of each.

    Amounts are in units of their mean: cents and orders learn alike.
    """
    unit = float(_target(train, part).mean())
    scale = float(_target(train, part).sum() / train.X[:, _column(part)].astype(np.float64).sum())
    texts, numbers = [], {}
    for name, start in ((part, scale), (f"{part} {ALONE}", None)):
        settings = without(leafy(TREES[part], len(train.orders)), CUSTOMER_FEATURES, GROWING)
        settings = settings if trees is None else replace(settings, trees=trees[name], patience=None)
        rows, held = _rows(train, part, unit, start), _rows(held_out, part, unit, start)
        grown = grow(rows, CUSTOMER_FEATURES, settings, seed=seed, threads=threads, held_out=held)
        texts.append(grown.text)
        numbers[name] = grown.trees
    forest = Forest.from_text(blended(tuple(texts), (0.5, 0.5)))
    return Part(forest, "exp", float(np.sqrt(scale * unit)), OFFSETS[part], power=0.5), numbers


def _rows(sample: Sample, part: str, unit: float, scale: float | None) -> Rows:
    """Targets in `unit`, beside the logarithm of the classic's expectation with its total set right by `scale`."""
    if scale is None:
        return Rows(sample.X, _target(sample, part) / unit)
    expected = sample.X[:, _column(part)].astype(np.float64) * scale / unit
    return Rows(sample.X, _target(sample, part) / unit, offset=np.log(np.maximum(expected, SMALLEST)))


def _column(part: str) -> int:
    return CUSTOMER_FEATURES.index(OFFSETS[part])


def _target(sample: Sample, part: str) -> npt.NDArray[np.float64]:
    values = sample.spend if part == "spend" else sample.orders
    return np.maximum(values.astype(np.float64), 0.0)


def _contender(
    name: str,
    role: Role,
    parts: Mapping[str, Part],
    plan: FitPlan,
    samples: FitSamples,
    now: Features,
    growth: float,
) -> Contender:
    """Totals set for the customers of the cut, whose features are `now`; the distribution from the held-out rows."""
    spend = levelled(parts["spend"], now, expected_total("spend", now))
    expected = predicted(spend, now)
    content = value_content(
        customer_spec(plan),
        spend=spend,
        orders=levelled(parts["orders"], now, expected_total("orders", now)),
        predictive=_predictive(parts, samples.held_out),
        facts=fit_facts(name, role, plan, growth_exponent=growth, tiers=np.quantile(expected, TIERS).tolist()),
    )
    return Contender(name, role, content)


def expected_total(part: str, now: Features) -> float:
    """What the base is expected to do: BG/NBD's total, for orders times the orders that a purchase day has held.

    The newest window's own total, or a part of it, carried a season or a decay that had passed into the next one: over
    rolling cuts what a classic missed in one window said nothing of what it missed in the next. On earlier windows
    BG/NBD's total was never farther off than Pareto/NBD's over a data set's cuts (docs/quality.md).
    """
    total = float(now[:, CUSTOMER_FEATURES.index(LEVELS_OF[part])].astype(np.float64).sum())
    if part == "spend":
        return total
    made, days = (float(np.nansum(now[:, CUSTOMER_FEATURES.index(name)], dtype=np.float64)) for name in PER_DAY)
    return total * made / days if days > 0 else total


def levelled(part: Part, X: Features, total: float) -> Part:
    """The part with its scale set so that the predictions for rows X add up to `total`."""
    found = float(predicted(part, X).sum())
    return replace(part, scale=part.scale * max(total, 0.0) / found) if found > 0 else part


def _predictive(parts: Mapping[str, Part], held_out: Sample) -> Predictive:
    """How the newest window fell around forecasts of the right total."""
    orders, spend = _target(held_out, "orders"), _target(held_out, "spend")
    forecasts = {
        name: predicted(levelled(parts[name], held_out.X, float(actual.sum())), held_out.X)
        for name, actual in (("orders", orders), ("spend", spend))
    }
    alive, days = (held_out.X[:, CUSTOMER_FEATURES.index(name)].astype(np.float64) for name in PREDICTIVE_FEATURES)
    return fit_predictive(forecasts["orders"], forecasts["spend"], alive, days, orders, spend)
