"""`barista replay`: a recorded decision computed again, bit for bit."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recsys.decisioning.replay import Replay


def declare(app: typer.Typer) -> None:
    """Add `replay`."""
    app.command("replay")(replay)


def replay(
    context: typer.Context,
    decision_id: Annotated[str, typer.Argument(help="`decision_id` of an answer.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Compute a recorded decision again and compare every bit; exit code 1 when it differs.

    Needs the snapshot it was made from, which is kept for 35 days; later the command says why it can't.
    """
    from recsys.workspace import Workspace, replay_decision

    found = replay_decision(Workspace.open(context.obj), decision_id)
    typer.echo(json.dumps(asdict(found), indent=1) if as_json else "\n".join(_lines(found)))
    if not found.same:
        raise typer.Exit(1)


def _lines(found: "Replay") -> list[str]:
    outcome = "the same bits" if found.same else "DIFFERS"
    lines = [f"Decision {found.decision_id}: {outcome} ({found.candidates} candidates, {found.offers} offers)"]
    lines += [f"  {each.pointer}: recorded {each.recorded!r}, computed {each.computed!r}" for each in found.differences]
    if found.made_with:
        lines.append(f"  Computed now with {found.made_with}; the record names other versions or another processor")
    return lines
