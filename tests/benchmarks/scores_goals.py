"""What churn and value are held against, read off the cases: one verdict a line."""

from typing import Any

from recsys.evaluation import metrics
from recsys.evaluation.results import Contender, Difference, MetricTable
from tests.benchmarks.measure import figure
from tests.benchmarks.score_cases import ACTIVE, CLASSICS, MEDIAN_MAE, NULL_ECE, PIT, THREE, Case
from training.fits import MODEL


def goals(case: Case, command: str) -> list[dict[str, Any]]:
    """Figures with what is asked of them; nothing where no trees were grown."""
    if case.tables[0].contender(MODEL) is None:
        return []
    if case.model == "churn":
        return _churn(case, case.tables[0], command)
    found = [each for table in case.tables[:2] for each in _value(case, table, command)]
    return found + [each for table in case.tables[2:] for each in _intervals(case, table, command)]


def _intervals(case: Case, table: MetricTable, command: str) -> list[dict[str, Any]]:
    """Interval scores not worse than those of the classic's own predictive distribution, nor the randomised PIT."""
    found = [
        _told(case, f"{table.part}: {each.metric} − {each.second}, lower bound", each.low, command, at_most=0.0)
        for each in table.differences
    ]
    least = min(_of(each, PIT) for each in table.contenders if each.name != MODEL)
    return [*found, _told(case, f"{table.part}: {PIT}", _of(_model(table), PIT), command, at_most=least)]


def _churn(case: Case, table: MetricTable, command: str) -> list[dict[str, Any]]:
    rivals = [each for each in table.contenders if each.name in THREE]
    model = _model(table)
    best = max(rivals, key=lambda each: _of(each, metrics.AUC))
    gap = _gap(table, metrics.AUC, best.name)
    calmest = min(rivals, key=lambda each: _of(each, metrics.LOG_LOSS))
    more = _of(model, metrics.LOG_LOSS) / _of(calmest, metrics.LOG_LOSS) - 1
    return [
        _told(case, f"AUC − {best.name}, lower bound", gap.low, command, at_least=-0.005),
        _told(case, f"log loss over that of {calmest.name} [%]", 100 * more, command, at_most=0.5),
        _told(case, "ECE", _of(model, metrics.ECE), command, at_most=_of(model, NULL_ECE)),
    ]


def _value(case: Case, table: MetricTable, command: str) -> list[dict[str, Any]]:
    rivals = [each for each in table.contenders if each.name in CLASSICS]
    found = []
    closest = min(rivals, key=lambda each: _of(each, metrics.MAE)).name
    medians = [each.second for each in table.differences if each.second.endswith("(median)")]
    for name in (f"{closest} (mean)", *medians):
        high = _gap(table, MEDIAN_MAE, name).high
        found.append(_told(case, f"{table.part}: {MEDIAN_MAE} − {name}, upper bound", high, command, at_most=0.0))
    best = min(rivals, key=lambda each: _of(each, metrics.DEVIANCE))
    high = _gap(table, metrics.DEVIANCE, best.name).high
    found.append(
        _told(case, f"{table.part}: {metrics.DEVIANCE} − {best.name}, upper bound", high, command, at_most=0.0)
    )
    for metric in (metrics.NORMALISED_GINI, ACTIVE):
        best = max(rivals, key=lambda each: _of(each, metric))
        difference = _gap(table, metric, best.name).value
        found.append(_told(case, f"{table.part}: {metric} − {best.name}", difference, command, at_least=0.0))
    misses = {each.name: abs(_of(each, metrics.SUM_RATIO) - 1) for each in (*rivals, _model(table))}
    least = min(misses[each.name] for each in rivals)
    found.append(_told(case, f"{table.part}: |sum ratio − 1|", misses[MODEL], command, at_most=least))
    return found


def _told(case: Case, what: str, value: float | None, command: str, **bound: float) -> dict[str, Any]:
    return figure(
        f"{case.name}: {what}", float("nan") if value is None else value, "", command, split=case.split, **bound
    )


def _model(table: MetricTable) -> Contender:
    return next(each for each in table.contenders if each.name == MODEL)


def _of(contender: Contender, metric: str) -> float:
    value = contender.value(metric)
    return float("nan") if value is None else value


def _gap(table: MetricTable, metric: str, rival: str) -> Difference:
    return next(each for each in table.differences if (each.metric, each.second) == (metric, rival))
