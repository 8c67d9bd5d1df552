"""The only code that knows MLflow: runs, model versions, the champion of each model, the bundle cache."""

from recsys.registry.pulling import Change
from recsys.registry.registry import Registry, RunRecord, VersionInfo

__all__ = ["Change", "Registry", "RunRecord", "VersionInfo"]
