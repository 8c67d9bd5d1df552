"""A forest of small trees for one row: the splits a row fails strike out leaves, and each tree keeps the leftmost left.

Trees of at most MOST_LEAVES leaves need a byte each while the splits are read column by column in one stream, a third
of the memory that walking down the trees touches: a customer's answer then leaves the processor's cache to the rest of
the service. Source: Lucchese et al., "QuickScorer" (SIGIR 2015), section 3.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys.models.forest import Forest
from recsys.models.forest_kernel import TreeTables, columns_of

MOST_LEAVES = 8
"""Leaves of a tree that a byte has bits for."""

MOST_TREES = 65_535

LOWEST = np.array([0, *((bits & -bits).bit_length() - 1 for bits in range(1, 256))], np.uint8)
"""Place of the lowest bit of each byte."""


class SmallTrees(NamedTuple):
    """The splits of a forest by column and threshold; those of cut c are `start[c]:start[c + 1]`.

    feature, nan, zero  (columns,)      as of `StepTables`
    first, rounded      (columns + 1,), (cuts,)  as of `CutTables`
    start               (cuts + 1,)     first split of each cut
    tree, kept          (splits,)       the split's tree, and the leaves left when a row goes right there, a bit each
    leaf                (trees,)        first leaf of each tree
    value               (leaves,)       from left to right
    """

    feature: npt.NDArray[np.uint32]
    nan: npt.NDArray[np.float32]
    zero: npt.NDArray[np.float32]
    first: npt.NDArray[np.int64]
    rounded: npt.NDArray[np.float32]
    start: npt.NDArray[np.int64]
    tree: npt.NDArray[np.uint16]
    kept: npt.NDArray[np.uint8]
    leaf: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]


def small_trees(forest: Forest) -> SmallTrees | None:
    """The tables of a forest; None for one of large trees."""
    trees, steps, cuts = forest.trees, forest.steps, forest.cuts
    splits = np.diff(trees.first)
    if len(splits) > MOST_TREES or splits.max(initial=0) >= MOST_LEAVES:
        return None
    order = np.argsort(trees.cut, kind="stable")
    start = np.searchsorted(trees.cut[order], np.arange(len(cuts.rounded) + 1))
    kept, value = _leaves(trees)
    return SmallTrees(
        steps.feature,
        steps.nan,
        steps.zero,
        cuts.first,
        cuts.rounded,
        start.astype(np.int64),
        np.repeat(np.arange(len(splits)), splits)[order].astype(np.uint16),
        kept[order],
        trees.first[:-1] + np.arange(len(splits)),
        value,
    )


def no_trees() -> SmallTrees:
    """Tables of no tree."""
    whole, single, double, byte = np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0), np.zeros(0, np.uint8)
    feature, tree = np.zeros(0, np.uint32), np.zeros(0, np.uint16)
    return SmallTrees(feature, single, single, whole, single, whole, tree, byte, whole, double)


def _leaves(trees: TreeTables) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """`kept` of all splits as `TreeTables` numbers them, and `value`."""
    kept, value = np.zeros(len(trees.feature), np.uint8), np.zeros(len(trees.leaf_value))
    for tree in range(len(trees.first) - 1):
        base, end = int(trees.first[tree]), int(trees.first[tree + 1])
        left, right, splits = trees.left[base:end].tolist(), trees.right[base:end].tolist(), end - base
        leaves, place = [0] * splits + [1] * (splits + 1), [0] * (2 * splits + 1)
        for node in reversed(range(splits)):  # children have larger numbers
            leaves[node] = leaves[left[node]] + leaves[right[node]]
        for node in range(splits):
            place[left[node]], place[right[node]] = place[node], place[node] + leaves[left[node]]
            kept[base + node] = 0xFF ^ (((1 << leaves[left[node]]) - 1) << place[node])
        first = base + tree
        value[first + np.array(place[splits:])] = trees.leaf_value[first : first + splits + 1]
    return kept, value


@numba.njit(cache=True, nogil=True, error_model="numpy")
def raw_of(row: Any, trees: SmallTrees) -> float:
    """Raw score of one row float32 (f,), as `forest_kernel.step_row` gives it."""
    columns, left = np.empty(trees.feature.size, np.float32), np.full(trees.leaf.size, 0xFF, np.uint8)
    columns_of(row, trees, columns)
    for at in range(columns.size):
        failed = _failed(columns[at], trees.rounded, trees.first[at], trees.first[at + 1])
        for split in range(trees.start[trees.first[at]], trees.start[failed]):
            left[trees.tree[split]] &= trees.kept[split]
    total = 0.0
    for tree in range(left.size):
        total += trees.value[trees.leaf[tree] + LOWEST[left[tree]]]
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _failed(value: float, rounded: Any, low: int, high: int) -> int:
    """One past the last of the ascending cuts `low:high` that lie below the value; all of them below NaN."""
    while low < high:
        middle = (low + high) >> 1
        if value <= rounded[middle]:
            high = middle
        else:
            low = middle + 1
    return low
