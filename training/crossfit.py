"""Trees that learn from the newest window too, and what they say of its customers without having seen them.

A model trained on the windows before the newest, with the newest kept for its calibration, lags a horizon behind.
Cross-fitting spares the loss: customers are dealt into folds, each fold is scored by trees that saw none of its
customers in any window, and the curve is fitted on these scores; what serves are trees of all rows (out-of-fold
calibration: Zadrozny & Elkan, KDD 2002, section 3; cross-fitting: Chernozhukov et al., Econometrics Journal 21, 2018).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys.models.forest import Forest
from training.samples import Sample
from training.trees import Rows, TreeSettings, grow
from training.windows import uniform

Floats = npt.NDArray[np.float64]

FOLDS = 3
"""Parts the customers are dealt into: trees of two thirds calibrate the trees of all."""

ENOUGH = 50_000
"""Rows of one fold of the newest window from which on that fold alone gives the curve: more cannot be told apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Keyed:
    """Rows of one or more windows with the key of each row's customer, uint64 (n,), the same in every window."""

    sample: Sample
    keys: npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class CrossFitted:
    """Trees of all rows; `raw` (n,) what trees that did not know a customer say of it, `label` (n,) what happened."""

    forest: Forest
    raw: Floats
    label: Floats


def cross_fit(
    earlier: Keyed, newest: Keyed, names: tuple[str, ...], settings: TreeSettings, *, seed: int, threads: int
) -> CrossFitted:
    """Trees for P(left) of `settings.trees` trees, fitted on both, and scores of the newest rows by trees without them.

    A customer is in the same fold in every window, so that nothing of its own is seen before it is scored.
    """
    X = np.concatenate([newest.sample.X, earlier.sample.X])
    left = np.concatenate([newest.sample.left, earlier.sample.left])
    fold = np.floor(uniform(np.concatenate([newest.keys, earlier.keys]), seed + 2) * FOLDS)

    def grown(rows: npt.NDArray[np.bool_]) -> Forest:
        """A forest fitted to the rows marked, (n_rows,)."""
        return Forest.from_text(grow(Rows(X[rows], left[rows]), names, settings, seed=seed, threads=threads).text)

    n = len(newest.keys)
    raw = np.full(n, np.nan)
    for k in range(1 if n >= FOLDS * ENOUGH else FOLDS):
        held = fold == k
        if held[:n].any():
            raw[held[:n]] = grown(~held).raw(X[:n][held[:n]])
    judged = ~np.isnan(raw)
    return CrossFitted(grown(np.ones(len(X), np.bool_)), raw[judged], left[:n][judged])


def out_of_fold(
    X: npt.NDArray[np.float32],
    y: Floats,
    fold: npt.NDArray[np.integer],
    names: tuple[str, ...],
    settings: TreeSettings,
    *,
    seed: int,
    threads: int,
) -> tuple[Forest, Floats]:
    """Trees of all rows for P(y = 1), and each row's score by trees of the other folds, (n,)."""

    def grown(rows: npt.NDArray[np.bool_]) -> Forest:
        """A forest fitted to the rows marked, (n_rows,)."""
        return Forest.from_text(grow(Rows(X[rows], y[rows]), names, settings, seed=seed, threads=threads).text)

    raw = np.empty(len(X))
    for k in np.unique(fold):
        raw[fold == k] = grown(fold != k).raw(X[fold == k])
    return grown(np.ones(len(X), np.bool_)), raw
