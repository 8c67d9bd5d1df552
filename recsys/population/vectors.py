"""Vectors of neighbouring numbers in the code that intrinsics generate; numba has no words for them.

A vector may be longer than the processor's: the compiler divides it into what there is.
"""

from typing import Any

from llvmlite import ir

INDEX = ir.IntType(32)
"""Type of a place in a vector."""


def array_of(context: Any, builder: Any, signature: Any, arguments: Any, which: int) -> Any:
    """An array that was given: `data` points to its first element, `shape` holds its sizes."""
    return context.make_array(signature.args[which])(context, builder, arguments[which])


def load(builder: Any, data: Any, index: Any, count: int) -> Any:
    """The `count` numbers from `index` on."""
    place = builder.gep(data, [index])
    return builder.load(builder.bitcast(place, ir.PointerType(ir.VectorType(data.type.pointee, count))), align=1)


def store(builder: Any, vector: Any, data: Any, index: Any) -> None:
    """Put the numbers of a vector from `index` on."""
    builder.store(vector, builder.bitcast(builder.gep(data, [index]), ir.PointerType(vector.type)), align=1)


def repeated(builder: Any, number: Any, count: int) -> Any:
    """A vector of `count` times the number."""
    empty = ir.Constant(ir.VectorType(number.type, count), ir.Undefined)
    first = builder.insert_element(empty, number, ir.Constant(INDEX, 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(INDEX, count), [0] * count))
