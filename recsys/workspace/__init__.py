"""The workspace: one directory with snapshots, events, models and reports of one tenant."""

from recsys.workspace.backup import backup, restore
from recsys.workspace.replaying import replay_decision
from recsys.workspace.status import ModelStatus, Status, status_of
from recsys.workspace.tenants import create_tenant, tenants_of
from recsys.workspace.workspace import Workspace

__all__ = [
    "ModelStatus",
    "Status",
    "Workspace",
    "backup",
    "create_tenant",
    "replay_decision",
    "restore",
    "status_of",
    "tenants_of",
]
