"""Feature rows as the kernels take them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.errors import BundleError

Rows = npt.NDArray[np.float32] | npt.NDArray[np.float64]
"""Feature rows (n, f); float32 in serving, float64 allowed."""

Floats = npt.NDArray[np.float64]


def checked_rows(X: npt.NDArray[Any], feature_names: tuple[str, ...]) -> npt.NDArray[Any]:
    """X as a contiguous float32 or float64 matrix with one column per feature.

    Raises:
        BundleError: another shape.
    """
    if X.ndim != 2 or X.shape[1] != len(feature_names):
        raise BundleError(
            "The rows do not fit the model",
            found=X.shape,
            expected=f"(n, {len(feature_names)}) as {feature_names[:3]}…",
        )
    dtype = X.dtype if X.dtype in (np.float32, np.float64) else np.dtype(np.float64)
    return np.ascontiguousarray(X, dtype=dtype)
