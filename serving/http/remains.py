"""What files of a workspace still hold of a customer just erased, and until when; answers come from none of it."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from recsys.data.ids import ABSENT, IdMap
from recsys.data.told import told_ids
from recsys.errors import SnapshotError
from recsys.workspace import Workspace
from recsys.workspace.sweeping import kept_snapshots, published_places
from serving.http.erasure_bodies import RemainsBody

IMPORT, SWEEP = "the next `barista import`", "`barista sweep`"


def remains(workspace: Workspace, customer_id: str) -> tuple[RemainsBody, ...]:
    """Snapshots that name the customer; publications and journals, which may."""
    current = workspace.snapshot_id()
    now = [workspace.snapshots / current] if current else []
    found = (
        RemainsBody("current snapshot", _naming(now, customer_id), IMPORT),
        RemainsBody(
            "snapshots kept for replay", _naming(kept_snapshots(workspace), customer_id), f"{IMPORT}, or {SWEEP}"
        ),
        RemainsBody("published scores", len(published_places(workspace)), f"the next `barista score`, or {SWEEP}"),
        RemainsBody("journals", workspace.journal().backlog()[0], "their upload, as soon as the database takes it"),
    )
    return tuple(each for each in found if each.count)


def _naming(snapshots: Iterable[Path], customer_id: str) -> int:
    """How many of the snapshots name a customer, with orders or in the customers table."""
    count = 0
    for directory in snapshots:
        with suppress(SnapshotError, OSError):  # it is being removed
            maps = (IdMap.load(directory, "customers"), told_ids(directory))
            count += any(each.index(customer_id) != ABSENT for each in maps)
    return count
