"""External ids ↔ dense indices: sorted UTF-8 bytes in one blob, so that ten processes share one mapped copy."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.arrays import load_array, save_array

ABSENT = -1
"""Index of an id that is not in the map."""


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """A list of texts in one blob.

    `offsets` int64 (n + 1,), `blob` uint8 (offsets[-1],): text *i* is `blob[offsets[i]:offsets[i + 1]]` in UTF-8.
    """

    offsets: npt.NDArray[np.int64]
    blob: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Texts in the order given."""
        return cls._packed([text.encode() for text in texts])

    @classmethod
    def _packed(cls, encoded: list[bytes]) -> Self:
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(each) for each in encoded], out=offsets[1:])
        return cls(offsets, np.frombuffer(b"".join(encoded), np.uint8).copy())

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[str]:
        whole = self.blob.tobytes()
        bounds = self.offsets.tolist()
        return (whole[start:stop].decode() for start, stop in pairwise(bounds))

    def __getitem__(self, index: int) -> str:
        """Text at `index`.

        Raises:
            IndexError: `index` is not in `0 … len - 1`.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._bytes(index).decode()

    def _bytes(self, index: int) -> bytes:
        return self.blob[self.offsets[index] : self.offsets[index + 1]].tobytes()

    def subset(self, kept: npt.NDArray[np.integer]) -> Self:
        """The texts at the positions `kept` (ascending for an `IdMap`)."""
        starts, stops = self.offsets[:-1][kept], self.offsets[1:][kept]
        offsets = np.zeros(len(kept) + 1, np.int64)
        np.cumsum(stops - starts, out=offsets[1:])
        source = np.repeat(starts - offsets[:-1], stops - starts) + np.arange(offsets[-1])
        return type(self)(offsets, np.ascontiguousarray(self.blob[source]))

    def save(self, directory: Path, name: str) -> None:
        """Write `<name>.offsets.npy` and `<name>.blob.npy`."""
        save_array(directory / f"{name}.offsets.npy", self.offsets)
        save_array(directory / f"{name}.blob.npy", self.blob)

    @classmethod
    def load(cls, directory: Path, name: str) -> Self:
        """Open what `save` wrote, memory-mapped."""
        return cls(load_array(directory / f"{name}.offsets.npy"), load_array(directory / f"{name}.blob.npy"))


@dataclass(frozen=True, slots=True, eq=False)
class IdMap(Texts):
    """External ids, distinct and sorted by their UTF-8 bytes; an id's position is its index.

    Sorting makes indices depend on the set of ids only, never on the order rows arrived in.
    """

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Map of the distinct ids among `texts`."""
        return cls._packed(sorted({text.encode() for text in texts}))

    def index(self, external: str) -> int:
        """Index of `external`, or `ABSENT`; log2(n) comparisons."""
        return int(find(self.offsets, self.blob, np.frombuffer(external.encode(), np.uint8)))

    def index_unless(self, external: str, erased_at: int | None) -> int:  # noqa: ARG002  as of `forgets`
        """`index` of one who was asked for among the erased: gone up to an instant [s], or None."""
        return self.index(external)

    def forgets(self, external: str) -> bool:  # noqa: ARG002  `recsys.data.forgetting` knows erased ones
        """Whether what is held of `external` is erased: of plain ids nothing is."""
        return False

    def indices(self, externals: Iterable[str]) -> npt.NDArray[np.int32]:
        """Indices of many ids, `ABSENT` where unknown; one dictionary for all of them."""
        known = {external: index for index, external in enumerate(self)}
        return np.fromiter((known.get(external, ABSENT) for external in externals), np.int32)


@numba.njit(cache=True, nogil=True)
def find(offsets: Any, blob: Any, wanted: Any) -> Any:
    """Position of the bytes `wanted` among sorted texts, `ABSENT` if they are none of them.

    Blank texts, see `recsys.data.blanking`, stand where others were and are passed over.
    """
    low, high = 0, offsets.size - 1
    while low < high:
        middle = (low + high) // 2
        seen = middle
        while seen > low and is_blank(offsets, blob, seen):
            seen -= 1
        order = -1 if is_blank(offsets, blob, seen) else _compare(blob[offsets[seen] : offsets[seen + 1]], wanted)
        if order == 0:
            return seen
        if order < 0:
            low = middle + 1
        else:
            high = seen
    return ABSENT


@numba.njit(cache=True, nogil=True)
def is_blank(offsets: Any, blob: Any, at: Any) -> Any:
    """Whether the text `at` was blanked: it begins with a zero byte, which no id does."""
    return offsets[at] < offsets[at + 1] and blob[offsets[at]] == 0


@numba.njit(cache=True, nogil=True)
def _compare(left: Any, right: Any) -> Any:
    """Below, equal to or above 0 as the bytes `left` sort before, with or after `right`."""
    for k in range(min(left.size, right.size)):
        if left[k] != right[k]:
            return -1 if left[k] < right[k] else 1
    return left.size - right.size
