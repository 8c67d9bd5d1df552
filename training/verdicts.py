"""Which contender becomes champion, by one written rule a model, and why in plain words.

The model wins when its leading metric is no worse than the best baseline's and it does not rank worse: the lower end of
the paired 95% interval of its ranking metric lies above a small margin. Otherwise the best baseline by the leading
metric wins: it is packaged like any model, and the model is registered without being promoted.
"""

from dataclasses import dataclass

from recsys.evaluation import metrics
from recsys.evaluation.presentation import number
from recsys.evaluation.results import Contender, Difference, MetricTable, Verdict
from training.fits import MODEL


@dataclass(frozen=True, slots=True)
class Rule:
    """`leading` metric (lower wins), `ranking` metric (higher wins) and how much of it may be lost at worst."""

    leading: str
    ranking: str
    margin: float


CHURN = Rule(metrics.LOG_LOSS, metrics.AUC, -0.005)
VALUE = Rule(metrics.DEVIANCE, metrics.NORMALISED_GINI, -0.01)


def churn_verdict(table: MetricTable) -> Verdict:
    """By log loss, AUC not worse than the best baseline's by more than .005."""
    return _by_rule(table, CHURN)


def value_verdict(spend: MetricTable) -> Verdict:
    """By the deviance of spend, normalised Gini not worse by .01.

    The absolute error is least at the median: where most customers spend nothing it rewards too low an expectation.
    The Poisson deviance is least at the mean, which is what is promised.
    """
    return _by_rule(spend, VALUE)


def offers_verdict(mixed: MetricTable, metric: str) -> Verdict:
    """By NDCG@10 over all items, ahead of the best baseline with its whole paired 95% interval above zero."""
    model, baseline = mixed.contender(MODEL), best_baseline(mixed, metric, lower=False)
    if model is None:
        return Verdict(baseline.name, promoted=True, why=_alone(baseline, metric))
    gap = difference(mixed, metric, baseline.name)
    figures = (
        f"{metric} {_value(model, metric)} against {_value(baseline, metric)} of {baseline.name}, {_interval(gap)}"
    )
    if gap is not None and gap.is_above_zero:
        return Verdict(MODEL, promoted=True, why=f"{MODEL} is ahead of every baseline: {figures}.")
    return Verdict(baseline.name, promoted=True, why=f"{MODEL} is registered, not promoted: {figures}.")


def _by_rule(table: MetricTable, rule: Rule) -> Verdict:
    model, baseline = table.contender(MODEL), best_baseline(table, rule.leading, lower=True)
    if model is None:
        return Verdict(baseline.name, promoted=True, why=_alone(baseline, rule.leading))
    gap = difference(table, rule.ranking, baseline.name)
    figures = (
        f"{rule.leading} {_value(model, rule.leading)} against {_value(baseline, rule.leading)} of {baseline.name}; "
        f"{rule.ranking} {_value(model, rule.ranking)} against {_value(baseline, rule.ranking)}, {_interval(gap)}"
    )
    no_worse = _loss(model, rule.leading) <= _loss(baseline, rule.leading)
    ranks = gap is None or gap.low is None or gap.low > rule.margin
    if no_worse and ranks:
        return Verdict(MODEL, promoted=True, why=f"{MODEL} is ahead of the best baseline: {figures}.")
    lost = rule.ranking if no_worse else rule.leading
    return Verdict(
        baseline.name, promoted=True, why=f"{MODEL} is registered, not promoted, because of its {lost}: {figures}."
    )


def best_baseline(table: MetricTable, metric: str, *, lower: bool) -> Contender:
    """The baseline with the best `metric`; the first of equals."""
    sign = 1.0 if lower else -1.0
    baselines = [each for each in table.contenders if each.role == "baseline"]
    return min(baselines, key=lambda each: _loss(each, metric, sign))


def difference(table: MetricTable, metric: str, baseline: str) -> Difference | None:
    """The paired difference of the model and `baseline` in `metric`."""
    found = (each for each in table.differences if (each.metric, each.first, each.second) == (metric, MODEL, baseline))
    return next(found, None)


def _loss(contender: Contender, metric: str, sign: float = 1.0) -> float:
    value = contender.value(metric)
    return float("inf") if value is None else sign * value


def _value(contender: Contender, metric: str) -> str:
    return number(contender.value(metric))


def _interval(gap: Difference | None) -> str:
    if gap is None or gap.low is None or gap.high is None:
        return "difference not measured"
    return f"difference {number(gap.value)} ({number(gap.low)} … {number(gap.high)})"


def _alone(baseline: Contender, metric: str) -> str:
    return f"No trees could be grown; {baseline.name} is the best baseline ({metric} {_value(baseline, metric)})."
