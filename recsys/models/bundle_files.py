"""A flat directory of small files, written whole or not at all, read without trust."""

import io
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.errors import BundleError, DamagedBundle

Files = dict[str, bytes]
"""Content by file name."""

MAX_BYTES = 512 * 2**20
"""A bundle is no larger than this, all files together."""

MAX_FILES = 100
"""Nor has it more files."""

PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def write_files(directory: Path, files: Files) -> None:
    """Write `files` as `directory` by renaming a finished, synced copy; the same content already there stays.

    Raises:
        BundleError: the directory exists with other content, or can't be written.
    """
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".writing-", dir=directory.parent))
    except OSError as error:
        raise BundleError(f"The bundle can't be written: {error}", found=str(directory)) from error
    try:
        work.chmod(0o755)
        for name, data in files.items():
            _write_synced(work / name, data)
        _sync_directory(work)
        if not directory.exists():
            work.rename(directory)
            _sync_directory(directory.parent)
        elif read_files(directory) != files:
            raise BundleError("A bundle is never overwritten", found=str(directory), expected="a new directory")
    except OSError as error:
        raise BundleError(f"The bundle can't be written: {error}", found=str(directory)) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def read_files(directory: Path) -> Files:
    """Every file of a flat directory.

    Raises:
        BundleError: no directory; a link, a subdirectory or a strange name in it; too many or too large files.
    """
    try:
        if not stat.S_ISDIR(directory.lstat().st_mode):
            raise DamagedBundle("No bundle here", found=str(directory), expected="a directory, not a link")
        names = sorted(path.name for path in directory.iterdir())
        if len(names) > MAX_FILES:
            raise DamagedBundle("The bundle has too many files", found=len(names), expected=f"at most {MAX_FILES}")
        files: Files = {}
        for name in names:
            files[name] = _read_plain(directory / name, MAX_BYTES - sum(map(len, files.values())))
    except OSError as error:
        raise DamagedBundle(f"The bundle can't be read: {error}", found=str(directory)) from error
    return files


def to_npy(array: npt.NDArray[Any]) -> bytes:
    """An array as `.npy` bytes."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def from_npy(files: Files, name: str, dtype: str, dimensions: int) -> npt.NDArray[Any]:
    """An array from `.npy` bytes.

    Raises:
        BundleError: missing, damaged, or of another type or number of dimensions.
    """
    try:
        array: npt.NDArray[Any] = np.load(io.BytesIO(files[name]), allow_pickle=False)
    except (KeyError, ValueError, OSError, EOFError, MemoryError, SyntaxError) as error:
        raise BundleError(f"{name} is missing or no array ({type(error).__name__}: {error})") from error
    if array.dtype != dtype or array.ndim != dimensions:
        raise BundleError(
            f"{name} is another array", found=f"{array.dtype} {array.shape}", expected=f"{dtype}, {dimensions}-d"
        )
    return array


def bits(array: npt.NDArray[Any]) -> bytes:
    """The bytes of an array, for comparison to the last bit."""
    return np.ascontiguousarray(array).tobytes()


def _read_plain(path: Path, allowed: int) -> bytes:
    if not PLAIN_NAME.fullmatch(path.name):
        raise DamagedBundle("A strange file lies in the bundle", found=path.name, expected="plain file names")
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise DamagedBundle(f"{path.name} is no plain file", found="a link or directory", expected="a regular file")
    if found.st_size > allowed:  # before a byte of it is read
        raise DamagedBundle(f"{path.name} is too large", found=f"{found.st_size} bytes", expected=f"{MAX_BYTES} in all")
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(allowed + 1)
    if len(data) > allowed:
        raise DamagedBundle(f"{path.name} is too large", found=f"over {allowed} bytes", expected=f"{MAX_BYTES} in all")
    return data


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
