"""Evaluating a forest: a bit-sliced kernel for many rows, a walk without branches for few; both give the same bits.

Bit-slicing: one 64-bit word stands for 64 rows. For every distinct cut (feature, threshold, sides of zero and NaN) a
mask says which rows go right; a tree then divides its word of rows split by split, and each leaf adds its value to the
rows left in its word. Every row meets the trees in order, so its sum does not depend on the other rows.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

ZERO = float(np.float32(1e-35))
"""LightGBM takes a value of at most this size for 0 (kZeroThreshold)."""

WORDS = 4
"""Words of 64 rows that one pass over the forest handles."""

BLOCK = 64 * WORDS
"""Rows of one pass."""

ONE, ALL = np.uint64(1), np.uint64(0xFFFF_FFFF_FFFF_FFFF)


class TreeTables(NamedTuple):
    """All trees end to end; tree `t` owns the splits `first[t]:first[t+1]`.

    A tree with m splits has 2m + 1 nodes: its splits 0..m-1, then its leaves m..2m; children are such numbers.

    first                  (trees + 1,) first split of each tree
    feature, threshold     (splits,)    right iff this column's value exceeds the threshold
    zero_right, nan_right  (splits,)    whether 0 and NaN go right
    left, right            (splits,)    children
    cut                    (splits,)    the split's row in `CutTables`
    leaf_value             (leaves,)    leaves of tree t start at first[t] + t
    """

    first: npt.NDArray[np.int64]
    feature: npt.NDArray[np.int32]
    threshold: npt.NDArray[np.float64]
    zero_right: npt.NDArray[np.bool_]
    nan_right: npt.NDArray[np.bool_]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    cut: npt.NDArray[np.int32]
    leaf_value: npt.NDArray[np.float64]


class CutTables(NamedTuple):
    """The distinct splits by feature; `feature[g]` owns the cuts `first[g]:first[g+1]`, thresholds ascending.

    `zero_right` and `nan_right` (cuts,) are all-ones words where 0 or NaN go right, else 0.
    """

    feature: npt.NDArray[np.int32]
    first: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    zero_right: npt.NDArray[np.uint64]
    nan_right: npt.NDArray[np.uint64]


class StepTables(NamedTuple):
    """The trees as a walk without branches takes them: node by node, siblings beside each other, right before left.

    From node i one goes on to `next[i] + (column value <= threshold[i])`; a leaf leads to itself, so that every path of
    a tree may be walked `depth` steps long. Columns are features as a split takes them, see `columns_of`.

    root, depth            (trees,)    first node, steps of the longest path
    next, column           (nodes,)    right child, column
    threshold              (nodes,)    rounded down: no float32 lies between it and the split's own; NaN of a leaf
    value                  (nodes,)    of a leaf
    feature                (columns,)  what a column is made of
    nan, zero              (columns,)  what stands for NaN and for 0; NaN goes right everywhere, -inf left
    """

    root: npt.NDArray[np.uint32]
    depth: npt.NDArray[np.uint32]
    next: npt.NDArray[np.uint32]
    column: npt.NDArray[np.uint32]
    threshold: npt.NDArray[np.float32]
    value: npt.NDArray[np.float64]
    feature: npt.NDArray[np.uint32]
    nan: npt.NDArray[np.float32]
    zero: npt.NDArray[np.float32]


@intrinsic
def trailing_zeros(_context: Any, word: Any) -> Any:  # noqa: ARG001 (numba reads the parameter's name)
    """Number of zero bits below the lowest one of a non-zero 64-bit word."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@numba.njit(cache=True, nogil=True, error_model="numpy")
def goes_right(value: float, threshold: float, zero_right: bool, nan_right: bool) -> bool:
    """One split's decision (Tree::NumericalDecision, after the predictor has taken tiny values for 0)."""
    if np.isnan(value):
        return nan_right
    if abs(value) <= ZERO:
        return zero_right
    return value > threshold


@numba.njit(cache=True, nogil=True, error_model="numpy")
def walk(X: Any, trees: TreeTables) -> Any:
    """Raw scores (n,) of the rows of X (n, f), each row walking down each tree."""
    out = np.zeros(X.shape[0])
    for row in range(X.shape[0]):
        for tree in range(trees.first.size - 1):
            base = trees.first[tree]
            splits = trees.first[tree + 1] - base
            node = np.int64(0)
            while node < splits:
                i = base + node
                value = np.float64(X[row, trees.feature[i]])
                right = goes_right(value, trees.threshold[i], trees.zero_right[i], trees.nan_right[i])
                node = np.int64(trees.right[i]) if right else np.int64(trees.left[i])
            out[row] += trees.leaf_value[base + tree + node - splits]
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def step(X: Any, trees: StepTables) -> Any:
    """Raw scores (n,) of the float32 rows of X (n, f), as `walk` gives them."""
    out, columns = np.empty(X.shape[0]), np.empty(trees.feature.size, np.float32)
    for row in range(X.shape[0]):
        out[row] = step_row(X[row], trees, columns)
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def step_row(row: Any, trees: StepTables, columns: Any) -> float:
    """Raw score of one row float32 (f,); `columns` float32 (columns,) is scratch.

    Which child comes next is added, not asked: trees don't wait for each other then, and no branch is guessed wrong.
    """
    columns_of(row, trees, columns)
    total = 0.0
    for tree in range(trees.root.size):
        node = trees.root[tree]
        for _ in range(trees.depth[tree]):
            node = trees.next[node] + np.uint32(columns[trees.column[node]] <= trees.threshold[node])
        total += trees.value[node]
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def columns_of(row: Any, trees: StepTables, columns: Any) -> None:
    """The row's features with their missing values as each kind of split takes them."""
    for at in range(columns.size):
        value = row[trees.feature[at]]
        if np.isnan(value):
            value = trees.nan[at]
        elif abs(value) <= ZERO:
            value = trees.zero[at]
        columns[at] = value


