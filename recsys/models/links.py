"""From raw score to the scale of the answer: identity, exp (Tweedie, Poisson, gamma) or sigmoid (binary)."""

import math
from typing import Any, Literal

import numba
import numpy as np

from recsys.errors import BundleError
from recsys.models.rows import Floats

Link = Literal["identity", "exp", "sigmoid"]

CODES: dict[str, int] = {"identity": 0, "exp": 1, "sigmoid": 2}


def apply_link(raw: Floats, link: str, scale: float = 1.0) -> Floats:
    """Scale · link(raw), elementwise (n,).

    One scalar `exp` per element in a kernel: numpy's vectorised one differs in the last bit with the array's length.

    Raises:
        BundleError: no such link.
    """
    if link not in CODES:
        raise BundleError("Unknown link", found=link, expected=f"one of {sorted(CODES)}")
    values: Floats = _linked(np.ascontiguousarray(raw, dtype=np.float64), CODES[link], scale)
    return values


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _linked(raw: Any, code: int, scale: float) -> Any:
    out = np.empty(raw.size)
    for i in range(raw.size):
        out[i] = linked(raw[i], code, scale)
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def linked(raw: float, code: int, scale: float) -> float:
    """Scale · link(raw) of one score; `code` of CODES."""
    if code == 1:
        return scale * math.exp(raw)
    if code == 2:
        return scale / (1.0 + math.exp(-raw))
    return scale * raw
