"""The one process that talks to MLflow while the service runs: it fills the bundle cache, workers read only that.

`python -m serving.puller SECONDS WORKSPACE… [--tenants DIRECTORY]` watches over a child that asks MLflow every so
often. MLflow's client may wait for ever, die or leak: a child that says nothing for `PATIENCE` is killed and replaced.
What MLflow answers is not believed: a bundle counts when its digests, its signature and its golden rows hold.
"""

import argparse
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from recsys.settings import Settings

PATIENCE = 120.0
"""How long a round may take [s]."""

PAUSE = 2.0
"""Before a child that ended is replaced [s]."""

REQUEST_SECONDS, RETRIES = "10", "1"
"""How long the MLflow client waits for one answer [s], and how often it asks again."""

REPORT = "pulled.json"
"""What the last round did, below `bundles/` of the workspace: {"at", "reached", "error", "succeeded"}."""


class Puller:
    """A puller process that ends with this one; `tenants` is where the service was told that its tenants are."""

    def __init__(self, seconds: float, workspaces: list[Path], tenants: Path | None = None) -> None:
        arguments = [str(seconds), *map(str, workspaces)]
        arguments += ["--tenants", str(tenants)] if tenants is not None else []
        self._process = subprocess.Popen([sys.executable, "-m", "serving.puller", *arguments], stdin=subprocess.PIPE)

    @property
    def pid(self) -> int:
        """Process that watches over the one that pulls."""
        return self._process.pid

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()


def main(arguments: list[str]) -> None:
    """Watch over children until standard input ends: whoever started this is gone then."""
    command = [sys.executable, "-m", "serving.puller", "--child", *arguments]
    while True:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            wanted = _watch(child)
        finally:
            child.kill()
            child.wait()
        if not wanted:
            return
        time.sleep(PAUSE)


def _watch(child: "subprocess.Popen[bytes]") -> bool:
    """Until the child ends or says nothing for too long; False when this process should end too."""
    assert child.stdout is not None
    while True:
        ready = _heard([child.stdout, sys.stdin], PATIENCE)
        if sys.stdin in ready:
            return False
        if child.stdout not in ready or not os.read(child.stdout.fileno(), 1024):
            return True


def _heard(files: Sequence[IO[Any]], seconds: float) -> list[IO[Any]]:
    """Those of `files` that have something to read or ended, within `seconds`; descriptors may have any number."""
    with selectors.PollSelector() as selector:
        for file in files:
            selector.register(file, selectors.EVENT_READ)
        ready = {key.fd for key, _ in selector.select(seconds)}
    return [file for file in files if file.fileno() in ready]


def pull_again_and_again(seconds: float, workspaces: list[Path], told: IO[str], tenants: Path | None = None) -> None:
    """The child: one round over all workspaces, a line about it, a pause."""
    rounds = [Rounds(path, tenants) for path in workspaces]
    while True:
        for each in rounds:
            each.pull()
        told.write("pulled\n")
        told.flush()
        if _heard([sys.stdin], seconds):
            return


class Rounds:
    """Pulls one workspace's champions and challengers round by round; a round that fails changes nothing."""

    def __init__(self, workspace: Path, tenants: Path | None = None) -> None:
        self._settings = _settings_of(workspace, tenants)
        self._registry: Any = None
        self._error: str | None = None
        self._refused: set[Any] = set()
        before = pulled(workspace)
        self._succeeded = before.succeeded if before is not None else None

    def pull(self) -> bool:
        """One round; True when MLflow could be asked. What it did is reported and logged when it changes."""
        import structlog

        log = structlog.get_logger("barista.puller")
        error = self._round(log)
        if error != self._error:
            log.warning("MLflow lost", error=error) if error else log.info("MLflow found")
        self._error = error
        self._report(error)
        return error is None

    def _round(self, log: Any) -> str | None:
        from recsys.errors import BaristaError

        try:
            if self._registry is None:
                from recsys.registry import Registry

                self._registry = Registry(self._settings)
            changes = self._registry.pull(self._settings.workspace / "bundles")
        except Exception as error:  # whatever MLflow answers, the cache stays as it was and the next round tries again
            self._registry = None
            return error.message() if isinstance(error, BaristaError) else type(error).__name__
        refused = {change for change in changes if change.refused}
        said, self._refused = self._refused, refused
        for change in changes:
            if change in said:  # at the round before
                continue
            (log.error if change.refused else log.info)(
                "refused" if change.refused else "pulled",
                model=change.name,
                role=change.role,
                version=change.after,
                reason=change.refused,
            )
        return None

    def _report(self, error: str | None) -> None:
        from recsys.data.files import replace_text

        now = int(time.time())
        self._succeeded = now if error is None else self._succeeded
        report = {"at": now, "reached": error is None, "error": error, "succeeded": self._succeeded}
        try:
            replace_text(self._settings.workspace / "bundles" / REPORT, json.dumps(report))
        except OSError:
            return


def _settings_of(workspace: Path, tenants: Path | None) -> "Settings":
    """Settings the service answers under from a workspace: those of a tenant where it is one.

    `tenants` is their directory where an argument named it, None where the environment may.
    """
    from recsys.settings import load_settings
    from recsys.workspace.tenants import tenant_settings

    alone = load_settings(workspace=workspace, tenants=tenants)
    if alone.tenants is None or alone.tenants.resolve() != workspace.resolve().parent:
        return alone
    operator = load_settings(workspace=alone.tenants, tenants=alone.tenants)
    return tenant_settings(operator, workspace.name)


class Pulled(NamedTuple):
    """What the puller says: whether MLflow answered its last round, and when it last did [s], None for never."""

    reached: bool
    succeeded: int | None


def pulled(workspace: Path) -> Pulled | None:
    """What the puller of a workspace said last; None when nobody asked MLflow."""
    try:
        report = json.loads((workspace / "bundles" / REPORT).read_text())
        succeeded = report.get("succeeded")
        return Pulled(bool(report["reached"]), None if succeeded is None else int(succeeded))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _child(arguments: list[str]) -> None:
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", REQUEST_SECONDS)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", RETRIES)
    from recsys.logs import configure_logs

    told, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no line of ours
    configure_logs("info")
    given = _parser().parse_args(arguments)
    pull_again_and_again(given.seconds, given.workspaces, told, given.tenants)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving.puller", description="Fill the bundle cache.")
    parser.add_argument("seconds", type=float, help="Between two rounds.")
    parser.add_argument("workspaces", type=Path, nargs="+", help="Directories of the workspaces.")
    parser.add_argument("--tenants", type=Path, help="Directory whose workspaces are tenants.")
    return parser


if __name__ == "__main__":
    _child(sys.argv[2:]) if sys.argv[1] == "--child" else main(sys.argv[1:])
