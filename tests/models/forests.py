"""Random forests in LightGBM's own words, for comparison with LightGBM itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

HEADER = """tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx={last}
objective=regression
feature_names={names}
feature_infos={infos}
tree_sizes={sizes}

"""

STRANGE = (0.0, -0.0, np.nan, np.inf, -np.inf, 1e-35, -1e-35, 1e-36, 2e-35, -2e-35, 1e300, -1e300)
"""Values around which decisions are delicate."""


@dataclass(frozen=True)
class TreeText:
    """One tree as LightGBM writes it, with the thresholds it uses."""

    text: str
    thresholds: list[float]


def random_model(seed: int, trees: int, leaves: int, features: int) -> tuple[str, npt.NDArray[np.float64]]:
    """Text of a model with random trees of every decision type, and the thresholds used."""
    random = np.random.default_rng(seed)
    written = [random_tree(random, t, int(random.integers(1, leaves + 1)), features) for t in range(trees)]
    header = HEADER.format(
        last=features - 1,
        names=" ".join(f"f{j}" for j in range(features)),
        infos=" ".join(["[-9:9]"] * features),
        sizes=" ".join(str(len(tree.text)) for tree in written),
    )
    text = header + "".join(tree.text for tree in written) + "end of trees\n\nparameters:\n\nend of parameters\n"
    return text, np.array([0.5, *(value for tree in written for value in tree.thresholds)])


def random_tree(random: np.random.Generator, index: int, leaves: int, features: int) -> TreeText:
    """Grow a tree by splitting random leaves, numbering splits as LightGBM does."""
    children, counts, leaf_counts = [], [], [int(random.integers(1000, 2000))]
    owner: dict[int, tuple[int, int]] = {}
    for split in range(leaves - 1):
        leaf = int(random.integers(0, split + 1))
        new = split + 1
        if leaf in owner:
            parent, side = owner[leaf]
            children[parent][side] = split
        children.append([~leaf, ~new])
        owner[leaf], owner[new] = (split, 0), (split, 1)
        counts.append(leaf_counts[leaf])
        taken = int(random.integers(1, leaf_counts[leaf])) if leaf_counts[leaf] > 1 else 1
        leaf_counts.append(max(leaf_counts[leaf] - taken, 1))
        leaf_counts[leaf] = taken
    thresholds = random.choice([*STRANGE[:2], *STRANGE[3:], *np.round(random.normal(size=6), 1)], leaves - 1)
    fields: dict[str, Any] = {
        "num_leaves": [leaves],
        "num_cat": [0],
        "split_feature": random.integers(0, features, leaves - 1),
        "split_gain": [1] * (leaves - 1),
        "threshold": [repr(float(value)) for value in thresholds],
        "decision_type": random.choice([0, 2, 4, 6, 8, 10], leaves - 1),
        "left_child": [pair[0] for pair in children],
        "right_child": [pair[1] for pair in children],
        "leaf_value": [repr(float(value)) for value in random.normal(size=leaves)],
        "leaf_weight": leaf_counts,
        "leaf_count": leaf_counts,
        "internal_value": [0] * (leaves - 1),
        "internal_weight": counts,
        "internal_count": counts,
        "is_linear": [0],
        "shrinkage": [0.1],
    }
    lines = [f"{name}={' '.join(map(str, values))}" for name, values in fields.items()]
    return TreeText(f"Tree={index}\n" + "\n".join(lines) + "\n\n\n", [float(value) for value in thresholds])


def delicate_rows(
    seed: int, n: int, features: int, thresholds: npt.NDArray[np.float64], dtype: type[np.floating[Any]] = np.float64
) -> npt.NDArray[Any]:
    """Rows (n, features) of thresholds, their neighbours and strange values."""
    random = np.random.default_rng(seed)
    pool = np.concatenate([thresholds, np.nextafter(thresholds, np.inf), np.nextafter(thresholds, -np.inf), STRANGE])
    near = random.choice(pool, (n, features))
    rows = np.where(random.random((n, features)) < 0.3, random.normal(size=(n, features)), near)
    with np.errstate(over="ignore"):  # 1e300 is infinite in float32
        return rows.astype(dtype)


def trained_model(seed: int, **parameters: Any) -> Any:
    """A Booster trained on random rows with missing values and zeros."""
    import lightgbm

    random = np.random.default_rng(seed)
    X = random.normal(size=(300, 5))
    X[:, 1] = np.round(X[:, 1])
    X[random.random(X.shape) < 0.15] = np.nan
    X[random.random(X.shape) < 0.15] = 0.0
    score = np.nan_to_num(X[:, 0]) + np.nan_to_num(X[:, 1] * X[:, 2]) + np.isnan(X[:, 3]) + random.normal(size=300)
    label = (score > 0).astype(float) if parameters.get("objective") == "binary" else np.exp(score / 3)
    settings = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 3, "seed": seed, **parameters}
    rounds = settings.pop("rounds", 12)
    return lightgbm.train(settings, lightgbm.Dataset(X, label, feature_name=[f"f{j}" for j in range(5)]), rounds)
