"""Where runs of the whole base were published, so that rows of customers erased later can be taken out of them."""

import json
import os
from pathlib import Path

from recsys.data.files import read_text, replace_text
from recsys.workspace.workspace import Workspace

PLACES = "places.json"
"""File of `scores/`: ids of the runs by the place they were published in; one inside the workspace is relative to it.

No backup holds it: a copy of a workspace would rewrite what the original published.
"""

LOST = "places.damaged.json"
"""What such a file is called once it was found damaged: places in it are known to nobody."""

RUNS = 8
"""Ids of runs that are remembered of a place, the newest: a run that was killed left the former one there."""


def noted_places(workspace: Workspace) -> dict[Path, list[str]]:
    """Directories that runs were to be published in, with the ids of those runs."""
    return {workspace.directory / name: runs for name, runs in _noted(workspace).items()}


def note_place(workspace: Workspace, out: Path, run_id: str) -> None:
    """Remember that a run is about to be published in `out`; a place inside the workspace moves with it."""
    noted, name = _noted(workspace), _name(workspace, out)
    runs = [each for each in noted.get(name, []) if each != run_id]
    _write(workspace, noted | {name: [*runs, run_id][-RUNS:]})


def drop_place(workspace: Workspace, place: Path) -> None:
    """Forget a place: what is published there now is somebody else's."""
    noted, name = _noted(workspace), _name(workspace, place)
    _write(workspace, {each: runs for each, runs in noted.items() if each != name})


def _name(workspace: Workspace, out: Path) -> str:
    place, root = (Path(os.path.abspath(each)) for each in (out, workspace.directory))  # noqa: PTH100  links stay links
    return str(place.relative_to(root) if place.is_relative_to(root) else place)


def lost_places(workspace: Workspace) -> Path | None:
    """The file of places that can't be read any more; None while all that were noted are known."""
    scores = workspace.directory / "scores"
    if (scores / LOST).exists():
        return scores / LOST
    return scores / PLACES if _read(scores / PLACES) is None else None


def _noted(workspace: Workspace) -> dict[str, list[str]]:
    """The file; nothing where it is missing or damaged, places without a run where it has none of them."""
    return _read(workspace.directory / "scores" / PLACES) or {}


def _read(path: Path) -> dict[str, list[str]] | None:
    """What stands in a file of places; None when it is damaged."""
    try:
        found = json.loads(read_text(path) or "{}")
    except ValueError:
        return None
    if isinstance(found, list):
        return {str(each): [] for each in found}
    if not isinstance(found, dict):
        return None
    return {name: [str(each) for each in runs] if isinstance(runs, list) else [] for name, runs in found.items()}


def _write(workspace: Workspace, noted: dict[str, list[str]]) -> None:
    """Replace the file; a damaged one is kept aside for who can read it."""
    path = workspace.directory / "scores" / PLACES
    if _read(path) is None:
        path.replace(path.with_name(LOST))
    replace_text(path, json.dumps(dict(sorted(noted.items())), ensure_ascii=False, indent=1))
