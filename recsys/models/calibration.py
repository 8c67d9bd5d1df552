"""From raw score to probability: isotonic steps where there are rows enough, a logistic curve where there are not.

Isotonic: Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability estimates" (2002).
Logistic: Platt, "Probabilistic outputs for support vector machines" (1999), with his smoothed targets.
Below about a thousand rows isotonic regression overfits (Niculescu-Mizil and Caruana, "Predicting good probabilities
with supervised learning", 2005, figure 7), so there `calibrate` takes the curve, above it the one with the smaller
cross-validated log loss.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numba
import numpy as np
import numpy.typing as npt

from recsys.errors import BundleError, NotEnoughData
from recsys.models.rows import Floats

FOLDS = 5
"""Folds of the cross-validation that chooses between steps and curve."""

FEW_ROWS = 1000
"""Below this many rows no steps are tried."""


@dataclass(frozen=True, slots=True, eq=False)
class Isotonic:
    """Probability as a rising, piecewise linear function through (x_k, y_k), flat beyond both ends; all y in (0, 1)."""

    x: Floats
    y: Floats

    @classmethod
    def fit(cls, raw: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> Self:
        """Fit on held-out rows: raw scores (n,), labels 0/1 (n,), weights (n,).

        One pseudo-row at the base rate is added at each end. Pooling gives it to the lowest and highest step, whose
        rates become (k + p)/(n + 1): never 0 or 1, so log loss stays finite, and the mean is kept.

        Raises:
            NotEnoughData: no rows.
        """
        from sklearn.isotonic import IsotonicRegression

        raw, label, weight = _columns(raw, label, weight)
        base = _base_rate(label, weight)
        order = np.argsort(raw, kind="stable")
        x = np.concatenate([raw[order[:1]], raw[order], raw[order[-1:]]])
        y = np.concatenate([[base], label[order], [base]])
        w = np.concatenate([[1.0], weight[order], [1.0]])
        fitted = IsotonicRegression(out_of_bounds="clip").fit(x, y, sample_weight=w)
        return cls(fitted.X_thresholds_.astype(np.float64), fitted.y_thresholds_.astype(np.float64))

    def apply(self, raw: npt.ArrayLike) -> Floats:
        """Probabilities (n,) of raw scores (n,)."""
        values: Floats = interpolate(np.ascontiguousarray(raw, dtype=np.float64), self.x, self.y)
        return values

    def to_json(self) -> dict[str, Any]:
        """As stored in a bundle."""
        return {"kind": "isotonic", "x": self.x.tolist(), "y": self.y.tolist()}


@dataclass(frozen=True, slots=True)
class Platt:
    """Probability = 1 / (1 + exp(−(slope · raw + shift))), slope ≥ 0 so that the order is kept."""

    slope: float
    shift: float

    @classmethod
    def fit(cls, raw: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> Self:
        """Fit on held-out rows by Newton's method, targets (k₁ + 1)/(k₁ + 2) and 1/(k₀ + 2).

        Raises:
            NotEnoughData: no rows.
        """
        raw, label, weight = _columns(raw, label, weight)
        positive, total = float(np.sum(weight * label)), float(np.sum(weight))
        target = np.where(label > 0, (positive + 1) / (positive + 2), 1 / (total - positive + 2))
        mean, spread = float(np.average(raw, weights=weight)), float(raw.std()) or 1.0
        slope, shift = _newton((raw - mean) / spread, target, weight)
        if slope < 0:
            slope, base = 0.0, float(np.average(target, weights=weight))
            shift = math.log(base / (1 - base))
        return cls(slope / spread, shift - slope * mean / spread)

    def apply(self, raw: npt.ArrayLike) -> Floats:
        """Probabilities (n,) of raw scores (n,)."""
        values: Floats = _sigmoid(np.ascontiguousarray(raw, dtype=np.float64), self.slope, self.shift)
        return values

    def to_json(self) -> dict[str, Any]:
        """As stored in a bundle."""
        return {"kind": "platt", "slope": self.slope, "shift": self.shift}


Calibration = Isotonic | Platt


def calibrate(raw: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> Calibration:
    """The calibration of smaller cross-validated log loss on held-out rows; `Platt` below `FEW_ROWS`.

    Folds are dealt by rank of the raw score, so equal input gives the equal choice.

    Raises:
        NotEnoughData: no rows.
    """
    raw, label, weight = _columns(raw, label, weight)
    if len(raw) < FEW_ROWS:
        return Platt.fit(raw, label, weight)
    fold = np.empty(len(raw), np.int64)
    fold[np.lexsort((label, raw))] = np.arange(len(raw)) % FOLDS
    losses = [
        sum(_held_out_loss(kind, raw, label, weight, fold == k) for k in range(FOLDS)) for kind in (Platt, Isotonic)
    ]
    return Isotonic.fit(raw, label, weight) if losses[1] < losses[0] else Platt.fit(raw, label, weight)


def calibration_from_json(stored: Mapping[str, Any]) -> Calibration:
    """Read `to_json()` of either kind.

    Raises:
        BundleError: damaged, or not a rising function into [0, 1].
    """
    try:
        if stored["kind"] == "platt":
            platt = Platt(float(stored["slope"]), float(stored["shift"]))
            sound = math.isfinite(platt.slope) and math.isfinite(platt.shift) and platt.slope >= 0
            curve: Calibration = platt
        else:
            steps = Isotonic(np.array(stored["x"], dtype=np.float64), np.array(stored["y"], dtype=np.float64))
            sound = stored["kind"] == "isotonic" and rises(steps.x, steps.y) and steps.y[0] >= 0 and steps.y[-1] <= 1
            curve = steps
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError("A calibration is damaged", found=f"{type(error).__name__}: {error}") from error
    if not sound:
        raise BundleError("A calibration is damaged", found=stored["kind"], expected="a rising curve into [0, 1]")
    return curve


def rises(x: Floats, y: Floats) -> bool:
    """Whether (x, y) are the knots of a finite rising function."""
    if x.ndim != 1 or x.shape != y.shape or not len(x) or not np.all(np.isfinite([x, y])):
        return False
    return bool(np.all(np.diff(x) > 0) and np.all(np.diff(y) >= 0))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def interpolate(values: Any, x: Any, y: Any) -> Any:
    """Piecewise linear function through the knots (x, y), flat beyond both ends; NaN stays NaN."""
    out = np.empty(values.size)
    for i in range(values.size):
        out[i] = interpolate_one(values[i], x, y)
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def interpolate_one(value: float, x: Any, y: Any) -> Any:
    """`interpolate` of one value."""
    if np.isnan(value) or value <= x[0]:
        return value if np.isnan(value) else y[0]
    if value >= x[-1]:
        return y[-1]
    k = np.searchsorted(x, value, side="right") - 1
    share = (value - x[k]) / (x[k + 1] - x[k])
    return min(y[k] + share * (y[k + 1] - y[k]), y[k + 1])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sigmoid(raw: Any, slope: float, shift: float) -> Any:
    out = np.empty(raw.size)
    for i in range(raw.size):
        out[i] = sigmoid_one(raw[i], slope, shift)
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sigmoid_one(raw: float, slope: float, shift: float) -> float:
    """`Platt.apply` of one score."""
    return 1.0 / (1.0 + math.exp(-(slope * raw + shift)))


def _columns(raw: Any, label: Any, weight: Any) -> tuple[Floats, Floats, Floats]:
    raw, label = np.asarray(raw, dtype=np.float64), np.asarray(label, dtype=np.float64)
    weight = np.ones(len(raw)) if weight is None else np.asarray(weight, dtype=np.float64)
    kept = weight > 0
    if not np.any(kept):
        raise NotEnoughData("No rows to calibrate on", found=0, expected="held-out rows with labels")
    return raw[kept], label[kept], weight[kept]


def _base_rate(label: Floats, weight: Floats) -> float:
    """Share of positives, drawn off 0 and 1 where all rows agree."""
    positive, total = float(np.sum(weight * label)), float(np.sum(weight))
    return positive / total if 0 < positive < total else (positive + 0.5) / (total + 1)


def _newton(raw: Floats, target: Floats, weight: Floats) -> tuple[float, float]:
    """Slope and shift of smallest weighted log loss; damped steps, a grain of ridge for separable rows."""
    slope, shift = 0.0, 0.0
    loss = _logistic_loss(slope, shift, raw, target, weight)
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(slope * raw + shift, -500, 500)))
        error, curvature = weight * (p - target), weight * p * (1 - p)
        gradient = np.array([np.sum(error * raw), np.sum(error)])
        cross = np.sum(curvature * raw)
        hessian = np.array([[np.sum(curvature * raw * raw), cross], [cross, np.sum(curvature)]]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while (
            size > 1e-6 and _logistic_loss(slope - size * step[0], shift - size * step[1], raw, target, weight) > loss
        ):
            size /= 2
        slope, shift = slope - size * float(step[0]), shift - size * float(step[1])
        former, loss = loss, _logistic_loss(slope, shift, raw, target, weight)
        if former - loss < 1e-12 * abs(loss):
            break
    return slope, shift


def _logistic_loss(slope: float, shift: float, raw: Floats, target: Floats, weight: Floats) -> float:
    z = slope * raw + shift
    return float(np.sum(weight * (np.logaddexp(0.0, z) - target * z)))


def _held_out_loss(
    kind: type[Platt] | type[Isotonic], raw: Floats, label: Floats, weight: Floats, held: npt.NDArray[np.bool_]
) -> float:
    """Summed log loss on the held rows of a curve fitted on the others."""
    p = np.clip(kind.fit(raw[~held], label[~held], weight[~held]).apply(raw[held]), 1e-12, 1 - 1e-12)
    return float(-np.sum(weight[held] * np.where(label[held] > 0, np.log(p), np.log1p(-p))))
