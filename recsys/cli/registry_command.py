"""`barista pull` and `barista promote`: which model versions serve."""

from typing import Annotated

import typer


def declare(app: typer.Typer) -> None:
    """Add `pull` and `promote`."""
    app.command("pull")(pull)
    app.command("promote")(promote)


def pull(context: typer.Context) -> None:
    """Fetch the champions from MLflow into the bundle cache; a bad or missing one leaves the last good one."""
    from recsys.registry import Registry

    changes = Registry(context.obj).pull(context.obj.workspace / "bundles")
    for change in changes:
        if change.refused:
            typer.echo(
                f"{change.name}: version {change.after} refused, {change.before or 'none'} serves. {change.refused}"
            )
        else:
            typer.echo(f"{change.name}: version {change.before or '(none)'} → {change.after}")
    if not changes:
        typer.echo("Nothing new")
    if any(change.refused for change in changes):
        raise typer.Exit(1)


def promote(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="offers, churn or value")],
    version: Annotated[int, typer.Argument(help="A version of `barista status` or the MLflow page.")],
) -> None:
    """Make a version the champion and fetch it, so that the service takes it over."""
    from recsys.registry import Registry

    Registry(context.obj).promote(name, version)
    pull(context)
