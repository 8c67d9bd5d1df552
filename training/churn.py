"""Churn: P(no purchase within the horizon). Trees beside recency rules, BG/NBD, Pareto/NBD and a logit on RFM."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from recsys.errors import NotEnoughData
from recsys.evaluation.results import Role
from recsys.features.customer import CUSTOMER_FEATURES
from recsys.models.bundle import BundleContent
from recsys.models.calibration import Calibration, Platt, calibrate
from recsys.models.churn import churn_content
from recsys.models.scorers import Scorer
from training.crossfit import Keyed, cross_fit
from training.fits import GROWING, MODEL, TOO_SMALL, Contender, ModelFit, customer_spec, fit_facts
from training.rules import logit, rule
from training.samples import BUDGET, FitSamples, Sample, fit_samples, sample_keys, some
from training.tables import Pasts
from training.trees import Rows, TreeSettings, grow, leafy, without
from training.windows import FitPlan, uniform

TREES = TreeSettings(
    objective="binary",
    metric="binary_logloss",
    trees=800,
    patience=50,
    parameters={
        "num_leaves": 7,
        "learning_rate": 0.03,
        "lambda_l2": 10.0,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
    },
)
"""Small trees: on the validation windows of the sample, 4 to 15 leaves and 3 to 12 windows hardly differ."""

LEAST_OF_EACH = 10
"""Customers that must have stayed, and left, in a window before anything is learned from it."""

RFM = ("days_since_last", "days_since_first", "orders", "spend")


def fit_churn(
    pasts: Pasts, plan: FitPlan, *, seed: int, threads: int, trees: Mapping[str, int] | None = None
) -> ModelFit:
    """Fit everything on rows up to `plan.cut`; `trees` freezes their number, None finds it on the newest window.

    The trees learn from the newest window too, and their curve comes from scores of customers they did not know
    (`training.crossfit`). Platt's curve: both minimise log loss, and its curve ties nobody.

    Raises:
        NotEnoughData: too few customers, or too few of them stayed or left in the newest window.
    """
    samples = fit_samples(pasts, plan, seed=seed)
    _check_both(samples.held_out, plan)
    baselines = [_contender(name, "baseline", scorer, plan, samples) for name, scorer in _baselines(samples)]
    if samples.train is None or not _both(samples.train):
        return ModelFit("churn", plan, tuple(baselines), notes=(TOO_SMALL,))
    settings = without(leafy(TREES, len(samples.train.orders)), CUSTOMER_FEATURES, GROWING)
    number = trees["churn"] if trees else _number(samples.train, samples.held_out, settings, seed, threads)
    earlier, newest = _keyed(pasts, plan, samples.train, samples.held_out, seed)
    frozen = replace(settings, trees=number, patience=None)
    fitted = cross_fit(earlier, newest, CUSTOMER_FEATURES, frozen, seed=seed, threads=threads)
    content = _content(MODEL, "model", fitted.forest, Platt.fit(fitted.raw, fitted.label), plan)
    rows = len(earlier.keys) + len(newest.keys)
    return ModelFit("churn", plan, (*baselines, Contender(MODEL, "model", content)), {"churn": number}, rows)


def _check_both(held_out: Sample, plan: FitPlan) -> None:
    if not _both(held_out):
        raise NotEnoughData(
            f"Hardly anyone, or nearly everyone, bought within {plan.horizon_days} days",
            found=f"{held_out.left.sum():.0f} of {len(held_out.left)} customers did not",
            expected=f"at least {LEAST_OF_EACH} of each kind",
            cure="Choose another churn horizon",
        )


def _both(sample: Sample) -> bool:
    return bool(min(sample.left.sum(), len(sample.left) - sample.left.sum()) >= LEAST_OF_EACH)


def _number(train: Sample, held_out: Sample, settings: TreeSettings, seed: int, threads: int) -> int:
    """Trees that predict the newest window best when only earlier ones are known."""
    held = Rows(held_out.X, held_out.left)
    return grow(Rows(train.X, train.left), CUSTOMER_FEATURES, settings, seed=seed, threads=threads, held_out=held).trees


def _keyed(pasts: Pasts, plan: FitPlan, train: Sample, held_out: Sample, seed: int) -> tuple[Keyed, Keyed]:
    """Rows of the earlier windows and of the newest, the latter no more than its part of the budget."""
    keys, newest = sample_keys(pasts, plan, seed=seed)
    few = uniform(newest, seed + 1) < BUDGET / (len(plan.starts) + 1) / max(1, len(newest))
    return Keyed(train, keys), Keyed(some(held_out, few), newest[few])


def _baselines(samples: FitSamples) -> Iterator[tuple[str, Scorer]]:
    """Rules that know one feature, and a logistic regression where there are labels to fit it on."""
    seen = samples.held_out.X if samples.train is None else samples.train.X
    yield "recency rule", rule(CUSTOMER_FEATURES, {"days_since_last": 1.0}, seen, missing="largest")
    yield "overdue rule", rule(CUSTOMER_FEATURES, {"overdue": 1.0}, seen, missing="largest")
    yield "BG/NBD expected purchases", rule(CUSTOMER_FEATURES, {"expected_orders": -1.0}, seen)
    yield "Pareto/NBD expected purchases", rule(CUSTOMER_FEATURES, {"pareto_orders": -1.0}, seen)
    if samples.train is not None and _both(samples.train):
        yield "logit on RFM", logit(CUSTOMER_FEATURES, RFM, samples.train.X, samples.train.left)


def _contender(name: str, role: Role, scorer: Scorer, plan: FitPlan, samples: FitSamples) -> Contender:
    """The score with the curve that the held-out rows give it."""
    curve = calibrate(scorer.raw(samples.held_out.X), samples.held_out.left)
    return Contender(name, role, _content(name, role, scorer, curve, plan))


def _content(name: str, role: Role, scorer: Scorer, curve: Calibration, plan: FitPlan) -> BundleContent:
    return churn_content(customer_spec(plan), scorer, curve, facts=fit_facts(name, role, plan))
