"""`barista tenants`: workspaces that one service answers for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recsys.settings import Settings

Place = Annotated[Path | None, typer.Option("--tenants", help="Directory of the tenants; default: BARISTA_TENANTS.")]


def declare(app: typer.Typer) -> None:
    """Add `tenants` with its subcommands."""
    tenants = typer.Typer(help="Tenants: make and list the workspaces of one service.", no_args_is_help=True)
    tenants.command("create")(create)
    tenants.command("list")(list_tenants)
    app.add_typer(tenants, name="tenants")


def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="a to z, 0 to 9 and _; also its schema and its models' prefix.")],
    tenants: Place = None,
) -> None:
    """Make the workspace of a new tenant; a running service knows it after its next start."""
    from recsys.workspace import create_tenant

    workspace = create_tenant(_operator(context.obj, tenants), name)
    typer.echo(f"Made {workspace.directory}. Next: barista --workspace {workspace.directory} import …")


def list_tenants(context: typer.Context, tenants: Place = None) -> None:
    """Print each tenant with its snapshot; two that would share a database are refused."""
    from recsys.workspace import tenants_of

    for name, workspace in tenants_of(_operator(context.obj, tenants)).items():
        typer.echo(f"{name}  {workspace.snapshot_id() or 'nothing imported'}")


def _operator(settings: "Settings", tenants: Path | None) -> "Settings":
    return settings if tenants is None else settings.model_copy(update={"tenants": tenants})
