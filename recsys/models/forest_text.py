"""Reading LightGBM's model text, format `tree` v3/v4, into flat typed arrays; everything is checked, nothing trusted.

LightGBM itself crashes the process on damaged text, so nothing here calls it. The format is what
`src/io/gbdt_model_text.cpp` and `src/io/tree.cpp` of LightGBM write.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.errors import BundleError, UnsupportedModel
from recsys.models.pacing import parts_of
from recsys.models.rows import Floats

CATEGORICAL, DEFAULT_LEFT, MISSING_SHIFT = 1, 2, 2
"""Bits of LightGBM's `decision_type`: categorical split, default side, then two bits of missing type."""

NAN_IS_ZERO, NAN_LEFT, NAN_RIGHT, ZERO_LEFT, ZERO_RIGHT = range(5)
"""How a split treats a missing value: NaN counts as 0; NaN goes left or right; NaN and 0 go left or right."""

MAX_TREES, MAX_LEAVES, MAX_FEATURES = 100_000, 131_072, 100_000
"""Sizes beyond these are damage, not models."""

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class TreeArrays:
    """One tree with `m` splits and `m + 1` leaves; a child `c` is split `c` if `c < m`, else leaf `c - m`.

    feature, threshold  (m,) the split: right iff the value exceeds the threshold, which may be infinite
    missing             (m,) where a missing value goes: `NAN_IS_ZERO` … `ZERO_RIGHT`
    left, right         (m,) children; a child split comes after its parent
    leaf_value          (m + 1,)
    count               (2m + 1,) training rows in each split and leaf
    """

    feature: Ints
    threshold: Floats
    missing: npt.NDArray[np.uint8]
    left: Ints
    right: Ints
    leaf_value: Floats
    count: Floats


@dataclass(frozen=True, slots=True, eq=False)
class ModelText:
    """What the text says: names of the columns, the objective's line, the trees in order."""

    feature_names: tuple[str, ...]
    objective: str
    trees: tuple[TreeArrays, ...]


def parse_model(text: str) -> ModelText:
    """Read one LightGBM model.

    Raises:
        BundleError: the text is damaged.
        UnsupportedModel: it is sound, but holds categorical splits, linear leaves, several classes or a random forest.
    """
    try:
        return _parse(text)
    except (ValueError, KeyError, OverflowError, IndexError) as error:
        raise damaged(f"a field is missing or no number ({type(error).__name__}: {error})") from error


def damaged(why: str, *, found: object = None, expected: str = "") -> BundleError:
    """The error for damaged model text."""
    return BundleError(
        f"LightGBM model text is damaged: {why}", found=found, expected=expected, cure="Publish the model again"
    )


def _parse(text: str) -> ModelText:
    body, end, _ = text.partition("\nend of trees")
    if not end:
        raise damaged("it breaks off", found=text[-40:], expected="a line 'end of trees'")
    head, *sections = body.split("\nTree=")
    header = _fields(head)
    _check_header(head, header)
    names = tuple(header["feature_names"].split())
    if len(names) != int(header["max_feature_idx"]) + 1 or len(set(names)) != len(names) or len(names) > MAX_FEATURES:
        raise damaged("names of the features", found=len(names), expected=f"{header['max_feature_idx']} + 1 unique")
    sizes = header["tree_sizes"].split()
    if len(sizes) != len(sections) or len(sections) > MAX_TREES:
        raise damaged("number of trees", found=len(sections), expected=str(len(sizes)))
    trees = tuple(_tree(i, section, len(names)) for i, section in enumerate(parts_of(sections)))
    return ModelText(names, header.get("objective", ""), trees)


def _fields(section: str) -> dict[str, str]:
    """`key=value` lines; a line without `=` is a key with an empty value."""
    pairs = (line.partition("=") for line in section.splitlines())
    return {key: value.strip() for key, _, value in pairs if key}


def _check_header(head: str, header: dict[str, str]) -> None:
    if not head.startswith("tree\n") or header.get("version") not in {"v3", "v4"}:
        raise damaged("it does not begin as one", found=head[:40], expected="'tree' and version=v3 or v4")
    if "average_output" in header:
        raise UnsupportedModel(
            "A random forest is not evaluated", found="boosting=rf", expected="boosting=gbdt or dart"
        )
    if int(header["num_class"]) != 1 or int(header["num_tree_per_iteration"]) != 1:
        raise UnsupportedModel("A model of several classes is not evaluated", found=header["num_class"], expected="1")


