"""What each feature added to a forest's raw score: path-dependent TreeSHAP.

Lundberg, Erion, Lee, "Consistent individualized feature attribution for tree ensembles" (2018), Algorithm 2, written
per leaf. Let a leaf of value v lie below splits on d distinct features; for feature j let z_j be the share of training
rows that follow the path at j's splits, and let H be the features at whose splits the row itself follows it ("hot").
With Z = Π_{j∉H} z_j and c_k the coefficients of Π_{j∈H} (z_j + y), the leaf's part of the Shapley values is

    hot  i:  v·Z·(1 − z_i)·Σ_k  k!(d−1−k)!/d! · c_k^{without i}
    cold i: −v·Z·Σ_k k!(d−1−k)!/d! · c_k          (the same for every cold feature)

which equals LightGBM's `pred_contrib` up to rounding.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys.models.forest_kernel import TreeTables, goes_right


class PathTables(NamedTuple):
    """How to climb from a leaf; nodes of tree `t` start at 2·first[t] + t.

    parent  (nodes,)        split above the node within its tree, −1 at the root
    share   (nodes,)        training rows of the node ÷ those of its parent
    weight  (d + 1, d + 1)  weight[d, k] = k!(d−1−k)!/d!, d up to the features on the longest path
    bias    ()              expected raw score of a training row
    """

    parent: npt.NDArray[np.int32]
    share: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]
    bias: float


class Path(NamedTuple):
    """Scratch for one leaf's path: feature, share z and hotness of each distinct feature; polynomial, quotient."""

    feature: Any
    share: Any
    hot: Any
    whole: Any
    part: Any


@numba.njit(cache=True, nogil=True, error_model="numpy")
def contributions(X: Any, trees: TreeTables, paths: PathTables, depth: int, nodes: int) -> Any:
    """Shapley values (n, f + 1) of the rows of X (n, f); the last column is the bias.

    `depth` bounds the distinct features on a path, `nodes` the size of a tree.
    """
    out = np.zeros((X.shape[0], X.shape[1] + 1))
    follows = np.empty(nodes, np.bool_)
    path = Path(
        np.empty(depth, np.int32), np.empty(depth), np.empty(depth, np.bool_), np.empty(depth + 1), np.empty(depth + 1)
    )
    for row in range(X.shape[0]):
        for tree in range(trees.first.size - 1):
            base = trees.first[tree]
            splits = trees.first[tree + 1] - base
            _follow(X[row], tree, trees, follows)
            for leaf in range(splits, 2 * splits + 1):
                length = _climb(leaf, tree, trees, paths, follows, path)
                _share_out(trees.leaf_value[base + tree + leaf - splits], length, path, paths.weight, out[row])
        out[row, X.shape[1]] = paths.bias
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _follow(row: Any, tree: int, trees: TreeTables, follows: Any) -> None:
    """`follows[node]`: at the node's parent, this row would go to the node."""
    base = trees.first[tree]
    for i in range(base, trees.first[tree + 1]):
        value = np.float64(row[trees.feature[i]])
        right = goes_right(value, trees.threshold[i], trees.zero_right[i], trees.nan_right[i])
        follows[trees.right[i]] = right
        follows[trees.left[i]] = not right


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _climb(leaf: int, tree: int, trees: TreeTables, paths: PathTables, follows: Any, path: Path) -> int:
    """Fill `path` with the distinct features between a leaf and the root; returns their number."""
    base = trees.first[tree]
    start = 2 * base + tree
    length = 0
    node = np.int64(leaf)
    while paths.parent[start + node] >= 0:
        parent = np.int64(paths.parent[start + node])
        feature = trees.feature[base + parent]
        j = 0
        while j < length and path.feature[j] != feature:
            j += 1
        if j == length:
            path.feature[j], path.share[j], path.hot[j] = feature, 1.0, True
            length += 1
        path.share[j] *= paths.share[start + node]
        path.hot[j] &= follows[node]
        node = parent
    return length


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _share_out(value: float, length: int, path: Path, weight: Any, out: Any) -> None:
    """Add one leaf's part of the Shapley values to `out`; the formulas at the head of this module."""
    cold = value
    hot = 0
    path.whole[0] = 1.0
    for j in range(length):
        if path.hot[j]:
            _times(path.whole, hot, path.share[j])
            hot += 1
        else:
            cold *= path.share[j]
    absent = 0.0
    for k in range(hot + 1 if hot < length else 0):
        absent -= weight[length, k] * path.whole[k]
    for j in range(length):
        if path.hot[j]:
            present = _sum_without(path, hot, path.share[j], weight[length])
            out[path.feature[j]] += cold * (1.0 - path.share[j]) * present
        else:
            out[path.feature[j]] += cold * absent


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _times(polynomial: Any, degree: int, share: float) -> None:
    """Multiply a polynomial of this degree by (share + y)."""
    polynomial[degree + 1] = polynomial[degree]
    for k in range(degree, 0, -1):
        polynomial[k] = polynomial[k - 1] + share * polynomial[k]
    polynomial[0] *= share


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sum_without(path: Path, degree: int, share: float, weight: Any) -> float:
    """Σ_k weight_k · c_k of the polynomial divided by (share + y), by Horner's scheme from the top."""
    total = 0.0
    coefficient = 0.0
    for k in range(degree, 0, -1):
        coefficient = path.whole[k] - share * coefficient
        total += weight[k - 1] * coefficient
    return total
