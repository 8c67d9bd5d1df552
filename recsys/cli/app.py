"""The `barista` program: global options become settings, errors become one line.

Commands are thin: what they need is imported when they run, so that `barista --help` is quick.
A command takes `context: typer.Context`; `context.obj` is the `Settings`.
"""

import os
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from recsys.cli import (
    backup_command,
    demo_command,
    keys_command,
    migrate_command,
    registry_command,
    status_command,
    tenants_command,
)
from recsys.errors import BaristaError

GROUP = "barista.commands"
"""Entry points of this group are functions `declare(app)` that add commands."""

OWN = (status_command, backup_command, migrate_command, registry_command, keys_command, tenants_command, demo_command)


def main() -> None:
    """Run `barista`; an error a user can cure is one line on standard error and exit code 1."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy loads: idle BLAS threads would spin
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        build_app()()
    except BaristaError as error:
        if "--debug" in sys.argv:
            raise
        typer.echo(f"barista: {error}", err=True)
        raise SystemExit(1) from error


def build_app() -> typer.Typer:
    """The program with all commands, our own and those of the installed packages."""
    app = typer.Typer(
        name="barista",
        help="Next best offer, churn and lifetime value from purchase histories.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_global)
    for each in sorted(entry_points(group=GROUP), key=lambda point: point.name, reverse=True):
        each.load()(app)
    for module in OWN:
        module.declare(app)
    return app


def _global(
    context: typer.Context,
    workspace: Annotated[Path | None, typer.Option("--workspace", "-w", help="Directory of the workspace.")] = None,
    clock: Annotated[
        str | None, typer.Option(help="What `as_of` is: now, snapshot, or an ISO instant with a zone.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of training and scoring.")] = None,
    seed: Annotated[int | None, typer.Option(help="Every random choice derives from it.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    """Options before the command hold for every command; each is also an environment variable BARISTA_<NAME>."""
    from recsys.logs import configure_logs
    from recsys.settings import load_settings

    context.obj = load_settings(workspace=workspace, clock=clock, threads=threads, seed=seed, log_level=log_level)
    configure_logs("debug" if debug else context.obj.log_level)
