"""Rows that churn and value are fitted on: customers at the start of each window, and what they did in it."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from recsys.errors import NotEnoughData
from training.tables import Features, Past, Pasts
from training.windows import FitPlan, halves, uniform

BUDGET = 1_000_000
"""Rows the trees learn from at most; larger bases give a share of their customers, chosen by hash."""

LEAST = 30
"""Customers a window needs before anything is learned from it."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Customers at the starts of one or more windows.

    X       float32 (n, n_features)  what was known at the start
    orders  int64 (n,)               orders within the horizon
    spend   int64 (n,)               what they brought, refunds subtracted [minor units]
    """

    X: Features
    orders: npt.NDArray[np.int64]
    spend: npt.NDArray[np.int64]

    @property
    def left(self) -> npt.NDArray[np.float64]:
        """1.0 for no purchase within the horizon, (n,)."""
        return np.where(self.orders == 0, 1.0, 0.0)

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """All rows of `parts`, in their order."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("X", "orders", "spend")))


@dataclass(frozen=True, slots=True, eq=False)
class FitSamples:
    """`train` for the trees (None where the plan has no window for them), `held_out` for all else."""

    train: Sample | None
    held_out: Sample


def sample_at(pasts: Pasts, start: int, horizon_days: int, known_until: int) -> Sample:
    """Everyone known at `start` [s] with the labels of the following horizon, which end by `known_until` [s]."""
    past = pasts.at(start)
    labels = pasts.outcomes(start, horizon_days, known_until=known_until)
    return Sample(past.rows(horizon_days), labels.orders, labels.spend)


def fit_samples(pasts: Pasts, plan: FitPlan, *, seed: int) -> FitSamples:
    """The rows of one fit.

    Raises:
        NotEnoughData: the newest window has fewer than `LEAST` customers.
    """
    held_out = sample_at(pasts, plan.calibrate_at, plan.horizon_days, plan.cut)
    if len(held_out.orders) < LEAST:
        raise NotEnoughData(
            "Too few customers to learn from",
            found=len(held_out.orders),
            expected=f"at least {LEAST} before the window",
        )
    if not plan.starts:
        return FitSamples(None, held_out)
    if plan.shared:
        first = halves(pasts.at(plan.calibrate_at).keys, seed)
        return FitSamples(some(held_out, first), some(held_out, ~first))
    parts = [_share(pasts, start, plan, seed) for start in plan.starts]
    train = Sample.joined(parts)
    return FitSamples(train if len(train.orders) >= LEAST else None, held_out)


def sample_keys(pasts: Pasts, plan: FitPlan, *, seed: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Keys of the customers behind the rows that `fit_samples` gives: those of `train`, those of `held_out`."""
    newest = pasts.at(plan.calibrate_at).keys
    if plan.shared:
        first = halves(newest, seed)
        return newest[first], newest[~first]
    parts = [pasts.at(start) for start in plan.starts]
    kept = [past.keys[within_budget(past, BUDGET // len(parts), seed)] for past in parts]
    return np.concatenate([*kept, newest[:0]]), newest


def _share(pasts: Pasts, start: int, plan: FitPlan, seed: int) -> Sample:
    """Customers of one window, no more than its part of the budget."""
    whole = sample_at(pasts, start, plan.horizon_days, plan.cut)
    return some(whole, within_budget(pasts.at(start), BUDGET // len(plan.starts), seed))


def within_budget(past: Past, budget: int, seed: int) -> npt.NDArray[np.bool_]:
    """Which customers to keep so that about `budget` remain, (n_customers,); always the same ones for a seed."""
    return uniform(past.keys, seed + 1) < budget / max(1, len(past.keys))


def some(sample: Sample, kept: npt.NDArray[np.bool_]) -> Sample:
    """The rows of `sample` that are `kept`, bool (n,)."""
    return sample if kept.all() else Sample(sample.X[kept], sample.orders[kept], sample.spend[kept])
