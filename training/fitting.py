"""Training: choose on the validation window, report the test window, fit up to the end, publish, promote.

Each model is fitted three times by the same code (see `training.windows`). The first fit finds the number of trees and
the verdict, the second repeats it with these frozen on the test window, the third is what serves. All contenders are
registered; the winner becomes champion.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from recsys.data.clock import to_iso
from recsys.data.snapshot import Snapshot
from recsys.errors import NotEnoughData
from recsys.evaluation.results import BacktestResult, ModelName, ModelResult, Verdict, flat_metrics
from training.backtesting import Progress, group_warnings, silent
from training.fits import Contender, ModelFit
from training.models import LONGEST_SHARE, MODELLING, default_horizon, span_days
from training.tables import Pasts
from training.windows import TrainingPlan, first_order, plan_training


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """One model after training.

    final       contenders fitted up to the end of the data; their bundles carry the figures of validation and test
    validation  what the choice was made on, None where the history has no window for it
    test        the same on the later window that chose nothing, None likewise
    verdict     who becomes champion, and why
    """

    name: ModelName
    horizon_days: int
    plan: TrainingPlan
    final: ModelFit
    validation: ModelResult | None
    test: ModelResult | None
    verdict: Verdict

    @property
    def champion(self) -> Contender:
        """The contender that is to serve."""
        return self.final.contender(self.verdict.winner) or self.final.best_known()

    @property
    def shown(self) -> ModelResult:
        """What a report shows: the test window (else validation) under the verdict of validation."""
        result = self.test or self.validation or ModelResult(self.name, self.horizon_days)
        notes = {f"plan {place}": note for place, note in enumerate(self.plan.notes, 1)}
        return replace(result, verdict=self.verdict, facts={**result.facts, **notes})


@dataclass(frozen=True, slots=True)
class Untrained:
    """A model that the data can't carry, and why."""

    name: ModelName
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class TrainingResult:
    """All models of one training, in the usual order."""

    snapshot: Snapshot
    outcomes: tuple[Trained | Untrained, ...]

    @property
    def trained(self) -> tuple[Trained, ...]:
        """The models that came about."""
        return tuple(each for each in self.outcomes if isinstance(each, Trained))

    def report(self) -> BacktestResult:
        """The figures of all models as one back-test, for report and tracker."""
        facts = self.snapshot.facts
        history = self.snapshot.history
        skipped = [ModelResult(each.name, 0, skipped=each.why) for each in self.outcomes if isinstance(each, Untrained)]
        return BacktestResult(
            cut=self.snapshot.as_of,
            timezone=facts.timezone,
            snapshot_id=self.snapshot.snapshot_id,
            source=facts.source,
            currency=facts.currency,
            models=(*(each.shown for each in self.trained), *skipped),
            counts={"customers": history.n_customers, "orders": history.n_orders, "lines": history.n_lines},
            notes=(
                *(_windows(each, facts.timezone) for each in self.trained),
                *group_warnings([each.shown for each in self.trained]),
            ),
        )


def fit_models(
    snapshot: Snapshot,
    models: Sequence[ModelName] = ("offers", "churn", "value"),
    horizons: Mapping[ModelName, int] | None = None,
    *,
    seed: int,
    threads: int = 1,
    progress: Progress = silent,
) -> TrainingResult:
    """Choose, test and fit the models on `snapshot`; nothing is written anywhere.

    `horizons` [days] replace the inferred ones. A model that the data can't carry is `Untrained`, with the reason.
    """
    pasts = Pasts(snapshot, threads=threads)
    wanted = horizons or {}
    outcomes = tuple(_outcome(name, pasts, wanted.get(name), seed, threads, progress) for name in models)
    return TrainingResult(snapshot, outcomes)


def _outcome(
    name: ModelName, pasts: Pasts, horizon: int | None, seed: int, threads: int, progress: Progress
) -> Trained | Untrained:
    try:
        return _train(name, pasts, horizon, seed, threads, progress)
    except NotEnoughData as error:
        return Untrained(name, error.message())


