"""A workspace and what it opens: snapshots, the event store, the bundle cache."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any, Self

from recsys.data.clock import DAY, resolve_as_of
from recsys.data.files import read_text, replace_text
from recsys.data.snapshot import Snapshot, read_manifest
from recsys.errors import SnapshotError, WorkspaceError
from recsys.settings import Settings
from recsys.store import Database, DecisionStore, ErasureStore, EventStore, Journal, Remembered, Tombstones
from recsys.workspace.lock import exclusive

if TYPE_CHECKING:
    from recsys.data.forgetting import ErasedAt
    from recsys.decisioning import Serving

KEEP_DAYS = 35
"""A snapshot stays this long after another took its place, so that past decisions can be replayed [days]."""

FOLDERS = ("snapshots", "bundles", "reports", "scores", "imports")

_TOML = """# Settings of this workspace: every BARISTA_<NAME> variable as `name = value`; the environment wins.
"""


class Workspace:
    """One directory and what it holds.

    snapshots/<id>/          imported data with population/ inside; `snapshots/current` names the one in use
    barista.db               events (unless DATABASE_URL names a server)
    mlflow.db, mlruns/       runs and registered models (unless MLFLOW_TRACKING_URI names a server)
    bundles/<name>/<version> cache of model bundles; `bundles/<name>/champion` names the version in use
    journal/                 decisions that wait for the database, one file a worker
    reports/ scores/ imports/
    barista.toml             settings of this workspace
    lock                     held by the one process that imports, trains, scores or restores
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.directory = settings.workspace
        self.patience: float | None = None
        self._database: Database | None = None
        self._events: EventStore | None = None
        self._erasures: ErasureStore | None = None

    @classmethod
    def create(cls, settings: Settings, **defaults: Any) -> Self:
        """Open the workspace of `settings`, making it where there is none; `defaults` go into a new `barista.toml`.

        Raises:
            WorkspaceError: the directory can't be made.
        """
        workspace = cls(settings)
        try:
            for folder in FOLDERS:
                (workspace.directory / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError("The workspace can't be made", found=str(error)) from error
        toml = workspace.directory / "barista.toml"
        if not toml.exists():
            lines = (f"{name} = {json.dumps(value)}\n" for name, value in defaults.items())
            replace_text(toml, _TOML + "".join(lines))
        return workspace

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Open an existing workspace.

        Raises:
            WorkspaceError: there is none.
        """
        workspace = cls(settings)
        if not workspace.snapshots.is_dir():
            raise WorkspaceError(
                "No workspace here",
                found=str(workspace.directory),
                expected="a directory made by `barista import`",
                cure="Run `barista import` or `barista demo`, or name another one by --workspace",
            )
        return workspace

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer for the block: imports, training, whole-base scoring, backup and restore.

        Raises:
            WorkspaceLocked: another process writes; the message says which and since when.
        """
        with exclusive(self.directory / "lock"):
            yield

    @property
    def snapshots(self) -> Path:
        """Where snapshots live."""
        return self.directory / "snapshots"

    @property
    def bundles(self) -> Path:
        """Where the bundle cache lives."""
        return self.directory / "bundles"

    def publish_snapshot(self, snapshot_id: str) -> None:
        """Make a saved snapshot the current one; readers see the former or the new one, nothing between.

        Raises:
            SnapshotError: there is no such snapshot.
        """
        read_manifest(self.snapshots / snapshot_id)
        if snapshot_id == self.snapshot_id():
            return
        with (self.snapshots / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps({"id": snapshot_id, "at": int(time.time())}) + "\n")
        replace_text(self.snapshots / "current", snapshot_id + "\n")

    def snapshot_id(self) -> str | None:
        """Id of the current snapshot; None before the first import."""
        return read_text(self.snapshots / "current")

    def current_snapshot(self) -> Snapshot:
        """The current snapshot, memory-mapped.

        Raises:
            SnapshotError: nothing was imported yet, or the snapshot is broken.
        """
        found = self.snapshot_id()
        if found is None:
            raise SnapshotError("Nothing was imported into this workspace yet", cure="Run `barista import`")
        return Snapshot.open(self.snapshots / found)

    def prune_snapshots(self, now: int | None = None) -> list[str]:
        """Remove snapshots out of use for more than `KEEP_DAYS`, never the current one; the ids removed.

        A decision made from a snapshot is a use of it: a service that can't open the next one goes on using the former.
        One that waits in a journal is one, too.

        Raises:
            StoreUnavailable: nobody knows what uses a snapshot that is old enough; it stays.
        """
        limit = (now if now is not None else int(time.time())) - KEEP_DAYS * DAY
        current, left = self.snapshot_id(), self._left()
        waiting = self.journal().last_uses()  # before the database: what is uploaded meanwhile is found there
        removed = []
        for path in sorted(self.snapshots.iterdir()):
            if not path.is_dir() or path.name == current or left.get(path.name, path.stat().st_mtime) >= limit:
                continue
            if max(self.decisions().last_use(path.name) or 0, waiting.get(path.name, 0)) < limit:
                rmtree(path)
                removed.append(path.name)
        return removed

    def _left(self) -> dict[str, int]:
        """When each snapshot of the log stopped being the current one [s]."""
        log = read_text(self.snapshots / "log.jsonl")
        entries = [json.loads(line) for line in (log or "").splitlines()]
        return {old["id"]: new["at"] for old, new in pairwise(entries)}

    def database(self) -> Database:
        """The database, opened on first use and kept; see `be_patient`.

        Raises:
            StoreUnavailable: it can't be reached now.
        """
        if self._database is None:
            database = Database.open(self._address(), self.settings.database_schema)
            if self.patience is not None:
                database.answer_within(self.patience)
            self._database = database
        return self._database

    def be_patient(self, seconds: float) -> None:
        """From now on give up on a database that does not answer for so long [s], one opened later too."""
        self.patience = seconds
        if self._database is not None:
            self._database.answer_within(seconds)

    def reopen(self) -> None:
        """Forget the connections of the process this one was forked from; a database never reached has none."""
        if self._database is not None:
            self._database.reopen()

    def events(self) -> EventStore:
        """The event store.

        Raises:
            StoreUnavailable: the database can't be reached now.
        """
        if self._events is None:
            self._events = EventStore(self.database())
        return self._events

    def remembered(self) -> Remembered:
        """What the event store remembers of newer orders; nothing while none was opened, and none is for this."""
        return Remembered() if self._events is None else self._events.remembered()

    def forget_erased(self, tombstones: Tombstones) -> None:
        """Remember nothing of customers erased; an event store that was never opened does not."""
        if self._events is not None:
            self._events.forget_erased(tombstones)

    def decisions(self) -> DecisionStore:
        """The decisions.

        Raises:
            StoreUnavailable: the database can't be reached now.
        """
        return DecisionStore(self.database())

    def journal(self) -> Journal:
        """Decisions that wait for the database."""
        return Journal(self.directory / "journal")

    def _address(self) -> str | Path:
        """Where the database is."""
        address = self.settings.database_url
        return address.get_secret_value() if address else self.directory / "barista.db"

    def migrate(self, target: str | None = None) -> tuple[str, str]:
        """Move the database's tables to a version, by default this program's; versions before and after.

        Raises:
            StoreError: no such version, or the tables are newer than this program.
            StoreUnavailable: the database can't be reached now.
        """
        database = Database.unprepared(self._address(), self.settings.database_schema)
        try:
            return database.migrate(target) if target is not None else database.migrate()
        finally:
            database.close()

    def erasures(self) -> ErasureStore:
        """The erasures of customers.

        Raises:
            StoreUnavailable: the database can't be reached now.
        """
        if self._erasures is None:
            self._erasures = ErasureStore(self.database())
        return self._erasures

    def as_of(self, snapshot: Snapshot | None = None, at: int | None = None) -> int:
        """Instant answers are given for by the workspace's clock; a request's own instant `at` wins [s].

        Raises:
            ClockError: it lies before the snapshot's end.
        """
        return resolve_as_of(self.settings.clock, (snapshot or self.current_snapshot()).as_of, at)

    def champion(self, name: str) -> Path | None:
        """Cached bundle of the model in use (`offers`, `churn`, `value`); None where there is none."""
        version = read_text(self.bundles / name / "champion")
        path = self.bundles / name / version if version else None
        return path if path is not None and path.is_dir() else None

    def load_serving(
        self,
        snapshot: Snapshot | None = None,
        erased_at: "ErasedAt | None" = None,
        bundles: Mapping[str, Path | None] | None = None,
    ) -> "Serving":
        """Open what answers: the current snapshot and the cached champions, or the ones given.

        Customers that `erased_at` names are not found. A model without a champion is None; the files of the others are
        verified to the last byte.

        Raises:
            SnapshotError: nothing was imported, or without population facts.
            BundleError: a cached bundle is damaged.
        """
        from recsys.data.forgetting import forgetting
        from recsys.decisioning.books import Costs
        from recsys.decisioning.stakes import judged_by_cost
        from recsys.workspace.opening import MODELS, open_serving

        opened = snapshot or self.current_snapshot()
        opened = opened if erased_at is None else forgetting(opened, erased_at)
        directory = opened.directory or self.snapshots / opened.snapshot_id
        key = self.settings.bundle_key
        chosen = {name: self.champion(name) for name in MODELS} if bundles is None else bundles
        secret = key.get_secret_value().encode() if key else None
        serving = open_serving(opened, directory / "population", chosen, secret, Costs.of(self.settings))
        return judged_by_cost(serving, self.settings)
