"""What commands of training share: the models asked for, and a line that says what is being done and since when."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from recsys.errors import SettingsError
from recsys.evaluation.results import ModelName

NAMES: tuple[ModelName, ...] = ("offers", "churn", "value")


def chosen_models(text: str) -> tuple[ModelName, ...]:
    """Names of models in `text`, separated by commas, in the usual order.

    Raises:
        SettingsError: a name is unknown, or there is none.
    """
    wanted = {part.strip() for part in text.split(",") if part.strip()}
    if not wanted or wanted - set(NAMES):
        raise SettingsError("No such model", found=text, expected="offers, churn, value, with commas between")
    return tuple(name for name in NAMES if name in wanted)


def calm_threads() -> None:
    """Let idle OpenMP threads sleep instead of spin; to be called before LightGBM or implicit are loaded.

    On a busy machine spinning made LightGBM up to seventeen times slower.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextmanager
def steps() -> Iterator[Callable[[str], None]]:
    """A progress line on standard error; the function given takes the next step's name."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=False) as bars:
        running: list[int] = []

        def step(what: str) -> None:
            """Say what begins; what ran before is done."""
            if running:
                bars.update(bars.task_ids[-1], total=1, completed=1)
            running.append(bars.add_task(what, total=None))

        yield step
        if running:
            bars.update(bars.task_ids[-1], total=1, completed=1)
