"""A linear score: what baselines are, so that they are trained, stored and served like any model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numba
import numpy as np

from recsys.errors import BundleError
from recsys.models.rows import Floats, Rows, checked_rows


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """raw = intercept + Σ_j weights_j · x_j, summed in the order of the features.

    weights, missing, reference  (f,); a NaN feature counts as `missing_j`; a feature of weight 0 is never read;
    contributions are weights_j · (x_j − reference_j), so `reference` is the customer one compares with
    """

    feature_names: tuple[str, ...]
    weights: Floats
    intercept: float
    missing: Floats
    reference: Floats

    @classmethod
    def of(
        cls,
        feature_names: tuple[str, ...],
        weights: Mapping[str, float],
        intercept: float = 0.0,
        *,
        missing: Mapping[str, float] | None = None,
        reference: Mapping[str, float] | None = None,
    ) -> Self:
        """A linear score from weights by name; names left out count 0.

        Raises:
            BundleError: a weight names no feature, or a number is not finite.
        """
        columns = [_by_name(feature_names, values or {}) for values in (weights, missing, reference)]
        return cls(feature_names, columns[0], _finite(float(intercept)), columns[1], columns[2])

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read `to_text()`.

        Raises:
            BundleError: the text is damaged.
        """
        try:
            stored = json.loads(text)
            names = tuple(map(str, stored["feature_names"]))
            fields = [
                dict(zip(names, map(float, stored[key]), strict=True)) for key in ("weights", "missing", "reference")
            ]
            intercept = float(stored["intercept"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BundleError(
                f"Linear model text is damaged ({type(error).__name__}: {error})", cure="Publish the model again"
            ) from error
        return cls.of(names, fields[0], intercept, missing=fields[1], reference=fields[2])

    @property
    def kind(self) -> str:
        """`linear`."""
        return "linear"

    def raw(self, X: Rows) -> Floats:
        """Raw scores (n,) of rows (n, f)."""
        scores: Floats = _raw(checked_rows(X, self.feature_names), self.weights, self.intercept, self.missing)
        return scores

    def contributions(self, X: Rows) -> Floats:
        """weights_j · (x_j − reference_j) as (n, f + 1); the last column is the raw score of the reference."""
        X = checked_rows(X, self.feature_names)
        values: Floats = _contributions(X, self.weights, self.intercept, self.missing, self.reference)
        return values

    def to_text(self) -> str:
        """Canonical JSON; numbers in the shortest form that reads back to the same bits."""
        stored = {
            "kind": self.kind,
            "feature_names": self.feature_names,
            "intercept": self.intercept,
            "weights": self.weights.tolist(),
            "missing": self.missing.tolist(),
            "reference": self.reference.tolist(),
        }
        return json.dumps(stored, sort_keys=True, indent=1, allow_nan=False)


def _by_name(names: tuple[str, ...], values: Mapping[str, float]) -> Floats:
    unknown = sorted(set(values) - set(names))
    if unknown or len(set(names)) != len(names):
        raise BundleError("A linear weight names no feature", found=unknown, expected=f"unique names out of {names}")
    return np.array([_finite(float(values.get(name, 0.0))) for name in names], dtype=np.float64)


def _finite(number: float) -> float:
    if not np.isfinite(number):
        raise BundleError("A number of a linear model is not finite", found=number, expected="a finite number")
    return number


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _filled(value: float, missing: float) -> float:
    return missing if np.isnan(value) else value


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _raw(X: Any, weights: Any, intercept: float, missing: Any) -> Any:
    out = np.empty(X.shape[0])
    for row in range(X.shape[0]):
        total = intercept
        for j in range(weights.size):
            if weights[j] != 0.0:
                total += weights[j] * _filled(np.float64(X[row, j]), missing[j])
        out[row] = total
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _contributions(X: Any, weights: Any, intercept: float, missing: Any, reference: Any) -> Any:
    out = np.zeros((X.shape[0], weights.size + 1))
    for row in range(X.shape[0]):
        out[row, weights.size] = intercept
        for j in range(weights.size):
            if weights[j] != 0.0:
                out[row, j] = weights[j] * (_filled(np.float64(X[row, j]), missing[j]) - reference[j])
                out[row, weights.size] += weights[j] * reference[j]
    return out
