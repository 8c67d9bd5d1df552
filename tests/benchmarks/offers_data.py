"""Which data sets and questions `make bench-offers` finds, and their snapshots, imported once.

A data set is a mapping in docs/mappings whose files lie somewhere under the folder, or the packaged sample; what is
asked of it stands in docs/benchmarks/<name>.toml, or is one window at its own item level where there is no such file.
"""

import hashlib
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfile
from typing import Any, Literal

import numpy as np

from recsys.data.clock import DAY
from recsys.data.importing import run_import
from recsys.data.mapping import Mapping
from recsys.data.mapping_file import read_mapping
from recsys.data.snapshot import CONTRACT, Snapshot
from recsys.samples import complete_journey
from tests.benchmarks.figures import FIGURES
from training.backtesting import data_end, parse_cut
from training.windows import first_order

ROOT = FIGURES.parents[1]
SAMPLE = "sample"
"""Name of the packaged data set."""

Protocol = Literal["window", "last_basket", "next_purchase"]
PROTOCOLS: tuple[Protocol, ...] = ("window", "last_basket", "next_purchase")


@dataclass(frozen=True)
class Question:
    """What is asked of one data set.

    item_level       what an item is; empty: as the mapping says
    cuts             dates of the test, empty: the last three that the data allow
    least_purchases  of an item in the histories, else it does not count (`last_basket`)
    splits           of the customers (`last_basket`)
    train_seconds    that training may take on two cores; 0: nothing is asked
    """

    data: str
    protocol: Protocol
    item_level: str = ""
    horizon_days: int = 28
    cuts: tuple[str, ...] = ()
    least_purchases: int = 1
    splits: int = 5
    train_seconds: int = 0

    @property
    def name(self) -> str:
        """How `--only` calls it."""
        return f"{self.protocol}:{self.data}"


@dataclass(frozen=True)
class Source:
    """A data set that was found: its name, the mapping and the files it names (none for the packaged sample)."""

    name: str
    mapping: Path | None = None
    files: tuple[Path, ...] = ()


def sources(directory: Path) -> Iterator[Source]:
    """Every data set under `directory`, and the packaged sample."""
    for path in sorted((ROOT / "docs" / "mappings").glob("*.toml")):
        wanted = read_mapping(path).transactions.files
        found = [next(iter(sorted(directory.rglob(each.name))), None) for each in wanted]
        files = tuple(each for each in found if each is not None)
        if files and len(files) == len(found):
            yield Source(path.stem, path, files)
    yield Source(SAMPLE)


def questions_of(name: str, directory: Path = ROOT / "docs" / "benchmarks") -> list[Question]:
    """What is asked of the data set `name`."""
    path = directory / f"{name}.toml"
    if not path.exists():
        return [Question(name, "window")]
    text: dict[str, list[dict[str, Any]]] = tomllib.loads(path.read_text(encoding="utf-8"))
    return [
        Question(name, protocol, **{key: tuple(value) if key == "cuts" else value for key, value in each.items()})
        for protocol in PROTOCOLS
        for each in text.get(protocol, [])
    ]


def snapshot_of(source: Source, item_level: str, work: Path) -> Snapshot:
    """The data set imported with `item_level` as items; read from `work` where it was imported before."""
    mapping = complete_journey.mapping() if source.mapping is None else None
    said = source.mapping.read_bytes() if source.mapping else repr(mapping).encode()
    sizes = ",".join(f"{each.name}:{each.stat().st_size}" for each in source.files)
    digest = hashlib.sha256(said + f"{sizes}|{item_level}|{CONTRACT}".encode()).hexdigest()[:12]
    place = work / "snapshots" / f"{source.name}-{item_level or 'default'}-{digest}"
    known = [path.parent for path in place.glob("*/manifest.json")]
    if known:
        return Snapshot.open(known[0])
    if mapping is None and source.mapping is not None:
        place.mkdir(parents=True, exist_ok=True)
        for file in (source.mapping, *source.files):
            copyfile(file, place / file.name)
        mapping = read_mapping(place / source.mapping.name)
    return run_import(at_level(mapping, item_level)).save(place)  # type: ignore[arg-type]


def at_level(mapping: Mapping, item_level: str) -> Mapping:
    """The mapping with another level as items; empty: as it is."""
    return replace(mapping, items=replace(mapping.rules(), item_level=item_level)) if item_level else mapping


def cuts_of(question: Question, snapshot: Snapshot, *, final: bool) -> tuple[list[int], int]:
    """Cuts [s] and the instant nothing later may be read from [s].

    Test: the dates of the question, or three that end with the data, half a horizon apart. Validation: see
    `earlier_cuts`; rows after the first test cut are not read. Next purchases: see `tiles`.
    """
    if question.protocol == "next_purchase" and not question.cuts:
        return tiles(first_order(snapshot.history), data_end(snapshot), question.horizon_days, final=final)
    end, step = data_end(snapshot), question.horizon_days * DAY // 2
    zone = snapshot.facts.timezone
    last = [parse_cut(cut, zone) for cut in question.cuts] or [end - k * step for k in (4, 3, 2)]
    if final:
        return last, end
    return earlier_cuts(first_order(snapshot.history), last[0], question.horizon_days), last[0]


def earlier_cuts(first: int, cut: int, horizon_days: int) -> list[int]:
    """Up to three cuts [s] whose horizons end by `cut`, half a horizon apart, with a horizon of history before each."""
    horizon = horizon_days * DAY
    found = [cut - horizon - k * horizon // 2 for k in range(3)]
    return sorted(each for each in found if each - first >= horizon) or found[:1]


def tiles(first: int, end: int, horizon_days: int, *, final: bool) -> tuple[list[int], int]:
    """Cuts [s] whose windows lie side by side, and the end of the last: the newest two fifths of the data are the test,
    the fifth before is for choices."""
    horizon = horizon_days * DAY
    test = max(1, int(0.4 * (end - first) / horizon))
    if final:
        return [end - k * horizon for k in range(test, 0, -1)], end
    border, n = end - test * horizon, max(1, test // 2)
    return [border - k * horizon for k in range(n, 0, -1)], border


def first_customers(snapshot: Snapshot, n: int) -> Snapshot:
    """The first `n` customers of a snapshot, for trying out."""
    history = snapshot.history
    n = min(n, history.n_customers)
    orders = int(history.order_start[n])
    lines = int(history.line_start[orders])
    kept = {name: getattr(history, name) for name in ("order_time", "order_key", "order_store", "order_channel")}
    of_lines = ("line_product", "line_quantity", "line_amount", "line_discount")
    small = replace(
        history,
        order_start=history.order_start[: n + 1],
        line_start=history.line_start[: orders + 1],
        **{name: values[:orders] for name, values in kept.items()},
        **{name: getattr(history, name)[:lines] for name in of_lines},
    )
    customers = snapshot.customers.subset(np.arange(n))
    return replace(snapshot, snapshot_id="memory", customers=customers, history=small, directory=None)


def wanted(question: Question | str, only: Sequence[str]) -> bool:
    """Whether `--only` asks for it: by protocol, data set or both (`window:sample`); nothing asks for everything."""
    name = question if isinstance(question, str) else question.name
    return not only or any(each in (name, *name.split(":")) for each in only)
