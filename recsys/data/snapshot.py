"""Snapshot: one immutable state of all imported data, a directory of arrays with a manifest."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from recsys.data.catalogue import Catalogue
from recsys.data.clock import ZoneTable, zone_table
from recsys.data.history import PurchaseHistory
from recsys.data.ids import IdMap
from recsys.errors import SnapshotError

CONTRACT = 1
"""Version of the snapshot's layout; another one is refused, but for `BLANKED`."""

BLANKED = 2
"""Version of a snapshot that customers were blanked in, see `recsys.data.blanking`; the same layout."""

ZONE_YEARS = 3 * 366 * 86_400
"""The zone table reaches this far past `as_of` [s], so that a snapshot outlives the next clock changes."""


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """What the manifest says besides counts and digests.

    as_of         instant of the newest order [s]; nothing later is in the snapshot
    currency      ISO 4217 code, or '' when unknown
    minor_digits  amounts are stored in units of 10**-minor_digits of the currency
    timezone      business time zone (Friday evening stays Friday)
    source        what was imported, in a few words
    """

    as_of: int
    currency: str = ""
    minor_digits: int = 2
    timezone: str = "UTC"
    source: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """History, catalogue and customers as known at `facts.as_of`.

    `snapshot_id` is the digest of the content (12 hex digits), so equal data gives an equal id;
    `stores` and `channels` are what `order_store` and `order_channel` are indices into;
    `directory` is None while it lives in memory only.
    """

    snapshot_id: str
    facts: SnapshotFacts
    customers: IdMap
    stores: IdMap
    channels: IdMap
    catalogue: Catalogue
    history: PurchaseHistory
    directory: Path | None = None

    @property
    def as_of(self) -> int:
        """Instant of the newest order [s]."""
        return self.facts.as_of

    def zone(self) -> ZoneTable:
        """Offsets of the business time zone over the history and three years more."""
        first = int(self.history.order_time.min()) if self.history.n_orders else self.as_of
        return zone_table(self.facts.timezone, first, self.as_of + ZONE_YEARS)

    def money(self, minor: float) -> float:
        """Minor units → currency."""
        return float(minor) / float(10**self.facts.minor_digits)

    def save(
        self, parent: Path, tables: dict[str, bytes] | None = None, derived: dict[str, bytes] | None = None
    ) -> Self:
        """Write the snapshot to `parent/<snapshot_id>`, whole or not at all, and return it opened from there.

        `tables` are further files kept with it, by name (products.parquet, customers.parquet, import.json);
        `derived` are files made of these.
        The id is the digest of all arrays, facts and tables: a changed opt-out alone makes a new snapshot, another way
        to derive files does not.
        """
        parent.mkdir(parents=True, exist_ok=True)
        work = parent / f".writing-{os.getpid()}"
        _clear(work)
        work.mkdir()
        self.history.save(work)
        self.catalogue.save(work)
        for name in ("customers", "stores", "channels"):
            getattr(self, name).save(work, name)
        more = derived or {}
        for name, content in ((tables or {}) | more).items():
            (work / name).write_bytes(content)
        digests = {path.name: file_digest(path) for path in sorted(work.iterdir())}
        snapshot_id = _identity({name: digest for name, digest in digests.items() if name not in more}, self.facts)
        (work / "manifest.json").write_text(json.dumps(self._manifest(snapshot_id, digests), indent=1))
        target = parent / snapshot_id
        _publish(work, target)
        return type(self).open(target)

    def _manifest(self, snapshot_id: str, digests: dict[str, str]) -> dict[str, Any]:
        counts = {
            "customers": self.history.n_customers,
            "orders": self.history.n_orders,
            "lines": self.history.n_lines,
            "products": self.catalogue.n_products,
            "items": self.catalogue.n_items,
        }
        return {
            "contract": CONTRACT,
            "snapshot_id": snapshot_id,
            "facts": asdict(self.facts),
            "counts": counts,
            "files": digests,
        }

    @classmethod
    def open(cls, directory: Path, *, verify: bool = False) -> Self:
        """Open a snapshot memory-mapped; `verify` re-reads every byte against the manifest's SHA-256.

        Raises:
            SnapshotError: missing, of another contract version, or (with `verify`) damaged.
        """
        manifest = read_manifest(directory)
        if verify:
            verify_files(directory, manifest)
        return cls(
            snapshot_id=manifest["snapshot_id"],
            facts=SnapshotFacts(**manifest["facts"]),
            customers=IdMap.load(directory, "customers"),
            stores=IdMap.load(directory, "stores"),
            channels=IdMap.load(directory, "channels"),
            catalogue=Catalogue.load(directory),
            history=PurchaseHistory.load(directory),
            directory=directory,
        )

    def with_facts(self, **changes: Any) -> Self:
        """The same data under changed facts."""
        return replace(self, facts=replace(self.facts, **changes))


def read_manifest(directory: Path) -> dict[str, Any]:
    """Manifest of the snapshot in `directory`.

    Raises:
        SnapshotError: there is none, or its contract version is not this program's.
    """
    try:
        manifest: dict[str, Any] = json.loads((directory / "manifest.json").read_text())
    except (OSError, ValueError) as error:
        raise SnapshotError(
            "No snapshot here",
            found=directory.name,
            expected="a directory with manifest.json",
            cure="Run `barista import`",
        ) from error
    if manifest.get("contract") not in (CONTRACT, BLANKED):
        raise SnapshotError(
            "The snapshot has another contract version",
            found=manifest.get("contract"),
            expected=str(CONTRACT),
            cure="Run `barista import` with this version",
        )
    return manifest


def verify_files(directory: Path, manifest: dict[str, Any]) -> None:
    """Compare every file with the manifest.

    Raises:
        SnapshotError: a file is missing or differs.
    """
    for name, expected in manifest["files"].items():
        path = directory / name
        found = file_digest(path) if path.is_file() else "no file"
        if found != expected:
            raise SnapshotError(
                f"Snapshot file {name} is damaged",
                found=found,
                expected=expected,
                cure="Import again or restore a backup",
            )


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _identity(digests: dict[str, str], facts: SnapshotFacts) -> str:
    content = json.dumps([CONTRACT, digests, asdict(facts)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _clear(directory: Path) -> None:
    import shutil

    if directory.exists():
        shutil.rmtree(directory)


def _is_whole(directory: Path) -> bool:
    """Whether a directory holds the content its name stands for."""
    try:
        manifest = read_manifest(directory)
    except SnapshotError:
        return False
    return manifest["contract"] == CONTRACT and not manifest.get("blanked")


def _publish(work: Path, target: Path) -> None:
    """Rename `work` to `target` after its bytes reached the disk; the same content already there wins.

    Not one that customers were blanked in since, which is that content no more, nor what a killed removal left.
    """
    for path in work.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    if _is_whole(target):
        _clear(work)
        return
    _clear(target)
    work.rename(target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
