"""From predictions to the plots of a report."""

import numpy as np
import numpy.typing as npt

from recsys.evaluation import money, probability
from recsys.evaluation.results import Curve, Plot

SHARES = np.linspace(0.0, 1.0, 51)
"""Shares of customers contacted that gain and lift curves show."""


def reliability_plot(label: npt.ArrayLike, predicted: dict[str, npt.ArrayLike], title: str = "Reliability") -> Plot:
    """Predicted against observed in equal-mass bins, one curve per contender."""
    tables = {name: probability.reliability(label, p) for name, p in predicted.items()}
    curves = tuple(_curve(name, table.predicted, table.observed) for name, table in tables.items())
    return Plot("reliability", title, curves, "predicted probability", "observed share")


def gain_plot(label: npt.ArrayLike, scores: dict[str, npt.ArrayLike], title: str = "Gain") -> Plot:
    """Share of all positives among the best-scored share of customers, one curve per contender."""
    curves = tuple(_curve(name, *probability.gain_curve(label, score, SHARES)) for name, score in scores.items())
    return Plot("gain", title, curves, "share of customers, highest score first", "share of all positives")


def lift_plot(label: npt.ArrayLike, scores: dict[str, npt.ArrayLike], title: str = "Lift") -> Plot:
    """Rate among the best-scored share of customers / overall rate, one curve per contender."""
    gains = {name: probability.gain_curve(label, score, SHARES[1:]) for name, score in scores.items()}
    curves = tuple(_curve(name, shares, captured / shares) for name, (shares, captured) in gains.items())
    return Plot("lift", title, curves, "share of customers, highest score first", "times the overall rate")


def decile_plot(
    actual: npt.ArrayLike, predicted: npt.ArrayLike, title: str = "Predicted and actual by decile", unit: str = ""
) -> Plot:
    """Mean predicted and actual per decile of the prediction."""
    table = money.deciles(actual, predicted)
    places = np.arange(1.0, len(table.predicted) + 1)
    curves = (_curve("predicted", places, table.predicted), _curve("actual", places, table.actual))
    return Plot("deciles", title, curves, "decile of the prediction", f"mean per customer {unit}".strip())


def _curve(name: str, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Curve:
    """A curve of the points that are defined."""
    defined = ~np.isnan(x) & ~np.isnan(y)
    return Curve(name, tuple(x[defined].tolist()), tuple(y[defined].tolist()))
