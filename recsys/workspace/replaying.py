"""A recorded decision computed again from the snapshot, the events and the bundles it was computed from."""

from pathlib import Path

from recsys.data.forgetting import forgetting
from recsys.data.looks import looks_since
from recsys.data.snapshot import Snapshot
from recsys.decisioning.record import DecisionRecord, ModelMark
from recsys.decisioning.replay import Replay, replay
from recsys.errors import BundleError, DecisionError, SnapshotError
from recsys.models.bundle import read_bundle
from recsys.store.tombstones import PSEUDONYM
from recsys.workspace.opening import open_serving
from recsys.workspace.workspace import KEEP_DAYS, Workspace


def replay_decision(workspace: Workspace, decision_id: str) -> Replay:
    """Compute a decision again and compare it bit for bit.

    Raises:
        DecisionError: it is unknown, or its snapshot, a bundle or events of it are gone; the message says which.
        StoreUnavailable: the database can't be reached now.
    """
    waiting = workspace.journal().find(decision_id)
    record = waiting or workspace.decisions().find(decision_id)
    if record is None:
        raise DecisionError("No such decision is recorded", found=decision_id, cure="Copy `decision_id` of an answer")
    _refuse_erased(workspace, record, waits=waiting is not None)
    content = record.read()
    key = workspace.settings.bundle_key
    secret = key.get_secret_value().encode() if key else None
    snapshot = forgetting(_snapshot(workspace, record), workspace.erasures().erased_at)
    bundles = {"offers": _bundle(workspace, "offers", content.models["offers"], secret)}
    directory = workspace.snapshots / record.snapshot_id
    serving = open_serving(snapshot, directory / "population", bundles, secret)
    since = looks_since(content.as_of)
    tail = workspace.events().tail_with_looks(record.customer_id, since, content.last_sequence)
    return replay(serving, record, tail.orders, tail.looks)


def _refuse_erased(workspace: Workspace, record: DecisionRecord, *, waits: bool) -> None:
    """Raises: DecisionError if the customer was erased after the decision was begun.

    One that waits in a journal names the customer. One that passes knew all erasures of the customer there are, so
    what answered then knew the same tombstones as they stand now.
    """
    named = record.customer_id if record.customer_id.startswith(PSEUDONYM) else ""
    if waits:
        named = workspace.erasures().pseudonym_of(record.customer_id, record.erasures, record.decided_at) or ""
    if named:
        raise DecisionError("The customer of this decision was erased", found=named)


def _snapshot(workspace: Workspace, record: DecisionRecord) -> Snapshot:
    try:
        return Snapshot.open(workspace.snapshots / record.snapshot_id)
    except SnapshotError as error:
        raise DecisionError(
            "The snapshot this decision was made from is gone",
            found=record.snapshot_id,
            expected=f"it is kept for {KEEP_DAYS} days after its last use",
        ) from error


def _bundle(workspace: Workspace, name: str, mark: ModelMark, key: bytes | None) -> Path:
    """The bundle of a recorded model in the cache, its digest compared."""
    directory = workspace.bundles / name / mark.version.partition("-")[0]
    try:
        digest = read_bundle(directory, key).digest
    except BundleError as error:
        raise DecisionError(
            "The model this decision was made with is gone or damaged",
            found=f"{name} {mark.version}",
            cure="Fetch it from the registry into the bundle cache",
        ) from error
    if digest != mark.digest:
        raise DecisionError("The model's bundle is another one now", found=digest, expected=mark.digest)
    return directory
