"""Tenants: workspaces beside each other in one directory, each with its own snapshot, database and registry prefix."""

import re
import tomllib
from pathlib import Path

from recsys.errors import SettingsError, WorkspaceError
from recsys.settings import Settings, load_settings
from recsys.workspace.workspace import Workspace

NAME = re.compile(r"(?!pg_)[a-z][a-z0-9_]{0,39}")
"""What a tenant may be called: the name is that of a folder, of a schema of Postgres and of models."""

OWN = frozenset({"workspace", "tenants", "api_key", "database_schema", "registry_prefix", "oauth_tenant"})
"""Settings that no tenant takes from the operator."""

APART = ("database_schema", "registry_prefix")
"""Those of them that a tenant's file alone says: from the environment they would be the same for all."""


def create_tenant(operator: Settings, name: str) -> Workspace:
    """Make the workspace of a new tenant; its `barista.toml` names its schema and its registry prefix.

    Raises:
        SettingsError: the operator's settings name no directory of tenants, or the name can't be one.
        WorkspaceError: there is such a tenant, or the directory can't be made.
    """
    place = _directory(operator) / name
    if not NAME.fullmatch(name):
        raise SettingsError(
            "A tenant can't be called so", found=name, expected="a to z, 0 to 9 and _, a letter first, at most 40"
        )
    if place.exists():
        raise WorkspaceError("There is such a tenant", found=name, expected="a new name")
    return Workspace.create(tenant_settings(operator, name), database_schema=name, registry_prefix=f"{name}-")


def tenants_of(operator: Settings) -> dict[str, Workspace]:
    """The workspace of every tenant by name; no two of them keep their tables or their models in one place.

    Raises:
        SettingsError: there is none, a folder has no tenant's name, or two share a database or registered models.
    """
    folders = sorted(path.parent for path in _directory(operator).glob("*/snapshots") if path.is_dir())
    odd = [folder.name for folder in folders if not NAME.fullmatch(folder.name)]
    if not folders or odd:
        raise SettingsError(
            "These are no tenants",
            found=odd or f"no workspace in {operator.tenants}",
            expected="folders made by `barista tenants create`",
        )
    workspaces = {folder.name: Workspace.open(tenant_settings(operator, folder.name)) for folder in folders}
    _refuse_shared(workspaces)
    _refuse_shared_models(workspaces)
    return workspaces


def tenant_settings(operator: Settings, name: str) -> Settings:
    """Settings of a tenant: the operator's arguments, environment and file win over the tenant's file.

    What keeps tenants apart is said by the tenant's file alone. The operator's key opens no tenant; who may ask of
    which pages is the operator's.
    """
    given = {each: getattr(operator, each) for each in operator.model_fields_set - OWN}
    workspace = _directory(operator) / name
    own = {"workspace": workspace, "tenants": operator.tenants, "oauth_tenant": name} | _apart(workspace)
    settings = load_settings(**{**given, **own})
    return settings.model_copy(update={"api_key": None, "cors_origins": operator.cors_origins})


def _apart(workspace: Path) -> dict[str, object]:
    """What a tenant's file says of its schema and prefix; a file that can't be read is the settings' to refuse."""
    try:
        named = tomllib.loads((workspace / "barista.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        named = {}
    return {each: named.get(each, "") for each in APART}


def _directory(operator: Settings) -> Path:
    if operator.tenants is None or not operator.tenants.is_dir():
        raise SettingsError(
            "There is no directory of tenants",
            found=str(operator.tenants) if operator.tenants else "nothing",
            expected="a directory",
            cure="Name one by --tenants or BARISTA_TENANTS",
        )
    return operator.tenants


def _refuse_shared(workspaces: dict[str, Workspace]) -> None:
    """Raises `SettingsError` when two tenants would read each other's rows."""
    seen: dict[tuple[str, str], str] = {}
    for name, workspace in workspaces.items():
        database = workspace.settings.database_url
        address = database.get_secret_value() if database else str(workspace.directory.resolve())
        server = re.sub(r"^postgres(ql)?(\+psycopg)?://", "", address)
        schema = (workspace.settings.database_schema or "public") if server != address else ""
        other = seen.setdefault((server, schema), name)
        if other != name:
            raise SettingsError(
                "Two tenants keep their tables in one place",
                found=f"{other} and {name}",
                expected="a schema or a database for each",
                cure="Give each its own database_schema in its barista.toml",
            )


def _refuse_shared_models(workspaces: dict[str, Workspace]) -> None:
    """Raises `SettingsError` when a champion of one tenant, trained on its customers, would answer for another's."""
    seen: dict[tuple[str, str], str] = {}
    for name, workspace in workspaces.items():
        server = workspace.settings.mlflow_tracking_uri
        if server is None:  # its own, in the workspace
            continue
        other = seen.setdefault((server.rstrip("/"), workspace.settings.registry_prefix), name)
        if other != name:
            raise SettingsError(
                "Two tenants keep their models under one name",
                found=f"{other} and {name}",
                expected="a prefix of registered models for each",
                cure="Give each its own registry_prefix in its barista.toml",
            )
