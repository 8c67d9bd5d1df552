"""Memory of compiled kernels."""

import numba

from serving.kernel_memory import pack_kernels


def test_a_packed_kernel_can_be_called_by_one_compiled_later():
    """Parsed code is let go (numba's `_shared_module`), and a caller made after that gets 3² + 4² all the same."""
    square = numba.njit(lambda x: x * x)
    assert numba.njit(lambda x: square(x) + 1)(2) == 5  # linked once, so its code is kept parsed
    (kept,) = (each.library for each in square.overloads.values())
    assert (kept._shared_module is not None, pack_kernels() > 0, kept._shared_module) == (True, True, None)
    assert numba.njit(lambda x, y: square(x) + square(y))(3, 4) == 25
