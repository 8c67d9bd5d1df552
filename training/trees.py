"""Gradient-boosted trees by LightGBM, the same text for the same rows, seed and threads."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

_ALWAYS: dict[str, Any] = {
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
    "feature_pre_filter": False,
    "max_bin": 255,
    "first_metric_only": True,
}


@dataclass(frozen=True, slots=True)
class TreeSettings:
    """How trees are grown; part of what a bundle says it was trained with.

    trees    how many; with `patience` the most, and the best number on the rows held out is taken
    patience rounds without improvement after which growing stops
    """

    objective: str
    metric: str
    trees: int
    patience: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Features (n, n_features) float32, targets (n,), weights (n,) or None, rows per query (n_queries,) for rankers.

    offset (n,): what the raw score starts from, outside the model; None for none.
    """

    X: npt.NDArray[np.float32]
    y: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64] | None = None
    group: npt.NDArray[np.int64] | None = None
    offset: npt.NDArray[np.float64] | None = None


def leafy(settings: TreeSettings, rows: int) -> TreeSettings:
    """`settings` with the least rows of a leaf fitted to the number of rows: one in a hundred, 5 to 100."""
    least = min(100, max(5, rows // 100))
    return replace(settings, parameters={**settings.parameters, "min_data_in_leaf": least})


def without(settings: TreeSettings, names: tuple[str, ...], left_out: frozenset[str]) -> TreeSettings:
    """`settings` under which no tree splits on the features `left_out` of `names`."""
    shares = [0.0 if name in left_out else 1.0 for name in names]
    return replace(settings, parameters={**settings.parameters, "feature_contri": shares})


@dataclass(frozen=True, slots=True)
class Grown:
    """LightGBM's text of the model and its number of trees."""

    text: str
    trees: int


def grow(
    rows: Rows, names: tuple[str, ...], settings: TreeSettings, *, seed: int, threads: int, held_out: Rows | None = None
) -> Grown:
    """Trees fitted to `rows`; with `held_out` and `settings.patience` their number is the best on the held-out rows."""
    import lightgbm as lgb

    parameters = _ALWAYS | {
        "objective": settings.objective,
        "metric": settings.metric,
        "seed": seed,
        "num_threads": threads,
    }
    parameters |= dict(settings.parameters)
    train = _dataset(lgb, rows, names, parameters)
    stopping = settings.patience is not None and held_out is not None
    callbacks = [lgb.early_stopping(settings.patience, verbose=False)] if stopping else []
    judged = [_dataset(lgb, held_out, names, parameters, train)] if stopping and held_out is not None else []
    booster = lgb.train(parameters, train, settings.trees, valid_sets=judged, callbacks=callbacks)
    trees = max(1, booster.best_iteration) if stopping else settings.trees
    return Grown(_plain(booster.model_to_string(num_iteration=trees)), trees)


def _dataset(lgb: Any, rows: Rows, names: tuple[str, ...], parameters: Mapping[str, Any], reference: Any = None) -> Any:
    return lgb.Dataset(
        rows.X,
        label=rows.y,
        weight=rows.weight,
        group=rows.group,
        init_score=rows.offset,
        feature_name=list(names),
        reference=reference,
        params=dict(parameters),
        free_raw_data=False,
    )


def _plain(text: str) -> str:
    """The model without the parameters block: it names threads and paths of the machine, and nothing reads it."""
    head, found, rest = text.partition("\nparameters:\n")
    if not found:
        return text
    return head + "\n" + rest.partition("end of parameters\n")[2].lstrip("\n")


def blended(texts: tuple[str, ...], weights: tuple[float, ...]) -> str:
    """One model whose raw score is the weighted sum of those of `texts`; all grown on the same features.

    Leaf values are multiplied by the weight and the trees put behind one another, so that a blend is evaluated,
    explained and stored as any forest is.
    """
    heads, trees = [], []
    for text, weight in zip(texts, weights, strict=True):
        head, *sections = text.partition("\nend of trees")[0].split("\nTree=")
        heads.append(head)
        trees += [_weighted(section, weight) for section in sections]
    blocks = [f"Tree={place}\n{tree}\n\n\n" for place, tree in enumerate(trees)]
    sizes = " ".join(str(len(block)) for block in blocks)
    head = "\n".join(
        f"tree_sizes={sizes}" if line.startswith("tree_sizes=") else line for line in heads[0].splitlines()
    )
    return f"{head}\n\n{''.join(blocks)}end of trees\n"


def _weighted(section: str, weight: float) -> str:
    """A tree without its number, its values multiplied by `weight`."""
    lines = section.strip("\n").splitlines()[1:]
    return "\n".join(_weighted_line(line, weight) for line in lines)


def _weighted_line(line: str, weight: float) -> str:
    name, equals, numbers = line.partition("=")
    if name not in {"leaf_value", "internal_value"}:
        return line
    return name + equals + " ".join(repr(float(number) * weight) for number in numbers.split())
