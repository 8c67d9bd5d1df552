"""The churn model: how probable it is that a customer buys nothing within the horizon."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numba
import numpy as np
import numpy.typing as npt

from recsys.models.bundle import Bundle, BundleContent, Part
from recsys.models.calibration import Calibration, Platt, interpolate_one, sigmoid_one
from recsys.models.forest import Forest
from recsys.models.reading import expect_name, named, part_of
from recsys.models.rows import Floats, Rows
from recsys.models.scorers import Scorer
from recsys.models.small_trees import SmallTrees, no_trees, raw_of, small_trees
from recsys.models.spec import FeatureSpec


class ChurnTables(NamedTuple):
    """A churn model of small trees as one kernel takes it.

    x, y   float64        knots of `Isotonic`; none of `Platt`
    curve  float64 (2,)   slope and shift of `Platt`
    """

    trees: SmallTrees
    x: Floats
    y: Floats
    curve: Floats


@dataclass(frozen=True, slots=True)
class ChurnModel:
    """Scores customers; rows are customer features.

    curve      from raw score to probability
    version    the registry's version and the digest, as the loader names them
    threshold  probability from which on a contact pays, None where no costs are known
    tables     as the kernel of one row takes it; None where it is not made for the model
    """

    feature_spec: FeatureSpec
    scorer: Scorer
    curve: Calibration
    facts: Mapping[str, Any]
    version: str
    threshold: float | None = None
    tables: ChurnTables | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read once what every answer needs."""
        object.__setattr__(self, "tables", churn_tables(self))

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
        if self.tables is None:
            return float(self.probability(row.reshape(1, -1))[0])
        return float(probability_row(row, self.tables))

    def contributions(self, X: Rows) -> Floats:
        """What each feature added to the raw score, (n, f + 1), the last column the bias."""
        return self.scorer.contributions(X)


def churn_tables(model: ChurnModel | None) -> ChurnTables | None:
    """What the kernel of one row takes; of no model tables without trees, None for one it is not made for."""
    if model is None:
        return ChurnTables(no_trees(), np.zeros(0), np.zeros(0), np.zeros(2))
    scorer, curve = model.scorer, model.curve
    trees = small_trees(scorer) if isinstance(scorer, Forest) else None
    if trees is None:
        return None
    if isinstance(curve, Platt):
        return ChurnTables(trees, np.zeros(0), np.zeros(0), np.array([curve.slope, curve.shift]))
    return ChurnTables(trees, curve.x, curve.y, np.zeros(2))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def probability_row(row: Any, tables: ChurnTables) -> float:
    """`ChurnModel.probability` of one row (f,)."""
    raw = raw_of(row, tables.trees)
    if tables.x.size > 0:
        return float(interpolate_one(raw, tables.x, tables.y))
    return float(sigmoid_one(raw, tables.curve[0], tables.curve[1]))


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
