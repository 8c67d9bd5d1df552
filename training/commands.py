"""Commands that training adds to `barista`.

Each lives in its own module (`training/<name>_command.py`) with a function `declare(app: typer.Typer)`. On the level of
the module it imports only what is light (typer, errors); the rest inside the function that runs. `context.obj` is the
`Settings`.
"""

import typer

COMMANDS: tuple[str, ...] = ("import_command", "check_command", "train_command", "backtest_command")


def declare(app: typer.Typer) -> None:
    """Add the commands of training to `app`."""
    from importlib import import_module
    from importlib.util import find_spec

    for name in COMMANDS:
        if find_spec(f"training.{name}") is not None:
            import_module(f"training.{name}").declare(app)
