"""`barista status`: what is in the workspace."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recsys.workspace import Status


def declare(app: typer.Typer) -> None:
    """Add `status`."""
    app.command("status")(status)


def status(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False
) -> None:
    """Say what the workspace holds: data, models, events, scores, disk use."""
    from recsys.workspace import Workspace, status_of

    found = status_of(Workspace.open(context.obj))
    typer.echo(json.dumps(asdict(found), indent=1) if as_json else "\n".join(_lines(found)))


def _lines(status: "Status") -> list[str]:
    from recsys.data.clock import to_iso

    lines = [f"Workspace  {status.workspace}"]
    if status.as_of is None:
        return [*lines, "Data       nothing imported yet; run `barista import`"]
    counts = ", ".join(f"{count:,} {name}" for name, count in status.counts.items())
    lines += [
        f"Data       {status.source or 'imported'}, snapshot {status.snapshot_id}: {counts}",
        f"As of      {to_iso(status.as_of)} ({status.age_days:,.1f} days ago)",
        f"Events     {status.events:,} kept, {status.orders_since_snapshot:,} orders newer than the data",
    ]
    lines += [f"Model      {model.name} version {model.version} ({model.kind})" for model in status.models]
    if not status.models:
        lines.append("Models     none yet; run `barista train`")
    run = status.scores
    scored = f"{run['run_id']}: {run['customers']:,} customers as of {to_iso(run['as_of'])}" if run else ""
    lines.append(f"Scores     {scored or 'none yet; run `barista score`'}")
    total = sum(status.disk.values())
    return [*lines, f"Disk       {total / 1e6:,.0f} MB"]