def _train(name: ModelName, pasts: Pasts, horizon: int | None, seed: int, threads: int, progress: Progress) -> Trained:
    """Validation, test, final: three calls of one function.

    Raises:
        NotEnoughData: the history is too short, or too little happened in it.
    """
    modelling, end = MODELLING[name], pasts.snapshot.as_of
    days = checked_horizon(name, pasts, horizon or default_horizon(name, pasts, end))
    plan = plan_training(first_order(pasts.snapshot.history), end, modelling.rules(days))
    trees: dict[str, int] | None = None
    judged: list[ModelResult | None] = []
    for stage, window in (("choosing", plan.validation), ("testing", plan.test)):
        if window is None:
            judged.append(None)
            continue
        progress(f"{name}: {stage} on {days} days")
        fit = modelling.fit(pasts, window, seed=seed, threads=threads, trees=trees)
        trees = trees or fit.trees or None
        judged.append(modelling.judge(pasts, fit, days, end, seed=seed))
    progress(f"{name}: fitting up to the end of the data")
    final = modelling.fit(pasts, plan.final, seed=seed, threads=threads, trees=trees)
    validation, test = judged
    verdict = (validation.verdict if validation else None) or _unjudged(final)
    return Trained(name, days, plan, _with_metrics(final, validation, test), validation, test, verdict)


def checked_horizon(name: ModelName, pasts: Pasts, horizon: int) -> int:
    """`horizon` [days] if the history carries it.

    Raises:
        NotEnoughData: it is longer than a third of the history; longer ones are extrapolated while serving.
    """
    span = span_days(pasts.snapshot, pasts.snapshot.as_of)
    if horizon > span / LONGEST_SHARE:
        raise NotEnoughData(
            f"The {name} horizon is longer than a third of the history",
            found=f"{horizon} days",
            expected=f"at most {int(span / LONGEST_SHARE)} days",
            cure="Train on a shorter horizon; a year's spend is extrapolated from it, and labelled so",
        )
    return horizon


def _unjudged(final: ModelFit) -> Verdict:
    return Verdict(
        final.best_known().name, promoted=True, why="The history has no window to judge on: a baseline serves."
    )


def _with_metrics(fit: ModelFit, validation: ModelResult | None, test: ModelResult | None) -> ModelFit:
    """The bundles with the figures that belong to their contender, labelled by the window they come from."""
    found = {"validation": validation, "test": test}
    contenders = tuple(
        replace(each, content=replace(each.content, metrics=_metrics_of(each.name, found))) for each in fit.contenders
    )
    return replace(fit, contenders=contenders)


def _metrics_of(name: str, results: Mapping[str, ModelResult | None]) -> dict[str, float]:
    """`window.part.metric` → value of one contender."""
    return {
        f"{window}.{table.part}.{row.name}": row.value
        for window, result in results.items()
        if result is not None
        for table in result.tables
        for contender in table.contenders
        if contender.name == name
        for row in contender.rows
        if row.value is not None
    }


def _windows(trained: Trained, zone: str) -> str:
    """In words, which windows a model was chosen and tested on."""
    parts = [f"{trained.name}: horizon {trained.horizon_days} days"]
    if trained.plan.validation is not None:
        parts.append(f"chosen on the window from {to_iso(trained.plan.validation.cut, zone)[:10]}")
    if trained.plan.test is not None:
        parts.append(f"figures of the test window from {to_iso(trained.plan.test.cut, zone)[:10]}")
    return ", ".join([*parts, *trained.plan.notes])


def tracked_metrics(trained: Trained) -> dict[str, float]:
    """All figures of both windows as the tracker takes them: `window.part.contender.metric` → value."""
    results = {"validation": trained.validation, "test": trained.test}
    return {
        f"{window}.{name}": value
        for window, result in results.items()
        if result is not None
        for name, value in flat_metrics(result).items()
    }
