"""Churn and value judged at one cut: the model, the product's baselines and the classics as published, side by side."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from recsys.data.clock import to_iso
from recsys.evaluation import bootstrap, metrics, money, probability
from recsys.evaluation.metrics import Forecast
from recsys.evaluation.results import Contender, Difference, MetricRow, MetricTable, Role
from recsys.features.customer import CUSTOMER_FEATURES
from recsys.models.predictive import LEVELS, PROBABILITIES
from tests.benchmarks.classic_draws import classic_outlook
from training.fits import MODEL, ModelFit
from training.models import MODELLING, feasible_horizon
from training.served import churn_scores, value_outlook, value_scores
from training.tables import Pasts
from training.windows import first_order, plan_fit

Floats = npt.NDArray[np.float64]

CLASSICS = {
    "BG/NBD as fitted": {"orders": "expected_orders", "spend": "expected_spend"},
    "Pareto/NBD as fitted": {"orders": "pareto_orders", "spend": "pareto_spend"},
}
"""The classics as published, with no total set right: what `value` is held against."""

THREE = (
    "recency rule",
    "logit on RFM",
    "BG/NBD expected purchases",
    "Pareto/NBD expected purchases",
)
"""What `churn` is held against: the best of them at each cut."""

DRAWS = 100
"""Resamples behind the interval of a difference of Ginis."""

ACTIVE, NULL_ECE = "auc of buying", "ece of a perfect model, 95%"
MEDIAN_MAE, PIT = "mae of the median", "pit deviation"

PITS = tuple(float(p) for p in np.linspace(0.0125, 0.9875, 40))
"""Quantiles between which an outcome is placed for the probability integral transform."""

ASKED = tuple(sorted({*PROBABILITIES, *PITS}))
DRAWN = "Pareto/NBD as fitted"
"""The classic with a predictive distribution of its own, drawn customer by customer."""


@dataclass(frozen=True)
class Case:
    """One model at one cut of one data set, as kept in docs/figures/scores."""

    data: str
    split: str
    model: str
    cut: str
    horizon_days: int
    trained_days: int
    tables: tuple[MetricTable, ...]
    facts: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How tables call it."""
        return f"{self.data}, {self.model}, {self.cut} + {self.horizon_days} days"


def churn_case(data: str, split: str, pasts: Pasts, cut: int, horizon: int, known_until: int) -> Case:
    """Everyone known at `cut` [s]: who buys nothing within `horizon` [days]."""
    fit = _fit("churn", pasts, cut, horizon)
    past = pasts.at(cut)
    label = np.where(pasts.outcomes(cut, horizon, known_until=known_until).orders == 0, 1.0, 0.0)
    predicted = {each.name: churn_scores(each.content, past, horizon) for each in fit.contenders}
    rows = {name: metrics.probability_rows(label, p) for name, p in predicted.items()}
    pairs = _paired(predicted, partial(metrics.probability_differences, label))
    nulls = {name: probability.ece_null_quantile(p) for name, p in predicted.items()}
    shown = {name: (*rows[name], MetricRow(NULL_ECE, float(nulls[name]), better="lower")) for name in rows}
    table = MetricTable("all", len(label), _contenders(fit, shown), pairs)
    return _case(data, split, fit, pasts, cut, horizon, (table,))


def value_case(data: str, split: str, pasts: Pasts, cut: int, horizon: int, known_until: int) -> Case:
    """Everyone known at `cut` [s]: orders and spend [currency] within `horizon` [days]."""
    fit = _fit("value", pasts, cut, horizon)
    past = pasts.at(cut)
    labels = pasts.outcomes(cut, horizon, known_until=known_until)
    unit = float(10**past.snapshot.facts.minor_digits)
    expected = {each.name: value_scores(each.content, past, horizon) for each in fit.contenders}
    classic = {
        name: {part: _column(past.rows(horizon), column) for part, column in of.items()}
        for name, of in CLASSICS.items()
    }
    spend = {name: Forecast(each.spend / unit, each.low / unit, each.high / unit) for name, each in expected.items()}
    spend |= {name: Forecast(each["spend"] / unit) for name, each in classic.items()}
    orders = {name: Forecast(each.orders) for name, each in expected.items()}
    orders |= {name: Forecast(each["orders"]) for name, each in classic.items()}
    outlooks = {DRAWN: classic_outlook(past, horizon, ASKED)}
    model = fit.contender(MODEL)
    told = None if model is None else value_outlook(model.content, past, horizon, ASKED)
    outlooks |= {} if told is None else {MODEL: told}
    outcomes = {"orders": labels.orders.astype(np.float64), "spend": labels.spend / unit}
    quantiles = {name: {"orders": each.orders, "spend": each.spend / unit} for name, each in outlooks.items()}
    tables = (
        *(
            _money(fit, part, outcomes[part], forecasts, {name: each[part] for name, each in quantiles.items()})
            for part, forecasts in (("orders", orders), ("spend", spend))
        ),
        *(
            _bands(fit, f"intervals of {part}", actual, {name: each[part] for name, each in quantiles.items()})
            for part, actual in outcomes.items()
        ),
    )
    return _case(data, split, fit, pasts, cut, horizon, tables)


