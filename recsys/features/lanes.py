"""Numbers side by side: compared 64 at a time, added in pairs, copied in blocks; numba has no words for that.

They are written for vectors; the compiler divides those into what the processor has.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

LANES = 64
"""Numbers that one word stands for."""

BLOCK = 32
"""Numbers that are copied together."""

_BIT, _INDEX, _WORD = ir.IntType(1), ir.IntType(32), ir.IntType(64)


@intrinsic
def at_least(_context: Any, values: Any, start: Any, least: Any) -> Any:  # noqa: ARG001 (numba reads the names)
    """Word whose bit r says that `values[start + r] >= least`; `values` integers, 1-d, contiguous."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _data(context, builder, signature, arguments, 0)
        found = _load(builder, data, arguments[1], LANES)
        compare = builder.icmp_signed if signature.args[0].dtype.signed else builder.icmp_unsigned
        return builder.bitcast(compare(">=", found, _repeated(builder, arguments[2], LANES)), _WORD)

    return types.uint64(values, types.int64, values.dtype), generate


@intrinsic
def ones(_context: Any, word: Any) -> Any:  # noqa: ARG001
    """Bits of a word that are set."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic
def lowest(_context: Any, word: Any) -> Any:  # noqa: ARG001
    """Number of the lowest bit that is set in a word, which is not 0."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(_BIT, 1))

    return types.int64(types.uint64), generate


@intrinsic
def add_pair(_context: Any, sums: Any, at: Any, pairs: Any, place: Any, one: Any, other: Any) -> Any:  # noqa: ARG001
    """`sums[at] += (one, other) * pairs[place]`, number by number; 1 if both sums were 0, else 0.

    `sums` and `pairs` float32 (…, 2), contiguous.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, at, _, place, one, other = arguments
        of, to = (_pair(builder, _data(context, builder, signature, arguments, which)) for which in (2, 0))
        target = builder.gep(to, [at])
        before = builder.load(target, align=4)
        factors = ir.Constant(before.type, ir.Undefined)
        for lane, factor in enumerate((one, other)):
            factors = builder.insert_element(factors, factor, ir.Constant(_INDEX, lane))
        product = builder.fmul(factors, builder.load(builder.gep(of, [place]), align=4))
        builder.store(builder.fadd(before, product), target, align=4)
        untouched = builder.icmp_unsigned("==", builder.bitcast(before, _WORD), ir.Constant(_WORD, 0))
        return builder.zext(untouched, _WORD)

    kinds = (sums, types.uint64, pairs, types.uint64, types.float32, types.float32)
    return types.uint64(*kinds), generate


@intrinsic
def copy_block(_context: Any, to: Any, at: Any, source: Any, place: Any) -> Any:  # noqa: ARG001
    """`to[at:][:BLOCK] = source[place:][:BLOCK]`, both of one type, 1-d, contiguous."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, source = (_data(context, builder, signature, arguments, which) for which in (0, 2))
        _store(builder, _load(builder, source, arguments[3], BLOCK), target, arguments[1])
        return context.get_dummy_value()

    return types.void(to, types.int64, source, types.int64), generate


@intrinsic
def fill_block(_context: Any, to: Any, at: Any, number: Any) -> Any:  # noqa: ARG001
    """`to[at:][:BLOCK] = number`, 1-d, contiguous."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target = _data(context, builder, signature, arguments, 0)
        _store(builder, _repeated(builder, arguments[2], BLOCK), target, arguments[1])
        return context.get_dummy_value()

    return types.void(to, types.int64, to.dtype), generate


def _data(context: Any, builder: Any, signature: Any, arguments: Any, which: int) -> Any:
    """Pointer to the first element of an array that was given."""
    return context.make_array(signature.args[which])(context, builder, arguments[which]).data


def _pair(builder: Any, data: Any) -> Any:
    return builder.bitcast(data, ir.PointerType(ir.VectorType(ir.FloatType(), 2)))


def _load(builder: Any, data: Any, index: Any, count: int) -> Any:
    place = builder.gep(data, [index])
    return builder.load(builder.bitcast(place, ir.PointerType(ir.VectorType(data.type.pointee, count))), align=1)


def _store(builder: Any, vector: Any, data: Any, index: Any) -> None:
    builder.store(vector, builder.bitcast(builder.gep(data, [index]), ir.PointerType(vector.type)), align=1)


def _repeated(builder: Any, number: Any, count: int) -> Any:
    """A vector of `count` times the number."""
    empty = ir.Constant(ir.VectorType(number.type, count), ir.Undefined)
    first = builder.insert_element(empty, number, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(_INDEX, count), [0] * count))
