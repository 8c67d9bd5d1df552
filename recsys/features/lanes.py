"""Numbers side by side: compared 64 at a time, added in pairs, copied in blocks; numba has no words for that.

They are written for vectors, see `recsys.population.vectors`.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from recsys.population.vectors import INDEX, array_of, load, repeated, store

LANES = 64
"""Numbers that one word stands for."""

BLOCK = 32
"""Numbers that are copied together."""

_BIT, _WORD = ir.IntType(1), ir.IntType(64)


@intrinsic
def at_least(_context: Any, values: Any, start: Any, least: Any) -> Any:  # noqa: ARG001 (numba reads the names)
    """Word whose bit r says that `values[start + r] >= least`; `values` integers, 1-d, contiguous."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = load(builder, array_of(context, builder, signature, arguments, 0).data, arguments[1], LANES)
        compare = builder.icmp_signed if signature.args[0].dtype.signed else builder.icmp_unsigned
        return builder.bitcast(compare(">=", found, repeated(builder, arguments[2], LANES)), _WORD)

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
        to, of = (array_of(context, builder, signature, arguments, which).data for which in (0, 2))
        at, place = (builder.mul(each, ir.Constant(_WORD, 2)) for each in (at, place))
        before = load(builder, to, at, 2)
        factors = ir.Constant(before.type, ir.Undefined)
        for lane, factor in enumerate((one, other)):
            factors = builder.insert_element(factors, factor, ir.Constant(INDEX, lane))
        product = builder.fmul(factors, load(builder, of, place, 2))
        store(builder, builder.fadd(before, product), to, at)
        untouched = builder.icmp_unsigned("==", builder.bitcast(before, _WORD), ir.Constant(_WORD, 0))
        return builder.zext(untouched, _WORD)

    kinds = (sums, types.uint64, pairs, types.uint64, types.float32, types.float32)
    return types.uint64(*kinds), generate


@intrinsic
def copy_block(_context: Any, to: Any, at: Any, source: Any, place: Any) -> Any:  # noqa: ARG001
    """`to[at:][:BLOCK] = source[place:][:BLOCK]`, both of one type, 1-d, contiguous."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, source = (array_of(context, builder, signature, arguments, which).data for which in (0, 2))
        store(builder, load(builder, source, arguments[3], BLOCK), target, arguments[1])
        return context.get_dummy_value()

    return types.void(to, types.int64, source, types.int64), generate


@intrinsic
def fill_block(_context: Any, to: Any, at: Any, number: Any) -> Any:  # noqa: ARG001
    """`to[at:][:BLOCK] = number`, 1-d, contiguous."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target = array_of(context, builder, signature, arguments, 0).data
        store(builder, repeated(builder, arguments[2], BLOCK), target, arguments[1])
        return context.get_dummy_value()

    return types.void(to, types.int64, to.dtype), generate
