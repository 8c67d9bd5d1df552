"""`barista sweep`: files follow what was erased, now instead of at night."""

import typer


def declare(app: typer.Typer) -> None:
    """Add `sweep`."""
    app.command("sweep")(sweep)


def sweep(context: typer.Context) -> None:
    """Take erased customers out of published scores, kept snapshots and reports of imports, as each night does."""
    from recsys.errors import WorkspaceError
    from recsys.workspace import Workspace
    from recsys.workspace.import_reports import sweep_reports
    from recsys.workspace.sweeping import sweep_snapshots
    from serving.batch.withdrawing import withdraw

    workspace = Workspace.open(context.obj)
    with workspace.writing():
        snapshots, reports = sweep_snapshots(workspace), sweep_reports(workspace)
        withdrawn = withdraw(workspace)
    typer.echo(f"{snapshots.count:,} blanked in snapshots kept for replay")
    typer.echo(f"{reports.count:,} entries dropped from reports of imports")
    for each in withdrawn:
        typer.echo(f"{each.place}: {each.fault or f'{each.customers:,} taken out'}")
    for fault in (*snapshots.faults, *reports.faults):
        typer.echo(fault)
    typer.echo("The current snapshot hides them until the next import")
    if any(each.fault for each in withdrawn):
        raise WorkspaceError("Not every publication could be rewritten", cure="Remove it, or score into it again")
    if snapshots.faults or reports.faults:
        raise WorkspaceError("Not everything could be swept", cure="Remove what is damaged, or bring back a whole one")