@numba.njit(cache=True, nogil=True, error_model="numpy")
def number_nodes(trees: TreeTables, column: Any, threshold: Any) -> Any:
    """Root and depth of each tree, and for all nodes next, column, threshold and value, as `StepTables` says.

    `column` and `threshold` (splits,) are those of the splits.
    """
    n_trees, n_splits = trees.first.size - 1, trees.feature.size
    n = 2 * n_splits + n_trees
    root, depth = np.empty(n_trees, np.uint32), np.zeros(n_trees, np.uint32)
    following, value = np.empty(n, np.uint32), np.zeros(n)
    columns, thresholds = np.zeros(n, np.uint32), np.full(n, np.float32(np.nan))
    node_of, level = np.empty(n, np.int64), np.zeros(n, np.uint32)
    free = 0
    for tree in range(n_trees):
        base = trees.first[tree]
        splits = trees.first[tree + 1] - base
        root[tree], node_of[free], level[free] = free, 0, 0
        at, free = free, free + 1
        while at < free:
            old = node_of[at]
            following[at] = at
            depth[tree] = max(depth[tree], level[at])
            if old < splits:
                following[at], columns[at], thresholds[at] = free, column[base + old], threshold[base + old]
                node_of[free], node_of[free + 1] = trees.right[base + old], trees.left[base + old]
                level[free], level[free + 1] = level[at] + 1, level[at] + 1
                free += 2
            else:
                value[at] = trees.leaf_value[base + tree + old - splits]
            at += 1
    return root, depth, following, columns, thresholds, value


@numba.njit(cache=True, nogil=True, error_model="numpy")
def slice_rows(X: Any, trees: TreeTables, cuts: CutTables, nodes: int) -> Any:
    """Raw scores (n,) of the rows of X (n, f), `BLOCK` rows at a time; `nodes` is the size of the largest tree."""
    out = np.zeros(X.shape[0])
    masks = np.empty((cuts.threshold.size, WORDS), np.uint64)
    words = np.empty((nodes, WORDS), np.uint64)
    values, place = np.empty(BLOCK), np.empty(BLOCK, np.int32)
    for first in range(0, X.shape[0], BLOCK):
        rows = min(BLOCK, X.shape[0] - first)
        masks[:] = 0
        for group in range(cuts.feature.size):
            _fill_masks(X, first, rows, cuts, group, masks, values, place)
        for tree in range(trees.first.size - 1):
            _divide(tree, rows, trees, masks, words)
            _add_leaves(tree, trees, words, out[first : first + rows])
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill_masks(
    X: Any, first: int, rows: int, cuts: CutTables, group: int, masks: Any, values: Any, place: Any
) -> None:
    """Set `masks[cut]` for all cuts of one feature: bit r says that row `first + r` goes right."""
    begin, end = cuts.first[group], cuts.first[group + 1]
    zeros, nans = np.zeros(WORDS, np.uint64), np.zeros(WORDS, np.uint64)
    for r in range(rows):
        value = float(X[first + r, cuts.feature[group]])
        if np.isnan(value):
            nans[r >> 6] |= ONE << np.uint64(r & 63)
            value = -np.inf
        elif abs(value) <= ZERO:
            zeros[r >> 6] |= ONE << np.uint64(r & 63)
            value = -np.inf
        values[r] = value
    _count_below(cuts.threshold[begin:end], values, rows, place)
    for r in range(rows):
        if place[r] > 0:
            masks[begin + place[r] - 1, r >> 6] |= ONE << np.uint64(r & 63)
    above = np.zeros(WORDS, np.uint64)
    for cut in range(end - 1, begin - 1, -1):
        for k in range(WORDS):
            above[k] |= masks[cut, k]
            masks[cut, k] = above[k] | (zeros[k] & cuts.zero_right[cut]) | (nans[k] & cuts.nan_right[cut])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _count_below(thresholds: Any, values: Any, rows: int, place: Any) -> None:
    """`place[r]` = how many of the ascending thresholds lie below `values[r]`.

    One binary search for all rows in step: without branches, so that the compiler uses vectors.
    """
    for r in range(rows):
        place[r] = 0
    width = thresholds.size
    while width > 1:
        half = width >> 1
        for r in range(rows):
            place[r] += np.int32(half) if thresholds[place[r] + half - 1] < values[r] else np.int32(0)
        width -= half
    for r in range(rows):
        place[r] += np.int32(1) if thresholds[place[r]] < values[r] else np.int32(0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _divide(tree: int, rows: int, trees: TreeTables, masks: Any, words: Any) -> None:
    """Set `words[node]` of one tree: bit r says that row r of the block reaches the node."""
    for k in range(WORDS):
        rest = rows - 64 * k
        words[0, k] = ALL if rest >= 64 else (ONE << np.uint64(max(rest, 0))) - ONE
    base = trees.first[tree]
    for node in range(trees.first[tree + 1] - base):
        left, right, cut = trees.left[base + node], trees.right[base + node], trees.cut[base + node]
        for k in range(WORDS):
            word, mask = words[node, k], masks[cut, k]
            words[right, k] = word & mask
            words[left, k] = word & ~mask


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_leaves(tree: int, trees: TreeTables, words: Any, out: Any) -> None:
    """Add each leaf's value to the rows that reach it."""
    base = trees.first[tree]
    splits = trees.first[tree + 1] - base
    for leaf in range(splits + 1):
        value = trees.leaf_value[base + tree + leaf]
        for k in range(WORDS):
            word = words[splits + leaf, k]
            while word != 0:
                out[64 * k + np.int64(trailing_zeros(word))] += value
                word &= word - ONE