def _fit(model: str, pasts: Pasts, cut: int, horizon: int) -> ModelFit:
    modelling = MODELLING[model]  # type: ignore[index]
    trained = feasible_horizon(modelling.name, pasts, cut, horizon)
    plan = plan_fit(first_order(pasts.snapshot.history), cut, modelling.rules(trained))
    return modelling.fit(pasts, plan, seed=20170101, threads=pasts.threads)


def _case(
    data: str, split: str, fit: ModelFit, pasts: Pasts, cut: int, horizon: int, tables: tuple[MetricTable, ...]
) -> Case:
    facts = {"windows": float(len(fit.plan.starts)), "rows": float(fit.rows)}
    facts |= {f"trees ({part})": float(number) for part, number in fit.trees.items()}
    day = to_iso(cut, pasts.snapshot.facts.timezone)[:10]
    return Case(data, split, fit.model, day, horizon, fit.plan.horizon_days, tables, facts)


def _column(rows: npt.NDArray[np.float32], name: str) -> Floats:
    return rows[:, CUSTOMER_FEATURES.index(name)].astype(np.float64)


def _money(
    fit: ModelFit, part: str, actual: Floats, forecasts: Mapping[str, Forecast], quantiles: Mapping[str, Floats]
) -> MetricTable:
    """Forecasts beside one another, and the absolute error of those who tell a median too."""
    means = {name: each.mean for name, each in forecasts.items()}
    bought = (actual > 0).astype(np.float64)
    rows = {name: _rows(actual, each, bought) for name, each in forecasts.items()}
    medians = {name: money.absolute_errors(actual, _quantile(each, 0.5)) for name, each in quantiles.items()}
    for name, errors in medians.items():
        rows[name] = (*rows[name], MetricRow(MEDIAN_MAE, float(errors.mean()), better="lower"))
    rivals = {name: each for name, each in means.items() if name in (MODEL, *CLASSICS)}
    differences = _paired(rivals, partial(_differences, actual, bought))
    against = {f"{name} (mean)": money.absolute_errors(actual, means[name]) for name in CLASSICS}
    against |= {f"{name} (median)": each for name, each in medians.items() if name != MODEL}
    if MODEL in medians:
        differences += tuple(_error_gap(medians[MODEL], name, errors) for name, errors in against.items())
    return MetricTable(part, len(actual), _contenders(fit, rows), differences)


def _error_gap(mine: Floats, other: str, theirs: Floats) -> Difference:
    return Difference(MEDIAN_MAE, MODEL, other, *map(float, bootstrap.paired_interval(mine, theirs)))


def _quantile(quantiles: Floats, probability: float) -> Floats:
    """Column of ASKED (n,)."""
    column: Floats = quantiles[:, ASKED.index(probability)]
    return column


def _rows(actual: Floats, forecast: Forecast, bought: Floats) -> tuple[MetricRow, ...]:
    """Figures without intervals: those of the differences say more, and a Gini's cost minutes."""
    p = forecast.mean
    found = {
        metrics.MAE: money.absolute_errors(actual, p).mean(),
        metrics.DEVIANCE: money.deviances(actual, p).mean(),
        metrics.RMSE: money.rmse(actual, p),
        metrics.SUM_RATIO: money.sum_ratio(actual, p),
        metrics.NORMALISED_GINI: money.normalised_gini(actual, p),
        metrics.DECILE_ERROR: money.decile_error(actual, p),
        ACTIVE: probability.auc(bought, p),
    }
    if forecast.low is not None and forecast.high is not None:
        found[metrics.COVERAGE] = money.covered(actual, forecast.low, forecast.high).mean()
        found[metrics.INTERVAL_SCORE] = money.interval_scores(actual, forecast.low, forecast.high).mean()
    return tuple(
        MetricRow(name, float(value), better=metrics.WISHED.get(name, "higher")) for name, value in found.items()
    )


