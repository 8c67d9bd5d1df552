"""Which instants a model is fitted, calibrated and judged at, so that nothing it learns from lies after the cut.

One fit at a cut C with horizon H sees rows up to C only:

    … start₂ ─── start₁ ──────── C - H ──────────── C            (labels of startᵢ end at startᵢ + H ≤ C - H)
      trees learn from these windows  calibrator, intervals

It is made three times by the same code: at E - 2H to choose (validation), at E - H to report (test), at E to serve, E
being the end of the data. All starts lie on one grid backwards from E, so that the fits share what is known at a start.

Where the history is too short, in this order:
1. trees and calibrator share the window (C - H, C], customers split in two halves by a hash of their id;
2. no test window: validation moves to E - H, and the figures reported are those the choice was made on;
3. no validation window either: no trees, a baseline calibrated on (E - H, E] is packaged;
4. shorter than one and a half horizons: nothing can be fitted, `NotEnoughData`.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY, to_iso
from recsys.data.history import PurchaseHistory
from recsys.errors import NotEnoughData

Stage = Literal["validation", "test", "final"]

WARM_UP = 0.5
"""Horizons of history a window needs before its start; with less, nobody's rhythm can be seen."""


@dataclass(frozen=True, slots=True)
class WindowRules:
    """How training windows roll.

    horizon_days  length of a window's labels [days]
    per_horizon   starts a horizon: 1 means windows that do not overlap, 4 a start every quarter of a horizon
    most          windows a fit takes, newest first
    """

    horizon_days: int
    per_horizon: int = 2
    most: int = 6

    @property
    def horizon(self) -> int:
        """Horizon [s]."""
        return self.horizon_days * DAY

    @property
    def step(self) -> int:
        """Distance between two starts [s]."""
        return self.horizon // self.per_horizon


@dataclass(frozen=True, slots=True)
class FitPlan:
    """Windows of one fit that sees rows up to `cut` [s].

    starts        where the trees' windows begin [s], newest first; empty where no trees can be fitted
    calibrate_at  start of the newest complete window (cut - H, cut] [s]
    shared        trees and calibrator share that window, each with half of the customers
    """

    cut: int
    horizon_days: int
    starts: tuple[int, ...]
    calibrate_at: int
    shared: bool = False


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """The three fits of one model; `notes` say in words what the history was too short for.

    validation, test  None where there is no window for them; `final` may have no starts (a baseline is packaged)
    """

    validation: FitPlan | None
    test: FitPlan | None
    final: FitPlan
    notes: tuple[str, ...] = ()


def plan_fit(first: int, cut: int, rules: WindowRules) -> FitPlan:
    """Windows of a fit at `cut` [s] on a history that begins at `first` [s].

    Raises:
        NotEnoughData: less than one and a half horizons lie between them.
    """
    earliest = first + int(WARM_UP * rules.horizon)
    newest = cut - rules.horizon
    if newest < earliest:
        raise NotEnoughData(
            f"The history is too short for a horizon of {rules.horizon_days} days",
            found=f"{(cut - first) / DAY:.0f} days up to {to_iso(cut)}",
            expected=f"at least {(1 + WARM_UP) * rules.horizon_days:.0f} days",
            cure="Take a shorter horizon",
        )
    starts = tuple(range(newest - rules.horizon, earliest - 1, -rules.step))[: rules.most]
    return FitPlan(cut, rules.horizon_days, starts or (newest,), newest, shared=not starts)


def plan_training(first: int, end: int, rules: WindowRules) -> TrainingPlan:
    """Validation, test and final fit of one model on a history from `first` to `end` [s].

    Raises:
        NotEnoughData: not even a baseline can be calibrated.
    """
    horizon, needed = rules.horizon, (1 + WARM_UP) * rules.horizon
    final = plan_fit(first, end, rules)
    if end - 2 * horizon - first >= needed:
        return TrainingPlan(plan_fit(first, end - 2 * horizon, rules), plan_fit(first, end - horizon, rules), final)
    if end - horizon - first >= needed:
        note = "The history has no window left for a test: the figures are those of the window that chose the model"
        return TrainingPlan(plan_fit(first, end - horizon, rules), None, final, (note,))
    note = "The history has no window to choose a model on: a baseline is packaged, unjudged"
    alone = FitPlan(end, rules.horizon_days, (), final.calibrate_at, shared=True)
    return TrainingPlan(None, None, alone, (note,))


def first_order(history: PurchaseHistory) -> int:
    """Instant of the oldest order [s]; customers' orders are sorted, so their first ones suffice."""
    owners = np.flatnonzero(np.diff(history.order_start))
    return int(history.order_time[history.order_start[:-1][owners]].min())


def halves(keys: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.bool_]:
    """Which customers belong to the first half, (n,), by a hash of their `keys` and the seed; order changes nothing."""
    return uniform(keys, seed) < 0.5


def uniform(keys: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each key, (n,): splitmix64 (Steele, Lea, Flood 2014) of key and seed."""
    with np.errstate(over="ignore"):
        mixed = keys + np.uint64(0x9E3779B97F4A7C15) * np.uint64(seed % 2**32 + 1)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53
