"""Implicit ALS: item factors fitted with `implicit`, customer factors always by the fold-in kernel."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recsys.population.facts import Factors, PopulationSpec


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
    f = factors.item.shape[1]
    a = factors.gram.copy()
    b = np.zeros(f)
    for k in range(n):
        item = items[k]
        confidence = factors.alpha[0] * weights[k]
        for i in range(f):
            y = np.float64(factors.item[item, i])
            b[i] += confidence * y
            scaled = (confidence - 1.0) * y
            for j in range(i + 1):
                a[i, j] += scaled * np.float64(factors.item[item, j])
    _solve(a, b)
    return b


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
