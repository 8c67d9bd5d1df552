"""What the files of a workspace still say of erased customers, taken out of them: at night, or when it is asked for."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree

import structlog

from recsys.data.blanking import blank, named_in
from recsys.data.files import read_text, replace_text
from recsys.data.snapshot import read_manifest
from recsys.errors import SnapshotError
from recsys.store import Tombstones
from recsys.workspace.workspace import Workspace

SWEPT = "swept"
"""File of a snapshot that says how many erasures were known when it was swept last."""

PLACES = "places.json"
"""File of `scores/` that lists where runs were published: paths, those inside the workspace relative to it."""

LOG = structlog.get_logger("barista.sweeping")


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


def sweep_snapshots(workspace: Workspace) -> int:
    """Blank erased customers in every snapshot but the current one; how many times one was.

    To be called by who writes to the workspace. The current snapshot is left: the next import leaves them out of it.
    One that is damaged is told in the log and left as well.

    Raises:
        StoreUnavailable: nobody knows who is erased.
    """
    judged, blanked = Judged(workspace.erasures().tombstones()), 0
    remove_remnants(workspace.snapshots, ".writing-")
    for directory in kept_snapshots(workspace):
        if read_text(directory / SWEPT) == str(judged.tombstones.known):
            continue
        try:
            as_of = int(read_manifest(directory)["facts"]["as_of"])
            erased = judged.erased(named_in(directory), as_of)
            blank(directory, erased)
        except (SnapshotError, OSError) as error:
            LOG.error("snapshot not swept", snapshot_id=directory.name, error=type(error).__name__)
            continue
        replace_text(directory / SWEPT, str(judged.tombstones.known))
        blanked += len(erased)
    return blanked


def remove_remnants(parent: Path, beginning: str) -> None:
    """Remove directories that processes killed in the middle left behind, by how their names begin; not its own.

    To be called by who writes.
    """
    for path in parent.iterdir():
        if path.name.startswith(beginning) and path.name != f"{beginning}{os.getpid()}":
            rmtree(path, ignore_errors=True)


def kept_snapshots(workspace: Workspace) -> Iterator[Path]:
    """Snapshots that are kept so that decisions can be replayed: all but the current one."""
    current = workspace.snapshot_id()
    for path in sorted(workspace.snapshots.iterdir()):
        if path.is_dir() and path.name != current and not path.name.startswith("."):
            yield path


def published_places(workspace: Workspace) -> tuple[Path, ...]:
    """Directories that runs of the whole base were published in, as far as one is still there."""
    places = (workspace.directory / each for each in _noted(workspace))
    return tuple(place for place in places if (place / "manifest.json").is_file())


def note_place(workspace: Workspace, out: Path) -> None:
    """Remember that a run was published in `out`; a place inside the workspace moves with it."""
    place, root = (Path(os.path.abspath(each)) for each in (out, workspace.directory))  # noqa: PTH100  links stay links
    known = _noted(workspace) | {str(place.relative_to(root) if place.is_relative_to(root) else place)}
    replace_text(workspace.directory / "scores" / PLACES, json.dumps(sorted(known), ensure_ascii=False, indent=1))


def _noted(workspace: Workspace) -> set[str]:
    text = read_text(workspace.directory / "scores" / PLACES)
    return set(json.loads(text)) if text else set()
