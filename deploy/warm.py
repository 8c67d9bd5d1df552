"""Compile the kernels of serving into NUMBA_CACHE_DIR: opens a made-up workspace and answers from it."""

import tempfile
from pathlib import Path

from recsys.logs import configure_logs
from recsys.settings import Settings
from recsys.testing.builders import random_snapshot
from recsys.testing.published import publish_models, publish_snapshot
from recsys.workspace import Workspace
from serving.answers import open_answers
from serving.warming import compile_all


def main() -> None:
    """Answer once in every way, from a snapshot of made-up customers."""
    configure_logs("warning")
    with tempfile.TemporaryDirectory() as place:
        workspace = Workspace.create(Settings(workspace=Path(place), clock="snapshot"))
        publish_snapshot(workspace.directory, random_snapshot(1, 50))
        publish_models(workspace.directory)
        compile_all(open_answers(workspace))


if __name__ == "__main__":
    main()
