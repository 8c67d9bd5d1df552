"""Where compiled kernels are kept: a cache of their own for every state of the code.

numba notices that a file changed, not that a kernel it calls in another file did: after an update the old machine code
would run on. So the cache directory carries a digest of all kernel sources.
"""

import hashlib
import os
import sys
from pathlib import Path

PREFIX = "barista-kernels-"
VARIABLE = "NUMBA_CACHE_DIR"
_PACKAGE = Path(__file__).parent


def source_digest(package: Path = _PACKAGE) -> str:
    """Digest of every Python file below `package` that compiles something, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        content = path.read_bytes()
        if b"numba" in content:
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + content + b"\0")
    return digest.hexdigest()[:16]


def cache_directory(chosen: str | None, digest: str, package: Path = _PACKAGE) -> Path:
    """Directory for the kernels of `digest`: below the one `chosen` by the operator, else beside the code.

    A directory this function made before, inherited from a parent process, is replaced, not nested.
    """
    parent = Path(chosen) if chosen else package / "__pycache__"
    parent = parent.parent if parent.name.startswith(PREFIX) else parent
    if not chosen and not os.access(package, os.W_OK):
        parent = Path.home() / ".cache" / "barista"
    return parent / f"{PREFIX}{digest}"


def keep_kernels_apart() -> None:
    """Point numba at the cache of this code. Runs when `recsys` is first imported, before any kernel is defined."""
    directory = str(cache_directory(os.environ.get(VARIABLE), source_digest()))  # numba reads this variable itself
    os.environ[VARIABLE] = directory
    numba = sys.modules.get("numba")
    if numba is not None:
        numba.config.CACHE_DIR = directory
