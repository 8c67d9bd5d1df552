"""The churn model: how probable it is that a customer buys nothing within the horizon."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numba
import numpy as np
import numpy.typing as npt

from recsys.models.bundle import Bundle, BundleContent, Part
from recsys.models.calibration import Calibration, Platt, interpolate_one, sigmoid_one
from recsys.models.forest import Forest
from recsys.models.forest_kernel import StepTables, step_row
from recsys.models.reading import expect_name, named, part_of
from recsys.models.rows import Floats, Rows
from recsys.models.scorers import Scorer
from recsys.models.spec import FeatureSpec


@dataclass(frozen=True, slots=True)
class ChurnModel:
    """Scores customers; rows are customer features.

    curve      from raw score to probability
    version    the registry's version and the digest, as the loader names them
    threshold  probability from which on a contact pays, None where no costs are known
    """

    feature_spec: FeatureSpec
    scorer: Scorer
    curve: Calibration
    facts: Mapping[str, Any]
    version: str
    threshold: float | None = None

    @classmethod
    def from_bundle(cls, bundle: Bundle, version: str) -> Self:
        """Raises: BundleError if the bundle is no churn bundle or lacks something."""
        expect_name(bundle, "churn")
        content = bundle.content
        curve = named(content.calibrations, "churn", "calibration")
        return cls(content.spec, part_of(bundle, "churn").scorer, curve, content.facts, version)

    @property
    def horizon_days(self) -> int:
        """The probability is about this many days after `as_of` [days]."""
        return self.feature_spec.horizon_days

    def raw(self, X: Rows) -> Floats:
        """Uncalibrated scores (n,) of rows (n, f); for ranking customers."""
        return self.scorer.raw(X)

    def probability(self, X: Rows) -> Floats:
        """P(no purchase within the horizon) (n,) of rows (n, f)."""
        return self.curve.apply(self.scorer.raw(X))

    def probability_one(self, row: npt.NDArray[np.float32]) -> float:
        """`probability` of one customer's row (f,): the same bits by one kernel, or by those of many rows."""
        scorer, curve = self.scorer, self.curve
        if not isinstance(scorer, Forest):
            return float(self.probability(row.reshape(1, -1))[0])
        if isinstance(curve, Platt):
            return float(_platt_row(row, scorer.steps, curve.slope, curve.shift))
        return float(_isotonic_row(row, scorer.steps, curve.x, curve.y))

    def contributions(self, X: Rows) -> Floats:
        """What each feature added to the raw score, (n, f + 1), the last column the bias."""
        return self.scorer.contributions(X)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _platt_row(row: Any, trees: StepTables, slope: float, shift: float) -> Any:
    return sigmoid_one(step_row(row, trees, np.empty(trees.feature.size, np.float32)), slope, shift)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _isotonic_row(row: Any, trees: StepTables, x: Any, y: Any) -> Any:
    return interpolate_one(step_row(row, trees, np.empty(trees.feature.size, np.float32)), x, y)


def churn_content(
    spec: FeatureSpec,
    scorer: Scorer,
    curve: Calibration,
    *,
    facts: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> BundleContent:
    """What a churn bundle consists of."""
    return BundleContent(
        name="churn",
        spec=spec,
        parts={"churn": Part(scorer)},
        calibrations={"churn": curve},
        facts=facts or {},
        metrics=metrics or {},
    )
