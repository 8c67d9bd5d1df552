"""The version of a database's tables: read at every opening, moved forward or back by alembic when it differs."""

import threading
from importlib import import_module
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from recsys.errors import StoreError

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0004"
"""Version of the tables this program reads and writes: the newest step in `recsys.store.migrations.versions`."""

BASE = "base"
"""Version of a database without tables."""

VERSION_TABLE = "barista_version"

_ONE = threading.Lock()
"""What alembic runs in is global: databases of one process are moved one after the other."""


def version_of(connection: Connection) -> str:
    """Version of the tables; `base` for an empty database, or one from before there were versions."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return BASE
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return str(found) if found is not None else BASE


def migrate(connection: Connection, target: str = HEAD) -> tuple[str, str]:
    """Bring the tables to `target` within the caller's transaction; versions before and after.

    Going back drops what later steps added, with the rows in it. alembic is loaded only when something is to be done.

    Raises:
        StoreError: the tables are newer than this program, or there is no such version.
    """
    before = version_of(connection)
    if before == target:
        return before, before
    steps = [BASE, *_steps(connection)]
    if before not in steps:
        raise StoreError(
            "The database was written by a newer Barista",
            found=before,
            expected=f"{HEAD} or older",
            cure=f"Use that Barista, or go back with its `barista migrate --to {HEAD}`",
        )
    if target not in steps:
        raise StoreError("There is no such version of the tables", found=target, expected=", ".join(steps))
    command = import_module("alembic.command")
    move = command.upgrade if steps.index(target) > steps.index(before) else command.downgrade
    with _ONE:
        move(_config(connection), target)
    return before, version_of(connection)


def _config(connection: Connection) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "recsys.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _steps(connection: Connection) -> list[str]:
    """Versions there are steps to, oldest first."""
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(_config(connection))
    return [step.revision for step in script.walk_revisions()][::-1]
