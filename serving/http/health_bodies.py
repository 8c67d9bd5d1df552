"""Bodies of the health checks: whether it can answer, from what, and how each part of it is."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Status = Literal["ok", "degraded", "missing"]
"""A part that is well; that answers from its last good state or not at all; that there is none of."""

Age = Annotated[int, Meta(ge=0)]
"""How long ago [s]."""


class LiveBody(Struct, frozen=True):
    """The process runs, for `uptime_seconds`."""

    status: Literal["ok"]
    uptime_seconds: Age


class SnapshotHealth(Struct, frozen=True):
    """The snapshot: age of its newest order, and for how long it has been answered from."""

    id: str | None
    age_seconds: Age | None
    serving_seconds: Age | None


class RefusedHealth(Struct, frozen=True):
    """The bundle refused last: its version, the kind of error, when that was."""

    version: str
    reason: str
    age_seconds: Age


class ModelHealth(Struct, frozen=True):
    """A model: the version that answers with the age of its bundle, why there is none, the bundle refused last."""

    version: str | None
    age_seconds: Age | None
    why: str | None
    refused: RefusedHealth | None


class JournalHealth(Struct, frozen=True):
    """Decisions that wait to be uploaded: files and bytes."""

    files: int
    bytes: int


class RegistryHealth(Struct, frozen=True):
    """Whether MLflow answered last, and when it did."""

    reached: bool
    success_age_seconds: Age | None


class DiskHealth(Struct, frozen=True):
    """Space left where the workspace is."""

    free_bytes: int
    free_share: float


class PartsHealth(Struct, frozen=True):
    """How each part is; files are looked at every `refresh_seconds`, `looked_seconds` ago.

    `registry` is null where nobody asks MLflow.
    """

    snapshot: SnapshotHealth
    models: dict[str, ModelHealth]
    database: Literal["ok", "lost", "full"]
    journal: JournalHealth
    registry: RegistryHealth | None
    disk: DiskHealth
    looked_seconds: Age


class HealthBody(Struct, frozen=True):
    """`ok`; `degraded` answers from the last good state; `not ready` can't answer. `reasons` say why.

    `components` tell every part's status; `parts` how they are, to callers with a key that works.
    """

    status: Literal["ok", "degraded", "not ready"]
    reasons: tuple[str, ...]
    snapshot_id: str | None = None
    components: dict[str, Status] = {}
    parts: PartsHealth | None = None
