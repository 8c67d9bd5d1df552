"""What compiled kernels take of a worker's memory."""

import ctypes
import gc
from functools import partial
from typing import Any

from llvmlite import binding
from numba.core.dispatcher import Dispatcher


def pack_kernels() -> int:
    """Keep the intermediate code of the kernels in memory as bytes and give back what that frees; how many were packed.

    Numba parses it for every kernel it takes from its cache and keeps it for callers that may be compiled later, of
    which a service has none. Parsed it takes several times its bytes, some 20 MB for the kernels of a worker. A caller
    compiled after all has it parsed again. glibc keeps freed pages until it is asked (`malloc_trim(3)`).
    """
    kernels = [each for each in gc.get_objects() if issubclass(type(each), Dispatcher)]
    packed = sum(_packed(compiled.library) for kernel in kernels for compiled in kernel.overloads.values())
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return packed


def _packed(library: Any) -> bool:
    parsed = getattr(library, "_shared_module", None)
    if parsed is None:
        return False
    library._get_module_for_linking = partial(binding.parse_bitcode, parsed.as_bitcode())
    library._shared_module = None
    return True
