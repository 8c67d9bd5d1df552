"""Evaluating a forest: a bit-sliced kernel for many rows, a walk without branches for few; both give the same bits.

Bit-slicing: one 64-bit word stands for 64 rows. For every distinct cut (column, threshold) a mask says which rows go
left; a tree then divides its words of rows split by split, without asking which rows they are, and each leaf writes its
number beside the rows left in its words. Every row meets the trees in order, so its sum does not depend on the other
rows. Comparing 64 rows with a cut at once is that of RapidScorer (Ye et al., "RapidScorer", KDD 2018, section 4).
"""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys.models.words import ROWS, WORDS, at_most, divide, write

ZERO = np.float32(1e-35)
"""LightGBM takes a value of at most this size for 0 (kZeroThreshold)."""

BLOCK = ROWS * WORDS
"""Rows of one pass over the forest."""

TOGETHER = 4
"""Trees whose leaves are added in one go."""

MOST_LEAVES = 256
"""Leaves of a tree that a byte can number."""

ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


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
    """The distinct cuts by column of `StepTables`: column c owns the cuts `first[c]:first[c+1]`.

    threshold (cuts,) is that of the splits, for rows float64; `rounded` (cuts,) that of `StepTables`, for rows float32.
    """

    first: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    rounded: npt.NDArray[np.float32]


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
def slice_rows(X: Any, trees: TreeTables, steps: StepTables, first: Any, thresholds: Any, nodes: int) -> Any:
    """Raw scores (n,) of the rows of X (n, f), `BLOCK` rows at a time.

    `first` and `thresholds` are those of `CutTables`, the latter of the type of X; `nodes` is the size of the largest
    tree, which has at most `MOST_LEAVES` leaves.
    """
    out = np.zeros(X.shape[0])
    columns = np.empty((steps.feature.size, BLOCK), X.dtype)
    masks, words = np.empty((thresholds.size, WORDS), np.uint64), np.empty((nodes, WORDS), np.uint64)
    leaves = np.empty((TOGETHER, BLOCK), np.uint8)
    for begin in range(0, X.shape[0], BLOCK):
        block = X[begin : begin + BLOCK]
        _fill_columns(block, steps, columns)
        _fill_masks(columns, block.shape[0], first, thresholds, masks)
        _add_trees(block.shape[0], trees, masks, words, leaves, out[begin : begin + BLOCK])
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill_columns(X: Any, steps: StepTables, columns: Any) -> None:
    """Set `columns` (columns, ≥ n) to what `columns_of` makes of each row of X (n, f)."""
    for at in range(columns.shape[0]):
        column, feature = columns[at], steps.feature[at]
        nan, zero = steps.nan[at], steps.zero[at]
        for r in range(X.shape[0]):
            column[r] = X[r, feature]
        for r in range(X.shape[0]):  # apart from copying, and with choices in place of branches: vectors
            value = zero if abs(column[r]) <= ZERO else column[r]
            column[r] = nan if np.isnan(column[r]) else value


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill_masks(columns: Any, rows: int, first: Any, thresholds: Any, masks: Any) -> None:
    """Set `masks[cut]` for all cuts: bit r says that row r goes left; bits beyond the rows are left to chance."""
    flat, width = columns.reshape(-1), columns.shape[1]
    for at in range(columns.shape[0]):
        cuts = range(first[at], first[at + 1])
        if _all_alike(columns[at], rows):  # what is told of one customer is the same beside all items
            for cut in cuts:
                masks[cut, :] = ALL if columns[at, 0] <= thresholds[cut] else np.uint64(0)
            continue
        for cut in cuts:
            for k in range((rows + ROWS - 1) // ROWS):
                masks[cut, k] = at_most(flat, at * width + k * ROWS, thresholds[cut])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _all_alike(column: Any, rows: int) -> bool:
    """Whether the rows have one value, or none has any."""
    differs, value = False, column[0]
    for r in range(rows):
        differs |= (column[r] != value) & ((column[r] == column[r]) | (value == value))  # noqa: PLR0124 (NaN)
    return not differs


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_trees(rows: int, trees: TreeTables, masks: Any, words: Any, leaves: Any, out: Any) -> None:
    """Add the leaf of every row to its sum in `out`, tree by tree; a few trees a pass, since sums wait in memory."""
    n_trees = trees.first.size - 1
    for begin in range(0, n_trees, TOGETHER):
        end = min(begin + TOGETHER, n_trees)
        for tree in range(begin, end):
            _number_leaves(tree, rows, trees, masks, words, leaves[tree - begin])
        if end - begin == TOGETHER:
            _add_four(begin, rows, trees, leaves, out)
            continue
        for tree in range(begin, end):
            value, leaf = _values(tree, trees), leaves[tree - begin]
            for r in range(rows):
                out[r] += value[leaf[r]]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _number_leaves(tree: int, rows: int, trees: TreeTables, masks: Any, words: Any, leaf: Any) -> None:
    """Set `leaf[r]` to the number of the leaf that row r reaches in one tree."""
    base, end = trees.first[tree], trees.first[tree + 1]
    left, right, cut, splits = trees.left[base:end], trees.right[base:end], trees.cut[base:end], end - base
    words[0, :] = ALL
    for node in range(splits):
        divide(words, node, left[node], right[node], masks, cut[node])
    for k in range((rows + ROWS - 1) // ROWS):
        for number in range(splits + 1):
            write(leaf, k * ROWS, words[splits + number, k], number)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _values(tree: int, trees: TreeTables) -> Any:
    """Values of the leaves of a tree."""
    return trees.leaf_value[trees.first[tree] + tree :]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_four(tree: int, rows: int, trees: TreeTables, leaves: Any, out: Any) -> None:
    """Add the leaves of `TOGETHER` trees, the first of them `tree`, in their order."""
    a, b, c, d = _values(tree, trees), _values(tree + 1, trees), _values(tree + 2, trees), _values(tree + 3, trees)
    at, bt, ct, dt = leaves[0], leaves[1], leaves[2], leaves[3]
    for r in range(rows):
        out[r] = out[r] + a[at[r]] + b[bt[r]] + c[ct[r]] + d[dt[r]]
