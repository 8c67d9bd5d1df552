"""Implicit ALS: item factors fitted with `implicit`, customer factors always by the fold-in kernel."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recsys.population.facts import Factors, PopulationSpec
from recsys.population.tiles import SIDE, add_outer, take_outer, take_rows

TOGETHER = 16
"""Items that are added to a customer's normal equations in one pass over them."""


def fit_factors(
    pairs: npt.NDArray[np.int64], n_customers: int, n_items: int, spec: PopulationSpec, threads: int
) -> Factors:
    """Item factors of implicit-feedback ALS (Hu, Koren, Volinsky 2008, eq. 4-5) on log(1 + orders).

    `pairs` (n, 3): customer, item, orders. Every row solve is independent, so threads do not change the result.
    """
    from implicit.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    weights = np.log1p(pairs[:, 2]).astype(np.float32)
    matrix = csr_matrix((weights, (pairs[:, 0], pairs[:, 1])), shape=(n_customers, n_items))
    model = AlternatingLeastSquares(
        factors=spec.factors,
        regularization=spec.regularization,
        alpha=spec.alpha,
        iterations=spec.iterations,
        random_state=spec.seed % 2**31,
        num_threads=threads,
    )
    with threadpool_limits(1, "blas"):
        model.fit(matrix, show_progress=False)
    item = np.ascontiguousarray(model.item_factors, np.float32)
    wide = item.astype(np.float64)
    gram = wide.T @ wide + spec.regularization * np.eye(spec.factors)
    return Factors(item, np.ascontiguousarray(item.T), gram, np.array([spec.alpha]))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def fold_in(factors: Factors, items: Any, weights: Any, n: int) -> Any:
    """Factors (f,) of a customer with weights `weights[:n]` of the items `items[:n]`.

    Solves (Y'Y + reg I + sum (c - 1) y y') x = sum c y with c = alpha × weight, as `implicit` does for its own users.
    """
    f, alpha, rows = factors.item.shape[1], factors.alpha[0], factors.item
    width = (f + SIDE - 1) // SIDE * SIDE  # what is beyond f stays 0
    a, b = _widened(factors.gram, width), np.zeros(width)
    y, scaled = np.zeros((TOGETHER, width)), np.zeros((TOGETHER, width))
    for k in range(0, n, TOGETHER):
        some = min(TOGETHER, n - k)
        for t in range(some):
            _scale(rows, np.uint64(items[k + t]), alpha * weights[k + t], y, scaled, np.uint64(t), b)
        for top in range(0, width, SIDE):
            for side in range(top, width, SIDE):
                add_outer(a, y, top, scaled, side, some)
    _solve(a, b)
    return b[:f]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _widened(gram: Any, width: int) -> Any:
    """`gram` (f, f) in the corner of (width, width), the rest 0."""
    f = len(gram)
    if f == width:
        return gram.copy()
    a = np.zeros((width, width))
    a[:f, :f] = gram
    return a


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _scale(rows: Any, item: Any, confidence: float, y: Any, scaled: Any, t: Any, b: Any) -> None:
    """An item's factors float64 into row t of `y`, less by one confidence of `scaled`, and by it added to `b`."""
    less = confidence - 1.0
    for i in range(np.uint64(rows.shape[1])):
        value = np.float64(rows[item, i])
        y[t, i] = value
        scaled[t, i] = less * value
        b[i] += confidence * value


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _solve(a: Any, b: Any) -> None:
    """Solve a x = b by Cholesky on the upper triangle of `a`; x replaces b. Row by row, always in the same order.

    `a` (width, width), whole tiles; numbers left of the diagonal are waste.
    """
    for top in range(0, len(b), SIDE):
        for side in range(top, len(b), SIDE):
            take_outer(a, a, top, a, side, top)
        _factor_corner(a, np.uint64(top))
        for side in range(top + SIDE, len(b), SIDE):
            take_rows(a, top, side)
        _forward(a, b, np.uint64(top))
    for i in range(np.uint64(len(b))):
        last = np.uint64(len(b)) - np.uint64(1) - i
        b[last] /= a[last, last]
        for k in range(last):
            b[k] -= a[k, last] * b[last]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _factor_corner(a: Any, top: Any) -> None:
    """The factor in the tile on the diagonal from `top` on, what is above taken off already."""
    end, one = top + np.uint64(SIDE), np.uint64(1)
    for j in range(top, end):
        pivot = np.sqrt(max(a[j, j], 1e-12))
        a[j, j] = pivot
        for k in range(j + one, end):
            a[j, k] /= pivot
        for i in range(j + one, end):
            for k in range(i, end):
                a[i, k] -= a[j, i] * a[j, k]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _forward(a: Any, b: Any, top: Any) -> None:
    """Solve `b` forward by the factor's rows of the tiles from `top` on."""
    for j in range(top, top + np.uint64(SIDE)):
        b[j] /= a[j, j]
        solved = b[j]
        for k in range(j + np.uint64(1), np.uint64(len(b))):
            b[k] -= a[j, k] * solved


@numba.njit(cache=True, nogil=True, error_model="numpy")
def all_scores(factors: Factors, customer: Any, out: Any) -> None:
    """Scores of all items for customer factors (f,) into `out` float32 (n_items,); one sweep a factor, in order."""
    f, n_items = factors.transposed.shape
    out[:] = np.float32(0.0)
    for i in range(f):
        x = np.float32(customer[i])
        row = factors.transposed[i]
        for item in range(n_items):
            out[item] += x * row[item]
