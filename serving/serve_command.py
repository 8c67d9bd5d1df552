"""`barista serve`: the HTTP service in a process of its own."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recsys.settings import Settings


def declare(app: typer.Typer) -> None:
    """Add `serve`."""
    app.command("serve")(serve)


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address; beyond this machine only with a key.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that answer.")] = None,
    tenants: Annotated[
        Path | None, typer.Option(help="Directory of workspaces; the caller's key decides whose it is answered from.")
    ] = None,
) -> None:
    """Serve offers and scores over HTTP, with the console page at /. Ctrl-C or SIGTERM ends it gracefully."""
    os.execv(sys.executable, command(context.obj, host, port, workers, tenants))  # noqa: S606  our own interpreter


def command(
    settings: "Settings", host: str | None, port: int | None, workers: int | None, tenants: Path | None = None
) -> list[str]:
    """The command line that replaces this process: nothing loaded so far stays in the service."""
    given: dict[str, Path | str | int | None] = {
        "--workspace": settings.workspace,
        "--clock": settings.clock,
        "--log-level": settings.log_level,
        "--tenants": tenants,
        "--host": host,
        "--port": port,
        "--workers": workers,
    }
    options = [text for name, value in given.items() if value is not None for text in (name, str(value))]
    return [sys.executable, "-m", "serving", *options]
