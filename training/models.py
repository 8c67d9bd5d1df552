"""The three models: how each is fitted, judged and windowed; the same functions for training and back-tests."""

from collections.abc import Callable
from dataclasses import dataclass

from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.errors import NotEnoughData
from recsys.evaluation.results import ModelName, ModelResult
from recsys.population.rhythm import default_offers_horizon, default_value_horizon, infer_horizon
from training.churn import fit_churn
from training.fits import ModelFit
from training.judge import judge_churn, judge_value
from training.judge_offers import judge_offers
from training.offers import fit_offers
from training.tables import Pasts
from training.value import fit_value
from training.windows import WindowRules, first_order

LONGEST_SHARE = 3
"""A horizon may take at most one part in this many of the history."""


@dataclass(frozen=True, slots=True)
class Modelling:
    """How one model is made: its fit, its judge, and how its training windows roll (see `WindowRules`)."""

    name: ModelName
    fit: Callable[..., ModelFit]
    judge: Callable[..., ModelResult]
    per_horizon: int
    most: int

    def rules(self, horizon_days: int) -> WindowRules:
        """Windows for this horizon."""
        return WindowRules(horizon_days, self.per_horizon, self.most)


MODELLING: dict[ModelName, Modelling] = {
    "offers": Modelling("offers", fit_offers, judge_offers, per_horizon=2, most=4),
    "churn": Modelling("churn", fit_churn, judge_churn, per_horizon=2, most=6),
    "value": Modelling("value", fit_value, judge_value, per_horizon=2, most=6),
}
"""By name, in the order they are trained."""


def span_days(snapshot: Snapshot, cut: int) -> float:
    """First order to `cut` [s] in days."""
    return (cut - first_order(snapshot.history)) / DAY


def default_horizon(name: ModelName, pasts: Pasts, cut: int) -> int:
    """Horizon of a model where none is set [days]; all are at most a fifth of the history up to `cut` [s].

    Churn's is inferred from the first three fifths of the history, so that the windows it is chosen and tested on, the
    last two fifths at most, had no say in it (`infer_horizon` takes at most a third of what it sees).
    """
    span = span_days(pasts.snapshot, cut)
    if name == "offers":
        return default_offers_horizon(span)
    if name == "value":
        return default_value_horizon(span)
    past = pasts.at(cut - int(0.4 * span * DAY))
    history = past.snapshot.history
    return infer_horizon(history.arrays(), history.order_start, past.as_of, past.zone)


def feasible_horizon(name: ModelName, pasts: Pasts, cut: int, wanted: int) -> int:
    """`wanted`, or the longest shorter horizon [days] that the history up to `cut` [s] can train.

    Raises:
        NotEnoughData: not even a day.
    """
    longest = int(span_days(pasts.snapshot, cut) / LONGEST_SHARE)
    if longest < 1:
        raise NotEnoughData(
            f"The history is too short to train {name}",
            found=f"{span_days(pasts.snapshot, cut):.1f} days",
            expected="at least 3 days",
        )
    return min(wanted, longest)
