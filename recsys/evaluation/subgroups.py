"""Groups of customers, and whether a forecast is off for one of them beyond chance.

A forecast can be right in sum and wrong for newcomers. What the whole base is off by is told apart from what a group is
off by: forecasts are first set right in total, then each group's sum is compared with its forecast. Many groups are
asked at once, so p-values are corrected (Holm, *A simple sequentially rejective multiple test procedure*, Scandinavian
Journal of Statistics 6, 1979).
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.evaluation.results import GroupCheck

Floats = npt.NDArray[np.float64]
Members = Mapping[str, npt.NDArray[np.bool_]]
"""Name of a group → who belongs to it, (n_customers,); groups may overlap."""

LEAST = 50
"""Customers a group needs to be looked at."""

SIGNIFICANT = 0.05
"""Corrected p-value below which a group is off beyond chance."""

MATTERS = {"churn": 0.02, "value": 0.1}
"""How far a group must be off to be worth a warning: points of probability, share of the group's forecast."""

REGULAR_DAYS = 4
"""Purchase days from which on a customer is a regular."""

MOST_VALUES = 12
"""Texts of more values than this (ids, streets) make no groups."""


def behaviour_groups(
    rows: npt.NDArray[np.float32], names: Sequence[str], horizon_days: int
) -> dict[str, npt.NDArray[np.bool_]]:
    """Groups of what customers did so far, from their features (n, f); masks (n,).

    new        first purchase within one horizon
    passers-by one purchase day, longer ago
    regulars   REGULAR_DAYS purchase days or more, the last within one horizon
    silent     bought repeatedly, but not within one horizon
    top value  the tenth that spent most so far
    """
    first, last, days, spend = (
        rows[:, names.index(name)].astype(np.float64)
        for name in ("days_since_first", "days_since_last", "purchase_days", "spend")
    )
    new = first <= horizon_days
    groups = {
        "new": new,
        "passers-by": ~new & (days <= 1),
        "regulars": (days >= REGULAR_DAYS) & (last <= horizon_days),
        "silent": ~new & (days > 1) & (last > horizon_days),
        "top value": spend >= np.nanquantile(spend, 0.9) if len(spend) else new,
    }
    return {name: np.asarray(each & np.isfinite(first)) for name, each in groups.items()}


def attribute_groups(attributes: Mapping[str, Sequence[object]]) -> dict[str, npt.NDArray[np.bool_]]:
    """Groups of equal attributes, numbers in quarters: `name: value` → mask (n,); None belongs to no group."""
    groups: dict[str, npt.NDArray[np.bool_]] = {}
    for name, column in attributes.items():
        told = [value for value in column if value is not None]
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in told)
        values = _quarters(column) if numeric else [None if value is None else str(value) for value in column]
        known = sorted({value for value in values if value is not None})
        if 1 < len(known) <= MOST_VALUES:
            held = np.array(values, dtype=object)
            groups |= {f"{name}: {value}": held == value for value in known}
    return groups


def _quarters(column: Sequence[object]) -> list[str | None]:
    """Each number as the quarter it lies in, few different ones as they are."""
    numbers = np.array([np.nan if value is None else float(value) for value in column])  # type: ignore[arg-type]
    known = np.unique(numbers[np.isfinite(numbers)])
    if len(known) <= MOST_VALUES:
        return [None if np.isnan(number) else f"{number:g}" for number in numbers]
    edges = np.quantile(numbers[np.isfinite(numbers)], (0.25, 0.5, 0.75))
    low, middle, high = (f"{edge:g}" for edge in edges)
    names = [f"up to {low}", f"{low} to {middle}", f"{middle} to {high}", f"over {high}"]
    place = np.searchsorted(edges, numbers)
    return [None if np.isnan(number) else names[k] for number, k in zip(numbers, place, strict=True)]


def check_chances(label: Floats, p: Floats, groups: Members) -> tuple[GroupCheck, ...]:
    """Groups of a forecast of probabilities: `label` 0 or 1, `p` (n,); error is the Brier score."""
    level = _level(p, float(label.mean())) if 0 < label.mean() < 1 else p
    deviation = np.sqrt(level * (1 - level))
    error = (p - label) ** 2
    return _checked(Forecasts(label, p, level, deviation, error), groups, MATTERS["churn"], relative=False)


def check_amounts(actual: Floats, expected: Floats, groups: Members) -> tuple[GroupCheck, ...]:
    """Groups of a forecast of amounts, (n,) each; error is the absolute one."""
    ratio = float(actual.sum() / expected.sum()) if expected.sum() > 0 else 1.0
    level = expected * ratio
    found = Forecasts(actual, expected, level, np.abs(actual - level), np.abs(expected - actual))
    return _checked(found, groups, MATTERS["value"], relative=True)


class Forecasts(NamedTuple):
    """What happened, what was told, what was told once set right in total, its standard deviation, the error, (n,)."""

    actual: Floats
    told: Floats
    level: Floats
    deviation: Floats
    error: Floats


def _checked(forecasts: Forecasts, groups: Members, matters: float, *, relative: bool) -> tuple[GroupCheck, ...]:
    """One check a group of LEAST customers or more."""
    actual, told, level, deviation, error = forecasts
    kept = {name: mask for name, mask in groups.items() if mask.sum() >= LEAST}
    z = [_z(actual[mask], level[mask], deviation[mask]) for mask in kept.values()]
    corrected = holm([math.erfc(abs(each) / math.sqrt(2)) for each in z])
    found = []
    for (name, mask), p in zip(kept.items(), corrected, strict=True):
        off = abs(float(actual[mask].mean() - level[mask].mean()))
        size = off / max(float(level[mask].mean()), 1e-12) if relative else off
        found.append(
            GroupCheck(
                group=name,
                customers=int(mask.sum()),
                actual=float(actual[mask].mean()),
                predicted=float(told[mask].mean()),
                expected=float(level[mask].mean()),
                error=float(error[mask].mean()),
                p_value=p,
                off=p < SIGNIFICANT and size >= matters,
            )
        )
    return tuple(found)


def _z(actual: Floats, level: Floats, deviation: Floats) -> float:
    """How many standard errors the sum is off."""
    spread = float(np.sqrt((deviation**2).sum()))
    return float((actual - level).sum()) / spread if spread > 0 else 0.0


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number: the probability of any false alarm among them stays below the level."""
    order = np.argsort(p_values, kind="stable")
    corrected, worst = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = worst
    return corrected


def _level(p: Floats, rate: float) -> Floats:
    """`p` with the log-odds moved so that their mean is `rate`."""
    odds = np.log(np.clip(p, 1e-9, 1 - 1e-9)) - np.log1p(-np.clip(p, 1e-9, 1 - 1e-9))
    low, high = -20.0, 20.0
    for _ in range(80):
        middle = (low + high) / 2
        above = float((1 / (1 + np.exp(-(odds + middle)))).mean()) >= rate
        low, high = (low, middle) if above else (middle, high)
    moved: Floats = 1 / (1 + np.exp(-(odds + low)))
    return moved


def warning(model: str, check: GroupCheck) -> str:
    """A group that is off, in words."""
    if model == "churn":
        figures = f"{check.actual:.1%} left, {check.expected:.1%} was to be expected"
    else:
        figures = f"{check.actual / max(check.expected, 1e-12):.2f} times what was to be expected"
    return (
        f"{model}: off for the group {check.group} ({check.customers:,} customers): {figures} by the base's own level"
    )
