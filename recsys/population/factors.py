"""Implicit ALS: item factors fitted with `implicit`, customer factors always by the fold-in kernel."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recsys.population.facts import Factors, PopulationSpec

TOGETHER = 8
"""Items that are added to a customer's normal equations in one pass over them."""
PANEL = 4
"""Rows of a Cholesky factor that are taken off the rows below in one pass over those."""
WIDE = np.uint64(2**64 - 8)
"""Mask of a column: rows are read from a multiple of 8 on, in whole vectors; numbers left of the diagonal are waste."""


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
    a, b = factors.gram.copy(), np.zeros(f)
    y, scaled = np.zeros((TOGETHER, f)), np.zeros((TOGETHER, f))
    for k in range(0, n, TOGETHER):
        some = min(TOGETHER, n - k)
        for t in range(some):
            confidence, row = alpha * weights[k + t], rows[items[k + t]]
            for i in range(f):
                y[t, i] = np.float64(row[i])
                b[i] += confidence * y[t, i]
                scaled[t, i] = (confidence - 1.0) * y[t, i]
        y[some:], scaled[some:] = 0.0, 0.0
        _add_eight(a, y, scaled)
    _solve(a, b)
    return b


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_eight(a: Any, y: Any, scaled: Any) -> None:
    """Add the outer products of TOGETHER items to the upper triangle, number by number, one item after the other."""
    s0, s1, s2, s3 = scaled[0], scaled[1], scaled[2], scaled[3]
    s4, s5, s6, s7 = scaled[4], scaled[5], scaled[6], scaled[7]
    f = np.uint64(len(s0))
    for i in range(f):
        row, y0, y1, y2, y3 = a[i], y[0, i], y[1, i], y[2, i], y[3, i]
        y4, y5, y6, y7 = y[4, i], y[5, i], y[6, i], y[7, i]
        for j in range(i & WIDE, f):  # no sign: no index is looked at for counting from the end
            four = (((row[j] + y0 * s0[j]) + y1 * s1[j]) + y2 * s2[j]) + y3 * s3[j]
            row[j] = (((four + y4 * s4[j]) + y5 * s5[j]) + y6 * s6[j]) + y7 * s7[j]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _solve(a: Any, b: Any) -> None:
    """Solve a x = b by Cholesky on the upper triangle of `a`; x replaces b. Row updates, always in the same order."""
    f = len(b)
    for low in range(0, f, PANEL):
        _factor_panel(a, b, low, min(low + PANEL, f))
        if low + PANEL < f:
            _take_off_panel(a, np.uint64(low))
    for i in range(f - 1, -1, -1):
        b[i] /= a[i, i]
        for k in range(i):
            b[k] -= a[k, i] * b[i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _factor_panel(a: Any, b: Any, low: int, high: int) -> None:
    """Rows `low:high` of the factor; `b` is solved forward by them on the way."""
    f = np.uint64(len(b))
    for j in range(np.uint64(low), np.uint64(high)):
        row = a[j]
        pivot = np.sqrt(max(row[j], 1e-12))
        row[j] = pivot
        b[j] /= pivot
        solved = b[j]
        for k in range(j + np.uint64(1), f):
            row[k] /= pivot
            b[k] -= row[k] * solved
        for i in range(j + np.uint64(1), np.uint64(high)):
            below, factor = a[i], row[i]
            for k in range(i, f):
                below[k] -= factor * row[k]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _take_off_panel(a: Any, low: Any) -> None:
    """Take what the PANEL rows from `low` on explain off the rows below, one after the other, number by number."""
    f, first = np.uint64(len(a)), low + np.uint64(PANEL)
    r0, r1, r2, r3 = a[low], a[low + np.uint64(1)], a[low + np.uint64(2)], a[low + np.uint64(3)]
    for i in range(first, f):
        row, f0, f1, f2, f3 = a[i], r0[i], r1[i], r2[i], r3[i]
        for k in range(i & WIDE, f):
            row[k] = (((row[k] - f0 * r0[k]) - f1 * r1[k]) - f2 * r2[k]) - f3 * r3[k]


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
