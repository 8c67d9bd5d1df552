"""Synthetic rows that meet a model's splits: the check that a bundle scores here as it did where it was trained."""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from recsys.models.forest import Forest
from recsys.models.scorers import Scorer
from recsys.models.spec import FeatureSpec

GOLDEN_ROWS = 64
"""Enough for both kernels, few enough to recompute at every load."""


def golden_rows(spec: FeatureSpec, scorers: Sequence[Scorer]) -> npt.NDArray[np.float32]:
    """Rows (64, f), the same for the same spec and scorers: values at and around thresholds, zeros, NaN, infinities."""
    seed = int.from_bytes(hashlib.sha256(spec.fingerprint().encode()).digest()[:8], "little")
    random = np.random.default_rng(seed)
    columns = [_column(j, scorers, random) for j in range(len(spec.names))]
    return np.stack(columns, axis=1) if columns else np.zeros((GOLDEN_ROWS, 0), np.float32)


def _column(j: int, scorers: Sequence[Scorer], random: np.random.Generator) -> npt.NDArray[np.float32]:
    thresholds = [scorer.thresholds(j) for scorer in scorers if isinstance(scorer, Forest)]
    pool = np.concatenate([*thresholds, [-1.0, 0.0, 1.0]])
    values = np.clip(random.choice(pool, GOLDEN_ROWS), -1e30, 1e30).astype(np.float32)
    values += random.choice([0.0, 0.0, -0.5, 0.5], GOLDEN_ROWS).astype(np.float32) * np.float32(np.ptp(pool) > 0)
    linear = any(not isinstance(scorer, Forest) for scorer in scorers)
    strange = np.array([np.nan, 0.0] if linear else [np.nan, 0.0, np.inf, -np.inf], np.float32)
    return np.where(random.random(GOLDEN_ROWS) < 0.1, random.choice(strange, GOLDEN_ROWS), values).astype(np.float32)
