"""Commands that training adds to `barista`.

Each lives in its own module (`training/<name>_command.py`) with a function `declare(app: typer.Typer)`. On the level of
the module it imports only what is light (typer, errors); the rest inside the function that runs. `context.obj` is the
`Settings`.
"""

import typer

from training import (
    backtest_command,
    check_command,
    import_command,
    leads_command,
    subscriptions_command,
    train_command,
)


def declare(app: typer.Typer) -> None:
    """Add the commands of training to `app`."""
    modules = (import_command, check_command, train_command, backtest_command, subscriptions_command, leads_command)
    for module in modules:
        module.declare(app)
