"""What the files of a workspace still say of erased customers, taken out of them: at night, or when it is asked for."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree

import structlog

from recsys.data.blanking import blank, named_in
from recsys.data.files import read_text, replace_text
from recsys.data.snapshot import read_manifest
from recsys.store import Tombstones
from recsys.workspace.places import noted_places
from recsys.workspace.workspace import Workspace

SWEPT = "swept"
"""File of a snapshot or report that holds the digest of the erasures that were known when it was swept last."""

LOG = structlog.get_logger("barista.sweeping")


@dataclass(frozen=True, slots=True)
class Swept:
    """What was done about files of one kind: how many entries went, and where it could not be done, and why."""

    count: int = 0
    faults: tuple[str, ...] = ()


@dataclass(slots=True)
class Judged:
    """Which customers are erased, each asked for once however many files name them."""

    tombstones: Tombstones
    _seen: set[str] = field(default_factory=set)
    _erased: dict[str, int] = field(default_factory=dict)

    def erased(self, customers: set[str], as_of: int) -> set[str]:
        """Those of `customers` of whom all up to `as_of` [s] is gone."""
        self._erased |= self.tombstones.among(customers - self._seen)
        self._seen |= customers
        return {each for each in customers & self._erased.keys() if as_of <= self._erased[each]}


def sweep_snapshots(workspace: Workspace) -> Swept:
    """Blank erased customers in every snapshot but the current one; how many times one was.

    To be called by who writes to the workspace. The current snapshot is left: the next import leaves them out of it.
    One that is damaged is told in the log and left as well. What killed imports left in any of them goes.

    Raises:
        StoreUnavailable: nobody knows who is erased.
    """
    ledger, blanked, faults = workspace.erasures().ledger(), 0, []
    judged = Judged(ledger.tombstones)
    remove_remnants(workspace.snapshots, ".writing-")
    for directory in _snapshots(workspace):
        remove_remnants(directory, ".")
    for directory in kept_snapshots(workspace):
        try:
            blanked += _sweep(directory, judged, ledger.digest)
        except Exception as error:  # whatever is wrong with one, the others are swept
            faults.append(told_fault("snapshot", directory, error))
    return Swept(blanked, tuple(faults))


def _sweep(directory: Path, judged: Judged, digest: str) -> int:
    """How many customers were blanked in one snapshot."""
    if read_text(directory / SWEPT) == digest:
        return 0
    as_of = int(read_manifest(directory)["facts"]["as_of"])
    erased = judged.erased(named_in(directory), as_of)
    blank(directory, erased)
    replace_text(directory / SWEPT, digest)
    return len(erased)


def told_fault(kind: str, place: Path, error: Exception) -> str:
    """What could not be swept, and why, in one line; told in the log with the cure."""
    cure = "It may name erased customers: remove it, or bring back a whole one from a backup and run `barista sweep`"
    LOG.error(f"{kind} not swept", place=str(place), error=f"{type(error).__name__}: {error}"[:500], cure=cure)
    return f"{place}: {type(error).__name__}: {error}"[:500]


def remove_remnants(parent: Path, beginning: str) -> None:
    """Remove what processes killed in the middle left behind, by how the names begin; not its own.

    To be called by who writes.
    """
    for path in sorted(parent.iterdir()):
        if path.name.startswith(beginning) and path.name != f"{beginning}{os.getpid()}":
            if path.is_dir() and not path.is_symlink():
                rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def kept_snapshots(workspace: Workspace) -> Iterator[Path]:
    """Snapshots that are kept so that decisions can be replayed: all but the current one."""
    current = workspace.snapshot_id()
    return (path for path in _snapshots(workspace) if path.name != current)


def _snapshots(workspace: Workspace) -> Iterator[Path]:
    for path in sorted(workspace.snapshots.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            yield path


def published_places(workspace: Workspace) -> tuple[Path, ...]:
    """Directories that runs of the whole base were published in, as far as one is still there."""
    return tuple(place for place in noted_places(workspace) if (place / "manifest.json").is_file())
