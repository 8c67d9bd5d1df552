"""A LightGBM model read from its text and evaluated without LightGBM."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from recsys.models import forest_kernel, shap
from recsys.models.forest_kernel import MOST_LEAVES, CutTables, StepTables, TreeTables
from recsys.models.forest_text import (
    NAN_IS_ZERO,
    NAN_RIGHT,
    ZERO_LEFT,
    ZERO_RIGHT,
    ModelText,
    TreeArrays,
    parse_model,
)
from recsys.models.rows import Floats, Rows, checked_rows
from recsys.models.shap import PathTables

FEW_ROWS = 8
"""Below this many rows a walk down each tree is cheaper than the bit-sliced kernel."""


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Boosted trees; `raw` equals `Booster.predict(raw_score=True)` bit for bit, whatever the number of rows.

    Frozen and without scratch of its own, so threads may share one.
    `objective` is LightGBM's, e.g. `binary sigmoid:1`.
    """

    feature_names: tuple[str, ...]
    objective: str
    text: str
    trees: TreeTables
    cuts: CutTables
    steps: StepTables
    paths: PathTables
    nodes: int

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read `Booster.model_to_string()`.

        Raises:
            BundleError: the text is damaged.
            UnsupportedModel: categorical splits, linear leaves, several classes or a random forest.
        """
        model = parse_model(text)
        trees, steps, cuts = _tables(model)
        nodes = max((2 * len(tree.feature) + 1 for tree in model.trees), default=1)
        return cls(model.feature_names, model.objective, text, trees, cuts, steps, _paths(model), nodes)

    @property
    def kind(self) -> str:
        """`lightgbm`."""
        return "lightgbm"

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return len(self.trees.first) - 1

    def raw(self, X: Rows) -> Floats:
        """Raw scores (n,) of rows (n, f)."""
        X = checked_rows(X, self.feature_names)
        if len(X) >= FEW_ROWS and self.nodes < 2 * MOST_LEAVES:
            thresholds = self.cuts.rounded if X.dtype == np.float32 else self.cuts.threshold
            scores: Floats = forest_kernel.slice_rows(
                X, self.trees, self.steps, self.cuts.first, thresholds, self.nodes
            )
        elif X.dtype == np.float32:
            scores = forest_kernel.step(X, self.steps)
        else:
            scores = forest_kernel.walk(X, self.trees)
        return scores

    def contributions(self, X: Rows) -> Floats:
        """Shapley values (n, f + 1), the last column the bias; equals `Booster.predict(pred_contrib=True)`."""
        X = checked_rows(X, self.feature_names)
        depth = len(self.paths.weight)
        values: Floats = shap.contributions(X, self.trees, self.paths, depth, self.nodes)
        return values

    def to_text(self) -> str:
        """The text it was read from."""
        return self.text

    def thresholds(self, feature: int) -> Floats:
        """Distinct finite thresholds (k,) of one column, ascending."""
        mine = self.trees.threshold[self.trees.feature == feature]
        return np.unique(mine[np.isfinite(mine)])


def _column(model: ModelText, name: str, dtype: Any) -> npt.NDArray[Any]:
    """One field of all trees, end to end."""
    arrays = [getattr(tree, name) for tree in model.trees]
    return np.concatenate([np.empty(0, dtype), *arrays]).astype(dtype)


class _Columns(NamedTuple):
    """The columns that splits compare (columns,), see `StepTables`, and that of each split (splits,)."""

    feature: npt.NDArray[np.uint32]
    nan: npt.NDArray[np.float32]
    zero: npt.NDArray[np.float32]
    of: npt.NDArray[np.int64]


def _tables(model: ModelText) -> tuple[TreeTables, StepTables, CutTables]:
    splits = [len(tree.feature) for tree in model.trees]
    feature, threshold = _column(model, "feature", np.int32), _column(model, "threshold", np.float64)
    missing = _column(model, "missing", np.uint8)
    zero_right = np.where(missing >= ZERO_LEFT, missing == ZERO_RIGHT, threshold < 0.0)
    nan_right = np.where(missing == NAN_IS_ZERO, threshold < 0.0, (missing == NAN_RIGHT) | (missing == ZERO_RIGHT))
    columns, rounded = _columns(feature, threshold, zero_right, nan_right), _rounded(threshold)
    cut, cuts = _cuts(columns, threshold, rounded)
    trees = TreeTables(
        first=np.concatenate([[0], np.cumsum(splits)]).astype(np.int64),
        feature=feature,
        threshold=threshold,
        zero_right=zero_right,
        nan_right=nan_right,
        left=_column(model, "left", np.int32),
        right=_column(model, "right", np.int32),
        cut=cut,
        leaf_value=_column(model, "leaf_value", np.float64),
    )
    numbered = forest_kernel.number_nodes(trees, columns.of, rounded)
    return trees, StepTables._make([*numbered, *columns[:3]]), cuts


def _columns(feature: Any, threshold: Any, zero_right: Any, nan_right: Any) -> _Columns:
    """A column for each feature and way of taking its missing values; 0 stands for itself where it compares as it goes.

    NaN goes right and -inf left, whatever the threshold, as `value <= threshold` leads left.
    """
    zero = np.where(zero_right == (threshold < 0.0), 0, np.where(zero_right, 1, 2))
    kinds = np.stack([feature, nan_right, zero], axis=1).astype(np.int64)
    distinct, of = np.unique(kinds, axis=0, return_inverse=True)
    missing = np.where(distinct[:, 1] > 0, np.nan, -np.inf).astype(np.float32)
    nought = np.array([0.0, np.nan, -np.inf], np.float32)[distinct[:, 2]]
    return _Columns(distinct[:, 0].astype(np.uint32), missing, nought, of.ravel())


def _rounded(threshold: Floats) -> npt.NDArray[np.float32]:
    """Thresholds rounded down: no float32 lies between one and its own."""
    with np.errstate(over="ignore"):
        near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)


def _cuts(columns: _Columns, threshold: Floats, rounded: Any) -> tuple[npt.NDArray[np.int32], CutTables]:
    """Number the distinct splits: by column, then threshold."""
    keys = np.stack([columns.of, threshold], axis=1)
    distinct, sample, cut = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    first = np.searchsorted(distinct[:, 0], np.arange(len(columns.feature) + 1))
    cuts = CutTables(first.astype(np.int64), threshold[sample], rounded[sample])
    return cut.ravel().astype(np.int32), cuts


def _paths(model: ModelText) -> PathTables:
    parents = [_parents(tree) for tree in model.trees]
    shares = [_shares(tree, parent) for tree, parent in zip(model.trees, parents, strict=True)]
    longest = max((min(_depth(parent), len(model.feature_names)) for parent in parents), default=0)
    return PathTables(
        parent=np.concatenate([np.empty(0, np.int32), *parents]),
        share=np.concatenate([np.empty(0), *shares]),
        weight=_weights(longest),
        bias=sum((_expected(tree) for tree in model.trees), 0.0),
    )


def _parents(tree: TreeArrays) -> npt.NDArray[np.int32]:
    parent = np.full(len(tree.count), -1, np.int32)
    parent[tree.left] = parent[tree.right] = np.arange(len(tree.feature))
    return parent


def _shares(tree: TreeArrays, parent: npt.NDArray[np.int32]) -> Floats:
    """Training rows of each node ÷ those of its parent; 0 where the parent has none, 1 at the root."""
    above = np.where(parent >= 0, tree.count[parent], 1.0)
    shares = np.divide(tree.count, above, out=np.zeros(len(above)), where=above > 0)
    return np.where(parent >= 0, shares, 1.0)


def _depth(parent: npt.NDArray[np.int32]) -> int:
    """Splits on the longest path; a parent's number is below its children's."""
    depth = np.zeros(len(parent), np.int64)
    splits = len(parent) // 2
    for node in range(1, splits):
        depth[node] = depth[parent[node]] + 1
    return int(depth[:splits].max()) + 1 if splits else 0


def _weights(longest: int) -> Floats:
    """weight[d, k] = k!(d−1−k)!/d! = 1 / (d · C(d−1, k)), by the recursion of the binomials."""
    weights = np.zeros((longest + 1, longest + 1))
    for d in range(1, longest + 1):
        inverse = 1.0 / d
        for k in range(d):
            weights[d, k] = inverse
            inverse *= (k + 1) / max(d - 1 - k, 1)
    return weights


def _expected(tree: TreeArrays) -> float:
    """Mean leaf value over the training rows (Tree::ExpectedValue)."""
    leaves = tree.count[len(tree.feature) :]
    if len(leaves) == 1:
        return float(tree.leaf_value[0])
    return float(np.sum(leaves / max(tree.count[0], 1.0) * tree.leaf_value))
