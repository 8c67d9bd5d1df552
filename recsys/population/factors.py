"""Implicit ALS: item factors fitted with `implicit`, customer factors always by the fold-in kernel."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recsys.population.facts import Factors, PopulationSpec

TOGETHER = 4
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
    a, b = factors.gram.copy(), np.zeros(f)
    y, scaled = np.zeros((TOGETHER, f)), np.zeros((TOGETHER, f))
    for k in range(0, n, TOGETHER):
        some = min(TOGETHER, n - k)
        for t in range(some):
            confidence = alpha * weights[k + t]
            for i in range(f):
                y[t, i] = np.float64(rows[items[k + t], i])
                b[i] += confidence * y[t, i]
                scaled[t, i] = (confidence - 1.0) * y[t, i]
        if some == TOGETHER:
            _add_four(a, scaled, y)
        else:
            for t in range(some):
                _add_one(a, scaled[t], y[t])
    _solve(a, b)
    return b


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_one(a: Any, scaled: Any, y: Any) -> None:
    """Add the outer product of two vectors to the lower triangle; what lies above it is not kept."""
    for i in range(len(y)):
        row, x = a[i], scaled[i]
        for j in range(min((i | 7) + 1, len(y))):
            row[j] += x * y[j]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_four(a: Any, scaled: Any, y: Any) -> None:
    """`_add_one` of four items after each other, number by number: a quarter of the reading and writing."""
    one, two, three, four = y[0], y[1], y[2], y[3]
    for i in range(len(one)):
        row, w, x, u, v = a[i], scaled[0, i], scaled[1, i], scaled[2, i], scaled[3, i]
        for j in range(min((i | 7) + 1, len(one))):
            row[j] = (((row[j] + w * one[j]) + x * two[j]) + u * three[j]) + v * four[j]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _solve(a: Any, b: Any) -> None:
    """Solve a x = b by Cholesky on the lower triangle of `a`; x replaces b. Row updates, always in the same order."""
    f = len(b)
    column = np.empty(f)  # contiguous copy, so that the row update is one vector operation
    for j in range(f):
        pivot = np.sqrt(max(a[j, j], 1e-12))
        a[j, j] = pivot
        for i in range(j + 1, f):
            a[i, j] /= pivot
            column[i] = a[i, j]
        for i in range(j + 1, f):
            factor = column[i]
            for k in range(j + 1, i + 1):
                a[i, k] -= factor * column[k]
    for i in range(f):
        for k in range(i):
            b[i] -= a[i, k] * b[k]
        b[i] /= a[i, i]
    for i in range(f - 1, -1, -1):
        b[i] /= a[i, i]
        for k in range(i):
            b[k] -= a[i, k] * b[i]


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