def _tree(index: int, section: str, n_features: int) -> TreeArrays:
    number, _, rest = section.partition("\n")
    if int(number) != index:
        raise damaged("order of the trees", found=number, expected=str(index))
    fields = _fields(rest)
    leaves = int(fields["num_leaves"])
    if not 1 <= leaves <= MAX_LEAVES:
        raise damaged(f"leaves of tree {index}", found=leaves, expected=f"1 to {MAX_LEAVES}")
    _check_supported(index, fields)
    tree = _arrays(fields, leaves)
    for problem in _problems(tree, n_features):
        raise damaged(f"tree {index}: {problem}")
    return tree


def _check_supported(index: int, fields: dict[str, str]) -> None:
    categorical = any(kind & CATEGORICAL for kind in map(int, fields.get("decision_type", "").split()))
    if int(fields["num_cat"]) != 0 or categorical:
        raise UnsupportedModel(
            f"Tree {index} splits on categories",
            found=f"num_cat={fields['num_cat']}",
            expected="numerical splits",
            cure="Train without categorical_feature",
        )
    if int(fields.get("is_linear", "0")) != 0:
        raise UnsupportedModel(
            f"Tree {index} has linear leaves",
            found="is_linear=1",
            expected="constant leaves",
            cure="Train with linear_tree=false",
        )


def _arrays(fields: dict[str, str], leaves: int) -> TreeArrays:
    splits = leaves - 1

    def column(name: str, size: int, dtype: Any) -> npt.NDArray[Any]:
        """The numbers of a field, (size,); raises `BundleError` where they are not as many or don't fit `dtype`."""
        numbers = [float(word) for word in fields[name].split()] if size else []
        if len(numbers) != size:
            raise damaged(f"length of {name}", found=len(numbers), expected=str(size))
        exact = np.array(numbers, dtype=np.float64)
        cast = exact.astype(dtype) if np.all(np.abs(exact) < 2**31) or dtype is np.float64 else exact
        if not np.array_equal(cast, exact) or cast.dtype != dtype:
            raise damaged(f"numbers of {name}", expected=f"finite {np.dtype(dtype).name}")
        return cast

    def children(name: str) -> Ints:
        """Nodes of a field, (splits,); leaves are numbered behind the splits."""
        coded = column(name, splits, np.int32)
        return np.where(coded < 0, splits - 1 - coded, coded).astype(np.int32)

    return TreeArrays(
        feature=column("split_feature", splits, np.int32),
        threshold=column("threshold", splits, np.float64),
        missing=_missing(column("decision_type", splits, np.int32)),
        left=children("left_child"),
        right=children("right_child"),
        leaf_value=column("leaf_value", leaves, np.float64),
        count=np.concatenate([column("internal_count", splits, np.float64), _leaf_count(fields, leaves, column)]),
    )


def _leaf_count(fields: dict[str, str], leaves: int, column: Any) -> Floats:
    """LightGBM may leave the counts of a tree without splits out."""
    if leaves == 1 and not fields.get("leaf_count"):
        return np.zeros(1)
    counts: Floats = column("leaf_count", leaves, np.float64)
    return counts


def _missing(kinds: Ints) -> npt.NDArray[np.uint8]:
    """LightGBM's `decision_type` → the side of missing values (Tree::NumericalDecision)."""
    kind, default_left = kinds >> MISSING_SHIFT, (kinds & DEFAULT_LEFT) > 0
    if np.any((kind < 0) | (kind > 2)):
        raise damaged("decision_type", found=int(kinds.max()), expected="missing type none, zero or nan")
    zero = np.where(default_left, ZERO_LEFT, ZERO_RIGHT)
    nan = np.where(default_left, NAN_LEFT, NAN_RIGHT)
    return np.where(kind == 0, NAN_IS_ZERO, np.where(kind == 1, zero, nan)).astype(np.uint8)


def _problems(tree: TreeArrays, n_features: int) -> Iterator[str]:
    """Why the arrays are no binary tree over these features; nothing if they are."""
    splits = len(tree.feature)
    if np.any(np.isnan(tree.threshold)) or not np.all(np.isfinite(tree.leaf_value)):
        yield "a threshold is no number or a leaf value not finite"
    if not np.all(np.isfinite(tree.count)) or np.any(tree.count < 0):
        yield "a count is negative or not finite"
    if splits and (tree.feature.min() < 0 or tree.feature.max() >= n_features):
        yield f"a split asks for a feature outside 0..{n_features - 1}"
    children = np.concatenate([tree.left, tree.right])
    if not np.array_equal(np.sort(children), np.arange(1, 2 * splits + 1)):
        yield "its children do not form a tree"
    elif np.any(children <= np.tile(np.arange(splits), 2)):
        yield "a child comes before its parent"
