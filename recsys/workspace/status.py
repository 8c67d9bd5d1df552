"""What `barista status` says: numbers of a workspace, read without loading any model."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.data.clock import DAY
from recsys.data.files import read_text
from recsys.data.snapshot import read_manifest
from recsys.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """The champion of one model: `metrics` are those of its back-test."""

    name: str
    version: str
    kind: str
    metrics: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Status:
    """State of a workspace.

    as_of          instant of the newest imported purchase [s], None before the first import; age [days]
    counts         customers, orders, lines, products, items of the snapshot
    events         events kept, and orders among them that are newer than the snapshot
    scores         last published whole-base run: its id, as_of, versions and counts; None without one
    disk           bytes by folder
    """

    workspace: str
    snapshot_id: str | None
    source: str
    as_of: int | None
    age_days: float | None
    counts: dict[str, int]
    models: tuple[ModelStatus, ...]
    events: int
    orders_since_snapshot: int
    scores: dict[str, Any] | None
    disk: dict[str, int]


def status_of(workspace: Workspace) -> Status:
    """State of a workspace now.

    Raises:
        SnapshotError, StoreUnavailable: a part can't be read.
    """
    snapshot_id = workspace.snapshot_id()
    manifest = read_manifest(workspace.snapshots / snapshot_id) if snapshot_id else None
    facts: dict[str, Any] = manifest["facts"] if manifest else {"source": ""}
    as_of: int | None = facts.get("as_of")
    return Status(
        workspace=str(workspace.directory.resolve()),
        snapshot_id=snapshot_id,
        source=facts["source"],
        as_of=as_of,
        age_days=(time.time() - as_of) / DAY if as_of is not None else None,
        counts=manifest["counts"] if manifest else {},
        models=_models(workspace),
        events=workspace.events().count(),
        orders_since_snapshot=workspace.events().count_orders(after=as_of) if as_of is not None else 0,
        scores=last_scores(workspace),
        disk={path.name: _size(path) for path in sorted(workspace.directory.iterdir())},
    )


def _models(workspace: Workspace) -> tuple[ModelStatus, ...]:
    found = []
    for folder in sorted(workspace.bundles.iterdir()):
        bundle = workspace.champion(folder.name) if folder.is_dir() else None
        text = read_text(bundle / "manifest.json") if bundle else None
        if bundle and text:
            manifest = json.loads(text)
            found.append(ModelStatus(folder.name, bundle.name, manifest.get("kind", ""), manifest.get("metrics", {})))
    return tuple(found)


def last_scores(workspace: Workspace) -> dict[str, Any] | None:
    """What the last published whole-base run was computed from; None without one."""
    text = read_text(workspace.directory / "scores" / "last.json")
    found: dict[str, Any] | None = json.loads(text) if text else None
    return found


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
