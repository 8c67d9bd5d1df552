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

    before, after = Workspace.open(context.obj).migrate(to)
    typer.echo(
        f"Tables were and stay at version {after}" if before == after else f"Tables went from {before} to {after}"
    )
