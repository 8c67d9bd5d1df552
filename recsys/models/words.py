"""One bit, or one byte, for each of 64 rows: steps of a kernel that numba has no words for.

They are written for vectors of 64 numbers; the compiler divides those into what the processor has.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

ROWS = 64
"""Rows that one word stands for."""

WORDS = 4
"""Words that are divided together."""

_BIT, _BYTE, _INDEX, _WORD = ir.IntType(1), ir.IntType(8), ir.IntType(32), ir.IntType(64)


@intrinsic
def at_most(_context: Any, values: Any, start: Any, threshold: Any) -> Any:  # noqa: ARG001 (numba reads the names)
    """Word whose bit r says that `values[start + r] <= threshold`, so 0 of NaN; `values` 1-d, contiguous."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _data(context, builder, signature, arguments, 0)
        found = _load(builder, pointer, arguments[1], pointer.type.pointee, ROWS)
        bits = builder.fcmp_ordered("<=", found, _repeated(builder, arguments[2]))
        return builder.bitcast(bits, _WORD)

    return types.uint64(values, types.int64, values.dtype), generate


@intrinsic
def divide(_context: Any, words: Any, node: Any, left: Any, right: Any, masks: Any, cut: Any) -> Any:  # noqa: ARG001
    """`words[left] = words[node] & masks[cut]`, `words[right] = words[node] & ~masks[cut]`; both uint64 (…, WORDS)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, node, left, right, _, cut = (_times_words(builder, each) for each in arguments)
        data, masks = (_data(context, builder, signature, arguments, which) for which in (0, 4))
        word = _load(builder, data, node, _WORD, WORDS)
        mask = _load(builder, masks, cut, _WORD, WORDS)
        _store(builder, builder.and_(word, mask), data, left)
        _store(builder, builder.and_(word, builder.not_(mask)), data, right)
        return context.get_dummy_value()

    return types.void(words, types.int64, types.int64, types.int64, masks, types.int64), generate


@intrinsic
def write(_context: Any, numbers: Any, start: Any, word: Any, number: Any) -> Any:  # noqa: ARG001
    """`numbers[start + r] = number` for all bits r that are set in the word; `numbers` uint8, 1-d, contiguous."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _data(context, builder, signature, arguments, 0)
        bits = builder.bitcast(arguments[2], ir.VectorType(_BIT, ROWS))
        old = _load(builder, pointer, arguments[1], _BYTE, ROWS)
        _store(builder, builder.select(bits, _repeated(builder, arguments[3]), old), pointer, arguments[1])
        return context.get_dummy_value()

    return types.void(numbers, types.int64, types.uint64, types.uint8), generate


def _data(context: Any, builder: Any, signature: Any, arguments: Any, which: int) -> Any:
    """Pointer to the first element of an array that was given."""
    return context.make_array(signature.args[which])(context, builder, arguments[which]).data


def _times_words(builder: Any, index: Any) -> Any:
    """Index of the first word of a row of `WORDS`; what is no index stays as it is."""
    return builder.mul(index, ir.Constant(_WORD, WORDS)) if index.type == _WORD else index


def _load(builder: Any, pointer: Any, index: Any, element: Any, count: int) -> Any:
    place = builder.bitcast(builder.gep(pointer, [index]), ir.PointerType(ir.VectorType(element, count)))
    return builder.load(place, align=1)


def _store(builder: Any, vector: Any, pointer: Any, index: Any) -> None:
    place = builder.bitcast(builder.gep(pointer, [index]), ir.PointerType(vector.type))
    builder.store(vector, place, align=1)


def _repeated(builder: Any, number: Any) -> Any:
    """A vector of `ROWS` times the number."""
    empty = ir.Constant(ir.VectorType(number.type, ROWS), ir.Undefined)
    first = builder.insert_element(empty, number, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(_INDEX, ROWS), [0] * ROWS))
