"""One bit, or one byte, for each of 64 rows: steps of a kernel that numba has no words for.

They are written for vectors, see `recsys.population.vectors`.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from recsys.population.vectors import array_of, load, repeated, store

ROWS = 64
"""Rows that one word stands for."""

WORDS = 4
"""Words that are divided together."""

_BIT, _WORD = ir.IntType(1), ir.IntType(64)


@intrinsic
def at_most(_context: Any, values: Any, start: Any, threshold: Any) -> Any:  # noqa: ARG001 (numba reads the names)
    """Word whose bit r says that `values[start + r] <= threshold`, so 0 of NaN; `values` 1-d, contiguous."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = load(builder, array_of(context, builder, signature, arguments, 0).data, arguments[1], ROWS)
        bits = builder.fcmp_ordered("<=", found, repeated(builder, arguments[2], ROWS))
        return builder.bitcast(bits, _WORD)

    return types.uint64(values, types.int64, values.dtype), generate


@intrinsic
def divide(_context: Any, words: Any, node: Any, left: Any, right: Any, masks: Any, cut: Any) -> Any:  # noqa: ARG001
    """`words[left] = words[node] & masks[cut]`, `words[right] = words[node] & ~masks[cut]`; both uint64 (…, WORDS)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data, masks = (array_of(context, builder, signature, arguments, which).data for which in (0, 4))
        node, left, right, cut = (builder.mul(arguments[row], ir.Constant(_WORD, WORDS)) for row in (1, 2, 3, 5))
        word, mask = load(builder, data, node, WORDS), load(builder, masks, cut, WORDS)
        store(builder, builder.and_(word, mask), data, left)
        store(builder, builder.and_(word, builder.not_(mask)), data, right)
        return context.get_dummy_value()

    return types.void(words, types.int64, types.int64, types.int64, masks, types.int64), generate


@intrinsic
def write(_context: Any, numbers: Any, start: Any, word: Any, number: Any) -> Any:  # noqa: ARG001
    """`numbers[start + r] = number` for all bits r that are set in the word; `numbers` uint8, 1-d, contiguous."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = array_of(context, builder, signature, arguments, 0).data
        bits = builder.bitcast(arguments[2], ir.VectorType(_BIT, ROWS))
        old = load(builder, data, arguments[1], ROWS)
        store(builder, builder.select(bits, repeated(builder, arguments[3], ROWS), old), data, arguments[1])
        return context.get_dummy_value()

    return types.void(numbers, types.int64, types.uint64, types.uint8), generate
