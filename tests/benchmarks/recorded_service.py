"""A service for the benchmark of decisions: `python -m tests.benchmarks.recorded_service WORKSPACE yes|no`.

With `no` it neither makes nor keeps records; all else is the same. It prints its address and ends with its input.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from recsys.logs import configure_logs
from recsys.settings import load_settings
from recsys.workspace import Workspace
from serving import recording
from serving.http import service
from serving.http.local import serve_locally


def forget() -> None:
    """Answer without records."""

    async def kept(_recorder: object, _record: object, _by: float) -> bool:
        return True

    nothing = service.record_of("", "", None)
    recording.Recorder.keep = kept
    service.content_of = lambda *_arguments, **_options: None
    service.record_of = lambda *_arguments: nothing


def main(workspace: Path, recorded: str) -> None:
    """Serve until standard input ends."""
    configure_logs("info")
    if recorded == "no":
        forget()
    with serve_locally(Workspace.open(load_settings(workspace=workspace, clock="snapshot"))) as local:
        print(local.address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
