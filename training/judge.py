"""Churn and value contenders side by side on one window, and which of them wins."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from recsys.evaluation import metrics
from recsys.evaluation.metrics import Forecast
from recsys.evaluation.pictures import decile_plot, gain_plot, reliability_plot
from recsys.evaluation.probability import ece_null_quantile
from recsys.evaluation.results import Contender, Difference, MetricRow, MetricTable, ModelResult
from recsys.evaluation.subgroups import check_amounts, check_chances
from training.fits import MODEL, ModelFit
from training.groups import groups_at
from training.served import churn_scores, value_scores
from training.tables import Pasts
from training.verdicts import best_baseline, churn_verdict, value_verdict

Floats = npt.NDArray[np.float64]
Pairing = Callable[[str, Floats, str, Floats], tuple[Difference, ...]]
"""Paired differences of two named contenders."""


def judge_churn(pasts: Pasts, fit: ModelFit, horizon_days: int, known_until: int, *, seed: int) -> ModelResult:
    """All contenders of `fit`, scored at its cut for everyone known then, against the `horizon_days` after it."""
    past = pasts.at(fit.plan.cut)
    label = np.where(pasts.outcomes(past.as_of, horizon_days, known_until=known_until).orders == 0, 1.0, 0.0)
    predicted = {each.name: churn_scores(each.content, past, horizon_days) for each in fit.contenders}
    rows = {name: metrics.probability_rows(label, p, seed) for name, p in predicted.items()}
    differences = _against(predicted, partial(metrics.probability_differences, label, seed=seed))
    table = MetricTable("all", len(label), _contenders(fit, rows), differences)
    shown = _shown(predicted, best_baseline(table, metrics.LOG_LOSS, lower=True).name)
    plots = (reliability_plot(label, dict(shown)), gain_plot(label, dict(shown)))
    quantiles = {f"ece of a perfect model, 95% ({name})": ece_null_quantile(p) for name, p in shown.items()}
    facts = {"share that left": float(label.mean()), **quantiles, **fit_facts_of(fit, horizon_days)}
    verdict = churn_verdict(table)
    checked = check_chances(label, predicted[verdict.winner], groups_at(past, pasts.snapshot, horizon_days))
    return ModelResult("churn", horizon_days, (table,), plots, verdict, facts=facts, groups=checked)


def judge_value(pasts: Pasts, fit: ModelFit, horizon_days: int, known_until: int, *, seed: int) -> ModelResult:
    """All contenders of `fit`, scored at its cut for everyone known then; spend in currency."""
    past = pasts.at(fit.plan.cut)
    labels = pasts.outcomes(past.as_of, horizon_days, known_until=known_until)
    unit = 10**past.snapshot.facts.minor_digits
    expected = {each.name: value_scores(each.content, past, horizon_days) for each in fit.contenders}
    spend = {name: Forecast(each.spend / unit, each.low / unit, each.high / unit) for name, each in expected.items()}
    orders = {name: Forecast(each.orders) for name, each in expected.items()}
    tables = (
        _money_table("spend", labels.spend / unit, fit, spend, seed),
        _money_table("orders", labels.orders.astype(np.float64), fit, orders, seed),
    )
    verdict = value_verdict(tables[0])
    best, currency = spend[verdict.winner].mean, past.snapshot.facts.currency
    plots = (decile_plot(labels.spend / unit, best, f"Spend by decile, {verdict.winner}", currency),)
    checked = check_amounts(labels.spend / unit, best, groups_at(past, pasts.snapshot, horizon_days))
    facts = fit_facts_of(fit, horizon_days)
    return ModelResult("value", horizon_days, tables, plots, verdict, facts=facts, groups=checked)


def _money_table(part: str, actual: Floats, fit: ModelFit, forecasts: Mapping[str, Forecast], seed: int) -> MetricTable:
    means = {name: each.mean for name, each in forecasts.items()}
    rows = {name: metrics.money_rows(actual, each, seed) for name, each in forecasts.items()}
    differences = _against(means, partial(metrics.money_differences, actual, seed=seed))
    return MetricTable(part, len(actual), _contenders(fit, rows), differences)


def _contenders(fit: ModelFit, rows: Mapping[str, tuple[MetricRow, ...]]) -> tuple[Contender, ...]:
    """The model first, as a reader looks for it."""
    ordered = sorted(fit.contenders, key=lambda each: each.role != "model")
    return tuple(Contender(each.name, each.role, rows[each.name]) for each in ordered)


def _against(predicted: Mapping[str, Floats], differences: Pairing) -> tuple[Difference, ...]:
    """The model paired with each baseline."""
    if MODEL not in predicted:
        return ()
    others = (name for name in predicted if name != MODEL)
    return tuple(each for name in others for each in differences(MODEL, predicted[MODEL], name, predicted[name]))


def _shown(predicted: Mapping[str, Floats], baseline: str) -> dict[str, Floats]:
    """The model and the best baseline: two curves can be read, five cannot."""
    return {name: predicted[name] for name in (MODEL, baseline) if name in predicted}


def fit_facts_of(fit: ModelFit, horizon_days: int) -> dict[str, float | str]:
    """What a reader of the figures should know about the fit."""
    facts: dict[str, float | str] = {"windows": float(len(fit.plan.starts)), "training rows": float(fit.rows)}
    facts |= {f"trees ({part})": float(number) for part, number in fit.trees.items()}
    if fit.plan.horizon_days != horizon_days:
        facts["extrapolated"] = f"trained for {fit.plan.horizon_days} days, carried to {horizon_days} days"
    return facts | {f"note {place}": note for place, note in enumerate(fit.notes, 1)}
