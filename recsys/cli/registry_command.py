"""`barista pull` and `barista promote`: which model versions serve."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recsys.registry import Change


def declare(app: typer.Typer) -> None:
    """Add `pull` and `promote`."""
    app.command("pull")(pull)
    app.command("promote")(promote)
    app.command("withdraw")(withdraw)


def pull(context: typer.Context) -> None:
    """Fetch champions and challengers from MLflow into the bundle cache; a bad one leaves the last good one."""
    from recsys.registry import Registry

    changes = Registry(context.obj).pull(context.obj.workspace / "bundles")
    for change in changes:
        typer.echo(_told(change))
    if not changes:
        typer.echo("Nothing new")
    if any(change.refused for change in changes):
        raise typer.Exit(1)


def promote(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="offers, churn or value")],
    version: Annotated[int, typer.Argument(help="A version of `barista status` or the MLflow page.")],
    challenger: Annotated[
        bool, typer.Option("--challenger", help="Let it score live requests unseen, beside the champion.")
    ] = False,
) -> None:
    """Make a version the champion (or its challenger) and fetch it, so that the service takes it over."""
    from recsys.registry import Registry

    Registry(context.obj).promote(name, version, "challenger" if challenger else "champion")
    pull(context)


def withdraw(context: typer.Context, name: Annotated[str, typer.Argument(help="offers, churn or value")]) -> None:
    """End the challenge of a model: its challenger scores no more requests."""
    from recsys.registry import Registry

    Registry(context.obj).withdraw(name)
    pull(context)


def _told(change: "Change") -> str:
    """One line about what was pulled."""
    what = change.name if change.role == "champion" else f"{change.name} challenger"
    if change.refused:
        return f"{what}: version {change.after} refused, {change.before or 'none'} serves. {change.refused}"
    return f"{what}: version {change.before or '(none)'} → {change.after or '(none)'}"
