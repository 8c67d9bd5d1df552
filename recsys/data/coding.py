"""Clean rows, chunk by chunk → dense codes: what is held of a line while a source is being read, 44 bytes."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys.data import columns as c
from recsys.data.history import UNKNOWN_CODE
from recsys.data.ids import ABSENT, IdMap
from recsys.data.keys import keys_of, text_buffers
from recsys.errors import ImportRefused


class IdCodes:
    """Ids as they come → codes 0, 1, 2 … in order of appearance; a later chunk keeps the codes of an earlier one."""

    def __init__(self) -> None:
        self._type = pl.Categorical(pl.Categories.random())
        self._held = pl.Series([], dtype=pl.String).cast(self._type)  # keeps the codes alive between chunks
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def codes(self, ids: pl.Series) -> pl.Series:
        """UInt32 codes, null where the id is null."""
        coded = ids.cast(self._type).to_physical()
        newest = coded.max()
        if isinstance(newest, int):
            self._count = max(self._count, newest + 1)
        return coded

    def sorted_map(self) -> tuple[IdMap, npt.NDArray[np.int32]]:
        """All ids as a map, and for each code its index there."""
        codes = pl.Series(np.arange(self._count, dtype=np.uint32))
        ids = codes.to_frame("id").select(pl.col("id").cat.to(self._type).cast(pl.String)).to_series()
        order = ids.arg_sort().to_numpy()
        index = np.empty(self._count, np.int32)
        index[order] = np.arange(self._count, dtype=np.int32)
        return map_of_sorted(ids.gather(order)), index


def map_of_sorted(ids: pl.Series) -> IdMap:
    """Map of distinct ids that are sorted by their UTF-8 bytes already."""
    offsets, blob = text_buffers(ids)
    return IdMap(offsets - offsets[0], blob[offsets[0] : offsets[-1]].copy())


@dataclass(slots=True)
class CodedLines:
    """Lines of one chunk as arrays of one length; `customer`, `product`, `store`, `channel` are codes of a `Coder`."""

    customer: npt.NDArray[np.uint32]
    time: npt.NDArray[np.int64]
    key: npt.NDArray[np.uint64]
    product: npt.NDArray[np.int32]
    quantity: npt.NDArray[np.float32]
    amount: npt.NDArray[np.int64]
    discount: npt.NDArray[np.int32]
    store: npt.NDArray[np.uint16]
    channel: npt.NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.customer)


LINE_TYPES: dict[str, Any] = {
    "customer": np.uint32,
    "time": np.int64,
    "key": np.uint64,
    "product": np.int32,
    "quantity": np.float32,
    "amount": np.int64,
    "discount": np.int32,
    "store": np.uint16,
    "channel": np.uint16,
}
LINE_COLUMNS = tuple(LINE_TYPES)

BLOCK = 2**24
"""Lines a block has room for. Its smallest column takes 32 MiB, which the allocator maps and gives back when freed;
smaller arrays would stay in the heap and be held beside the sorted ones. Pages never touched cost nothing."""


@dataclass(slots=True)
class Coder:
    """Collects coded chunks; `assemble_coded` makes a snapshot of them."""

    customers: IdCodes = field(default_factory=IdCodes)
    products: IdCodes = field(default_factory=IdCodes)
    stores: IdCodes = field(default_factory=IdCodes)
    channels: IdCodes = field(default_factory=IdCodes)
    _blocks: list[CodedLines] = field(default_factory=list)
    _free: int = 0
    n_lines: int = 0

    def add(self, lines: pl.DataFrame) -> None:
        """Code clean rows (see `assemble` for the columns) and keep them.

        Raises:
            ImportRefused: more stores or channels than the layout holds.
        """
        if lines.is_empty():
            return
        seconds = lines[c.TIME].cast(pl.Int64).to_numpy()
        order = lines[c.ORDER].cast(pl.String) if c.ORDER in lines.columns else None
        key = lines[KEY].to_numpy() if KEY in lines.columns else keys_of(lines[c.CUSTOMER], order, seconds)
        self.keep(
            CodedLines(
                customer=self.customers.codes(lines[c.CUSTOMER]).to_numpy(),
                time=seconds,
                key=key,
                product=self.products.codes(lines[c.PRODUCT]).to_numpy().astype(np.int32),
                quantity=lines[c.QUANTITY].to_numpy().astype(np.float32) + np.float32(0),  # -0 becomes 0
                amount=lines[c.AMOUNT].to_numpy(),
                discount=lines[c.DISCOUNT].cast(pl.Int32).to_numpy()
                if c.DISCOUNT in lines.columns
                else np.zeros(len(lines), np.int32),
                store=self._places(lines, c.STORE, self.stores),
                channel=self._places(lines, c.CHANNEL, self.channels),
            )
        )

    def keep(self, lines: CodedLines) -> None:
        """Copy coded lines behind those collected so far."""
        taken = 0
        while taken < len(lines):
            if self._free == 0:
                self._blocks.append(_new_block())
                self._free = BLOCK
            count = min(self._free, len(lines) - taken)
            low = BLOCK - self._free
            for name in LINE_COLUMNS:
                getattr(self._blocks[-1], name)[low : low + count] = getattr(lines, name)[taken : taken + count]
            taken += count
            self._free -= count
        self.n_lines += len(lines)

    def hand_over(self) -> list[CodedLines]:
        """The collected lines, a block at a time; the coder keeps none."""
        blocks, free = self._blocks, self._free
        if blocks:
            last = blocks[-1]
            for name in LINE_COLUMNS:
                setattr(last, name, getattr(last, name)[: BLOCK - free])
        self._blocks, self._free, self.n_lines = [], 0, 0
        return blocks

    def _places(self, lines: pl.DataFrame, column: str, codes: IdCodes) -> npt.NDArray[np.uint16]:
        if column not in lines.columns or lines[column].null_count() == len(lines):
            return np.full(len(lines), UNKNOWN_CODE, np.uint16)
        coded = codes.codes(lines[column].cast(pl.String))
        if len(codes) >= UNKNOWN_CODE:
            raise ImportRefused(
                f"Too many different values of {column}",
                found=len(codes),
                expected=f"fewer than {UNKNOWN_CODE}",
                cure=f"Map {column} to a column that names a place, not a receipt",
            )
        return coded.fill_null(UNKNOWN_CODE).to_numpy().astype(np.uint16)


KEY = "order_key"
"""Column of clean rows that carries the order's key itself, instead of `order_id`."""


def _new_block() -> CodedLines:
    return CodedLines(**{name: np.empty(BLOCK, dtype) for name, dtype in LINE_TYPES.items()})


def recoded(codes: npt.NDArray[np.uint16], index: npt.NDArray[np.int32]) -> npt.NDArray[np.uint16]:
    """Place codes → indices; UNKNOWN_CODE stays."""
    table = np.full(UNKNOWN_CODE + 1, UNKNOWN_CODE, np.uint16)
    table[: len(index)] = index
    return table[codes]


def indices_in(ids: IdMap, texts: pl.Series) -> npt.NDArray[np.int32]:
    """Index of each text in `ids`, `ABSENT` for null and unknown."""
    known = pl.DataFrame(
        {"id": list(ids), "code": np.arange(len(ids), dtype=np.int32)}, schema={"id": pl.String, "code": pl.Int32}
    )
    joined = pl.DataFrame({"id": texts}).join(known, on="id", how="left", maintain_order="left")
    return joined["code"].fill_null(ABSENT).to_numpy()
