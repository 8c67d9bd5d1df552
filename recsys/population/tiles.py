"""Sums of outer products in tiles of 8 × 8 numbers that stay in registers; numba has no words for that.

A tile's number at row r and column c takes `left[r] * right[c]` of one step after the other: the products and sums of a
plain loop over the steps, in its order, whatever the width of the processor's vectors.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from recsys.population.vectors import array_of, load, repeated, store

SIDE = 8
"""Rows and columns of a tile."""


@intrinsic
def add_outer(_context: Any, a: Any, left: Any, left_at: Any, right: Any, right_at: Any, steps: Any) -> Any:  # noqa: ARG001
    """Add `left[k, left_at:][:8] ⊗ right[k, right_at:][:8]`, k = 0 … steps - 1, to the tile `a[left_at:, right_at:]`.

    All float64 (…, width), contiguous and of one width.
    """
    return _signature(a, left, right), _joined("fadd")


@intrinsic
def take_outer(_context: Any, a: Any, left: Any, left_at: Any, right: Any, right_at: Any, steps: Any) -> Any:  # noqa: ARG001
    """As `add_outer`, but taken off; `left` and `right` may be rows of `a` outside the tile."""
    return _signature(a, left, right), _joined("fsub")


@intrinsic
def take_rows(_context: Any, a: Any, top: Any, side: Any) -> Any:  # noqa: ARG001
    """Rows of a Cholesky factor, right of the corner of its 8 rows from `top` on: the tile `a[top:, side:]` in place.

    Row after row is divided by its pivot and taken off the rows below it. `a` float64, contiguous; the corner
    `a[top:, top:]` is the factor's already.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole = array_of(context, builder, signature, arguments, 0)
        width = builder.extract_value(whole.shape, 1)
        _, top, side = arguments
        starts = [builder.mul(builder.add(top, ir.Constant(width.type, r)), width) for r in range(SIDE)]
        places = [builder.add(start, side) for start in starts]
        rows = [load(builder, whole.data, place, SIDE) for place in places]

        def corner(row: int, column: int) -> Any:
            index = builder.add(starts[row], builder.add(top, ir.Constant(width.type, column)))
            return repeated(builder, builder.load(builder.gep(whole.data, [index])), SIDE)

        for j in range(SIDE):
            rows[j] = builder.fdiv(rows[j], corner(j, j))
            for i in range(j + 1, SIDE):
                rows[i] = builder.fsub(rows[i], builder.fmul(corner(j, i), rows[j]))
        for row, place in zip(rows, places, strict=True):
            store(builder, row, whole.data, place)
        return context.get_dummy_value()

    return types.void(a, types.int64, types.int64), generate


def _signature(a: Any, left: Any, right: Any) -> Any:
    return types.void(a, left, types.int64, right, types.int64, types.int64)


def _joined(join: str) -> Any:
    """Code of a sum over the steps; `join` is how a product comes to it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole, left, right = (array_of(context, builder, signature, arguments, which) for which in (0, 1, 3))
        width = builder.extract_value(whole.shape, 1)
        corner = builder.add(builder.mul(arguments[2], width), arguments[4])
        rows = [builder.add(corner, builder.mul(width, ir.Constant(width.type, r))) for r in range(SIDE)]
        for first in range(0, SIDE, _rows_at_once(context)):
            some = range(first, first + _rows_at_once(context))
            sums = {r: cgutils.alloca_once_value(builder, load(builder, whole.data, rows[r], SIDE)) for r in some}
            with cgutils.for_range(builder, arguments[5]) as loop:
                base = builder.mul(loop.index, width)
                across = load(builder, right.data, builder.add(base, arguments[4]), SIDE)
                down = builder.add(base, arguments[2])
                for r, total in sums.items():
                    one = builder.load(builder.gep(left.data, [builder.add(down, ir.Constant(width.type, r))]))
                    product = builder.fmul(repeated(builder, one, SIDE), across)
                    builder.store(getattr(builder, join)(builder.load(total), product), total)
            for r, total in sums.items():
                store(builder, builder.load(total), whole.data, rows[r])
        return context.get_dummy_value()

    return generate


def _rows_at_once(context: Any) -> int:
    """Rows of a tile whose sums fit in the registers of the processor that code is made for."""
    features = context.codegen().magic_tuple()[2]
    return 8 if "+avx512f" in features else 4 if "+avx2" in features else 2
