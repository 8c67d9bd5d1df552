"""Arrays on disk: plain `.npy`, opened memory-mapped, never pickled."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.errors import SnapshotError


def save_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write `array` as `.npy`."""
    with path.open("wb") as file:
        np.save(file, np.ascontiguousarray(array), allow_pickle=False)


def load_array(path: Path) -> npt.NDArray[Any]:
    """Open a `.npy` file copy-on-write: pages are shared by all processes that map it and never reach the file.

    Copy-on-write instead of read-only, so that kernels see one array type whether rows come from disk or memory.

    Raises:
        SnapshotError: the file is missing or is no array.
    """
    try:
        if path.stat().st_size == 0:
            raise ValueError("an empty file")
        mapped = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise SnapshotError(
            f"Array {path.name} can't be opened: {error}", cure="Import again or restore a backup"
        ) from error
    return np.asarray(mapped).view(np.ndarray)
