"""`barista backup` and `barista restore`: the workspace as one file."""

from pathlib import Path
from typing import Annotated

import typer


def declare(app: typer.Typer) -> None:
    """Add `backup` and `restore`."""
    app.command("backup")(backup)
    app.command("restore")(restore)


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to write it; the name ends in .tar.zst or .tar.gz.")],
) -> None:
    """Write the whole workspace to one file; the service may go on meanwhile."""
    from recsys import workspace

    opened = workspace.Workspace.open(context.obj)
    manifest = workspace.backup(opened, file)
    typer.echo(f"{len(manifest['files']):,} files, {file.stat().st_size / 1e6:,.1f} MB: {file}")
    for name, address in (("events", context.obj.database_url), ("MLflow", context.obj.mlflow_tracking_uri)):
        if address is not None:
            typer.echo(f"Not in it: {name}, which live on a server; back that up too.", err=True)


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file made by `barista backup`.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the workspace that is there.")] = False,
) -> None:
    """Put a backup at the workspace's place after comparing every file with its digest."""
    from recsys import workspace

    restored = workspace.restore(context.obj, file, force=force)
    typer.echo(f"Restored {restored.directory}, snapshot {restored.snapshot_id() or '(none)'}")
