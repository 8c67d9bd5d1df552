"""Commands that serving adds to `barista`.

Each lives in its own module (`serving/<name>_command.py`) with a function `declare(app: typer.Typer)`. On the level of
the module it imports only what is light (typer, errors); the rest inside the function that runs. `context.obj` is the
`Settings`.
"""

import typer

from serving import replay_command, score_command, serve_command, sweep_command


def declare(app: typer.Typer) -> None:
    """Add the commands of serving to `app`."""
    for module in (score_command, serve_command, replay_command, sweep_command):
        module.declare(app)
