"""How each part of the service is: told from memory, so that a health check never waits for a disk or a database."""

import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

import msgspec

from recsys.workspace import Workspace
from serving.answers import MODELS
from serving.http.health_bodies import (
    DiskHealth,
    HealthBody,
    JournalHealth,
    LiveBody,
    ModelHealth,
    PartsHealth,
    RefusedHealth,
    RegistryHealth,
    SnapshotHealth,
    Status,
)
from serving.http.service import Service
from serving.puller import Pulled, pulled

LOW = 0.05
"""Share of the disk that must be free for it to be well."""

HIDDEN = "Something new in the workspace can't be opened; asked with a key this says what."
"""What callers without a key are told of an error: its message may name files."""


class Noted(NamedTuple):
    """What files say: when they were looked at [s], when each champion's bundle was written [s], what waits, space."""

    at: float
    written: dict[str, float]
    journal: tuple[int, int]
    pulled: Pulled | None
    disk: tuple[int, int]


def note(workspace: Workspace) -> Noted:
    """Look at the files; not on the event loop."""
    usage = shutil.disk_usage(workspace.directory)
    written = {}
    for name in MODELS:
        bundle = workspace.champion(name)
        with suppress(OSError):
            if bundle is not None:
                written[name] = (bundle / "manifest.json").stat().st_mtime
    disk = (usage.free, usage.total)
    return Noted(time.time(), written, workspace.journal().backlog(), pulled(workspace.directory), disk)


class Health:
    """The answers to health checks of one service; `look` is called again and again beside them."""

    def __init__(self, service: Service) -> None:
        self._service, self._began = service, time.monotonic()
        self._noted: Noted | None = None

    def look(self) -> None:
        """Look at the files anew; not on the event loop. What was seen before stays when that fails."""
        with suppress(OSError, ValueError):
            self._noted = note(self._service.workspace)

    @property
    def registry_reached(self) -> bool:
        """Whether MLflow answered the puller's last round, or nobody asks it."""
        seen = self._noted.pulled if self._noted is not None else None
        return seen is None or seen.reached

    def live(self) -> LiveBody:
        """The process runs."""
        return LiveBody("ok", int(time.monotonic() - self._began))

    def ready(self, *, known: bool) -> HealthBody:
        """Whether it can answer; `known` callers are told from what, others what gives nothing away."""
        health = self._service.health()
        faults = self._service.state.faults
        reasons = health.reasons if known else tuple(_hidden(health.reasons, faults))
        if self._noted is None:
            return msgspec.structs.replace(health, reasons=reasons)
        parts = self._parts(self._noted)
        components = self._components(parts)
        return HealthBody(health.status, reasons, health.snapshot_id, components, parts if known else None)

    def _parts(self, noted: Noted) -> PartsHealth:
        outage, free, total = self._service.outage, *noted.disk
        return PartsHealth(
            self._snapshot(),
            {name: self._model(name, noted) for name in MODELS},
            "lost" if outage.now else "full" if outage.full else "ok",
            JournalHealth(*noted.journal),
            _registry(noted.pulled),
            DiskHealth(free, round(free / total, 4) if total else 0.0),
            _age(noted.at),
        )

    def _snapshot(self) -> SnapshotHealth:
        state = self._service.state
        if not state.opened:
            return SnapshotHealth(None, None, None)
        snapshot = state.current().snapshot
        return SnapshotHealth(snapshot.snapshot_id, _age(snapshot.as_of), int(time.monotonic() - state.opened_at))

    def _model(self, name: str, noted: Noted) -> ModelHealth:
        state = self._service.state
        seen = state.refused.get(name)
        refused = RefusedHealth(seen.version, seen.reason, int(time.monotonic() - seen.at)) if seen else None
        version = state.current().versions.get(name) if state.opened else None
        if version is None:
            return ModelHealth(None, None, self._service.why_missing(name), refused)
        age = _age(noted.written[name]) if name in noted.written and name != state.faulty else None
        return ModelHealth(version, age, None, refused)

    def _components(self, parts: PartsHealth) -> dict[str, Status]:
        state = self._service.state
        found: dict[str, Status] = {"snapshot": "ok" if parts.snapshot.id else "missing"}
        if state.fault and state.faulty is None and parts.snapshot.id:
            found["snapshot"] = "degraded"
        for name, model in parts.models.items():
            held_up = name == state.faulty or name in state.not_pulled
            found[name] = "missing" if model.version is None else "degraded" if held_up else "ok"
        found["database"] = "ok" if parts.database == "ok" else "degraded"
        found["journal"] = "degraded" if parts.journal.files else "ok"
        if parts.registry is not None:
            found["registry"] = "ok" if parts.registry.reached else "degraded"
        found["disk"] = "ok" if parts.disk.free_share >= LOW else "degraded"
        return found


def _hidden(reasons: Iterable[str], faults: Collection[str]) -> Iterator[str]:
    """Reasons as callers without a key are told them: of errors that there are some, once."""
    shown = [HIDDEN if each in faults else each for each in reasons]
    yield from dict.fromkeys(shown)


def _registry(seen: Pulled | None) -> RegistryHealth | None:
    if seen is None:
        return None
    return RegistryHealth(seen.reached, None if seen.succeeded is None else _age(seen.succeeded))


def _age(instant: float) -> int:
    """How long ago an instant is [s]; one to come is now."""
    return max(0, int(time.time() - instant))
