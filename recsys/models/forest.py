"""A LightGBM model read from its text and evaluated without LightGBM."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from recsys.models import forest_kernel, shap
from recsys.models.forest_kernel import ALL, CutTables, StepTables, TreeTables
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

FEW_ROWS = 16
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
        trees, cuts = _tables(model)
        nodes = max((2 * len(tree.feature) + 1 for tree in model.trees), default=1)
        return cls(model.feature_names, model.objective, text, trees, cuts, _steps(trees), _paths(model), nodes)

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
        if len(X) >= FEW_ROWS:
            scores: Floats = forest_kernel.slice_rows(X, self.trees, self.cuts, self.nodes)
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


def _tables(model: ModelText) -> tuple[TreeTables, CutTables]:
    splits = [len(tree.feature) for tree in model.trees]
    feature, threshold = _column(model, "feature", np.int32), _column(model, "threshold", np.float64)
    missing = _column(model, "missing", np.uint8)
    zero_right = np.where(missing >= ZERO_LEFT, missing == ZERO_RIGHT, threshold < 0.0)
    nan_right = np.where(missing == NAN_IS_ZERO, threshold < 0.0, (missing == NAN_RIGHT) | (missing == ZERO_RIGHT))
    cut, cuts = _cuts(feature, threshold, zero_right, nan_right)
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
    return trees, cuts


def _cuts(feature: Any, threshold: Any, zero_right: Any, nan_right: Any) -> tuple[npt.NDArray[np.int32], CutTables]:
    """Number the distinct splits: by feature, then threshold."""
    keys = np.stack([feature, threshold, zero_right, nan_right], axis=1).astype(np.float64)
    distinct, cut = np.unique(keys, axis=0, return_inverse=True)
    features, first = np.unique(distinct[:, 0], return_index=True)
    cuts = CutTables(
        feature=features.astype(np.int32),
        first=np.append(first, len(distinct)).astype(np.int64),
        threshold=np.ascontiguousarray(distinct[:, 1]),
        zero_right=np.where(distinct[:, 2] > 0, ALL, np.uint64(0)),
        nan_right=np.where(distinct[:, 3] > 0, ALL, np.uint64(0)),
    )
    return cut.ravel().astype(np.int32), cuts


def _steps(trees: TreeTables) -> StepTables:
    """A column for each feature and way of taking its missing values; 0 stands for itself where it compares as it goes.

    NaN goes right and -inf left, whatever the threshold, as `value <= threshold` leads left.
    """
    zero = np.where(trees.zero_right == (trees.threshold < 0.0), 0, np.where(trees.zero_right, 1, 2))
    kinds = np.stack([trees.feature, trees.nan_right, zero], axis=1).astype(np.int64)
    distinct, column = np.unique(kinds, axis=0, return_inverse=True)
    with np.errstate(over="ignore"):
        rounded = trees.threshold.astype(np.float32)
    rounded = np.where(rounded > trees.threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded)
    feature, nan, zero = distinct.T
    missing = np.where(nan > 0, np.nan, -np.inf).astype(np.float32)
    nought = np.array([0.0, np.nan, -np.inf], np.float32)[zero]
    numbered = forest_kernel.number_nodes(trees, column.ravel(), rounded)
    return StepTables._make([*numbered, feature.astype(np.uint32), missing, nought])


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