def _differences(
    actual: Floats, bought: Floats, first: str, firsts: Floats, second: str, seconds: Floats
) -> tuple[Difference, ...]:
    of = {
        metrics.MAE: bootstrap.paired_interval(*(money.absolute_errors(actual, p) for p in (firsts, seconds))),
        metrics.DEVIANCE: bootstrap.paired_interval(*(money.deviances(actual, p) for p in (firsts, seconds))),
        metrics.NORMALISED_GINI: bootstrap.statistic_difference(
            money.normalised_gini, (actual, firsts), (actual, seconds), draws=DRAWS
        ),
        metrics.BIAS: bootstrap.statistic_difference(_misses, (actual, firsts), (actual, seconds), draws=DRAWS),
        ACTIVE: bootstrap.auc_difference(bought, firsts, seconds),
    }
    return tuple(Difference(metric, first, second, *map(float, interval)) for metric, interval in of.items())


def _bands(fit: ModelFit, title: str, actual: Floats, quantiles: Mapping[str, Floats]) -> MetricTable:
    """Coverage, interval score [mean of the outcome] and randomised PIT of the model and the classic's own."""
    unit = max(float(actual.mean()), 1e-9)
    scores = {
        name: {level: _band_scores(actual, of, level) / unit for level in LEVELS} for name, of in quantiles.items()
    }
    rows = {
        name: (
            *(
                row
                for level in LEVELS
                for row in (
                    MetricRow(f"coverage {level:.0%}", float(_covered(actual, of, level).mean()), better="level"),
                    MetricRow(f"score {level:.0%}", float(scores[name][level].mean())),
                )
            ),
            MetricRow(PIT, pit_deviation(actual, of), better="lower"),
        )
        for name, of in quantiles.items()
    }
    pairs = tuple(
        Difference(
            f"score {level:.0%}", MODEL, other, *map(float, bootstrap.paired_interval(mine[level], theirs[level]))
        )
        for mine in [scores.get(MODEL)]
        if mine is not None
        for other, theirs in scores.items()
        if other != MODEL
        for level in LEVELS
    )
    return MetricTable(title, len(actual), _contenders(fit, rows), pairs)


def _ends(quantiles: Floats, level: float) -> tuple[Floats, Floats]:
    """Central interval, from the quantiles of PROBABILITIES."""
    place = LEVELS.index(level)
    return _quantile(quantiles, PROBABILITIES[2 - place]), _quantile(quantiles, PROBABILITIES[4 + place])


def _band_scores(actual: Floats, quantiles: Floats, level: float) -> Floats:
    scores: Floats = money.interval_scores(actual, *_ends(quantiles, level), level)
    return scores


def _covered(actual: Floats, quantiles: Floats, level: float) -> Floats:
    return money.covered(actual, *_ends(quantiles, level))


def pit_deviation(actual: Floats, quantiles: Floats, seed: int = 0) -> float:
    """Mean distance of the randomised PIT's distribution from the uniform one; 0 for a perfect distribution.

    Where an outcome lies between the quantiles PITS is its PIT; where several are equal to it (the mass at zero) it is
    drawn among them (Czado, Gneiting, Held 2009, Biometrics 65(4), section 2).
    """
    columns = quantiles[:, [ASKED.index(p) for p in PITS]]
    tolerance = 1e-9 * np.maximum(np.abs(actual), 1.0)
    below = (columns < (actual - tolerance)[:, None]).sum(axis=1)
    upto = (columns <= (actual + tolerance)[:, None]).sum(axis=1)
    place = (below + np.random.default_rng(seed).random(len(actual)) * (upto - below + 1)) / (len(PITS) + 1)
    u = np.linspace(0.05, 0.95, 19)
    shares = np.searchsorted(np.sort(place), u, side="right") / max(len(place), 1)
    return float(np.abs(shares - u).mean())


def _misses(actual: Floats, predicted: Floats) -> float:
    """How far the total is off, as a share of it."""
    return abs(money.sum_ratio(actual, predicted) - 1.0)


def _paired(predicted: Mapping[str, Floats], differences: object) -> tuple[Difference, ...]:
    """The model against each other contender; none where no trees were grown."""
    if MODEL not in predicted:
        return ()
    others = [name for name in predicted if name != MODEL]
    return tuple(each for name in others for each in differences(MODEL, predicted[MODEL], name, predicted[name]))  # type: ignore[operator]


def _contenders(fit: ModelFit, rows: Mapping[str, tuple[MetricRow, ...]]) -> tuple[Contender, ...]:
    roles: dict[str, Role] = {each.name: each.role for each in fit.contenders}
    ordered = sorted(rows, key=lambda name: name != MODEL)
    return tuple(Contender(name, roles.get(name, "baseline"), rows[name]) for name in ordered)
