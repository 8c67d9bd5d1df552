"""`barista migrate`: move the tables of the database to a version."""

from typing import Annotated

import typer


def declare(app: typer.Typer) -> None:
    """Add `migrate`."""
    app.command("migrate")(migrate)


def migrate(
    context: typer.Context,
    to: Annotated[str | None, typer.Option(help="Version to move to; default: the one this program uses.")] = None,
) -> None:
    """Move the database's tables forward, or back to an older version, which drops what later ones added.

    Every other command moves an older database forward by itself.
    """
    from recsys.workspace import Workspace

    settings = context.obj
    alone = (
        settings.database_url is not None
    )  # tables on a server need no workspace: they are made before the first import
    before, after = (Workspace(settings) if alone else Workspace.open(settings)).migrate(to)
    typer.echo(
        f"Tables were and stay at version {after}" if before == after else f"Tables went from {before} to {after}"
    )
