"""`barista demo`."""

import typer


def declare(app: typer.Typer) -> None:
    """Add `demo`."""
    del app
