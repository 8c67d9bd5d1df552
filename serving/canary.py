"""A bundle opened first in a child process: if it takes its process down, it takes that one.

`python -m serving.canary` reads one JSON object {name, directory, key} from standard input, opens the bundle against
its golden rows and writes {} or {error, reason}.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from recsys.errors import BundleError

PATIENCE = 60.0
"""How long the child may take [s]."""

NICENESS = 10
"""How far the child stands back behind the processes that answer."""


class BundleKillsProcess(BundleError):
    """The bundle took down the process that opened it, or never let it end."""


class RefusedByCanary(BundleError):
    """The child refused the bundle; `reason` is the kind of error it saw."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what)
        self.reason = reason


def try_bundle(name: str, directory: Path, key: bytes | None) -> None:
    """Open a bundle in a child process.

    Raises:
        RefusedByCanary: the child says what is wrong with it.
        BundleKillsProcess: the child died or did not end.
    """
    asked = json.dumps({"name": name, "directory": str(directory), "key": key.decode() if key else None})
    command = [sys.executable, "-m", "serving.canary"]
    try:
        done = subprocess.run(
            command,
            input=asked,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        answer = json.loads(done.stdout) if done.returncode == 0 else None
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise BundleKillsProcess("The bundle kept the process that tried it from ending", found=name) from error
    if answer is None:
        raise BundleKillsProcess(f"The {name} bundle took down the process that tried it", found=done.returncode)
    if answer:
        raise RefusedByCanary(answer["error"], answer["reason"])


def main() -> int:
    """Open the bundle asked for; 0 unless this process dies of it."""
    os.nice(NICENESS)
    from recsys.workspace.opening import open_model

    asked = json.loads(sys.stdin.read())
    answer = {}
    try:
        open_model(asked["name"], Path(asked["directory"]), asked["key"].encode() if asked["key"] else None)
    except BundleError as error:
        answer = {"error": error.message(), "reason": type(error).__name__}
    sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
