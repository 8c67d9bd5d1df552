"""Memory a process no longer needs."""

import ctypes


def give_back() -> bool:
    """Hand memory that was freed to the system; False if there was none, or the C library can't (glibc and kin can).

    Opening models and loading kernels frees much below blocks that stay in use. glibc keeps such pages until it is
    asked (`malloc_trim(3)`), and workers forked from the process would each keep them too.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and bool(trim(0))
