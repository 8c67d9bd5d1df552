"""`barista demo`: from nothing to a service on real purchases; what is there already is reused."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from recsys.settings import Settings
    from recsys.workspace import Workspace

SAMPLE = ("import", "--sample", "complete-journey")
MODELS = ("offers", "churn", "value")
READY_SECONDS = 60
"""How long the service may take to start [s]."""


def declare(app: typer.Typer) -> None:
    """Add `demo`."""
    app.command("demo")(demo)


def demo(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="Port the service listens on, on this machine only.")] = 8000,
) -> None:
    """Import the Complete Journey sample, train, score everybody and serve; a second run reuses it all."""
    from recsys.settings import load_settings
    from recsys.workspace import Workspace

    place = context.obj.workspace
    workspace = Workspace.create(context.obj, clock="snapshot")
    for what, arguments in missing_steps(workspace):
        typer.echo(f"\n{what}", err=True)
        _run(context.obj, arguments)
    serve(Workspace.open(load_settings(workspace=place, port=port, host="127.0.0.1", log_level="warning")))


def serve(workspace: "Workspace") -> None:
    """Run the service until it is told to stop; say what to try once it is ready."""
    from serving.serve_command import command

    settings = workspace.settings
    service = subprocess.Popen(command(settings, settings.host, settings.port, settings.workers))
    signal.signal(signal.SIGTERM, lambda *_: service.terminate())
    try:
        if _ready(service, f"http://{settings.host}:{settings.port}/health/ready"):
            typer.echo("\n".join(try_this(workspace)))
        code = service.wait()
    except KeyboardInterrupt:
        code = _stopped(service)
    raise typer.Exit(max(code, 0))


def _stopped(service: "subprocess.Popen[Any]") -> int:
    """Exit code after Ctrl-C: a terminal tells the service too; where none did, it is told now."""
    try:
        return service.wait(timeout=5)
    except subprocess.TimeoutExpired:
        service.terminate()
        return service.wait()


def try_this(workspace: "Workspace") -> list[str]:
    """What to open and what to type, with ids of real customers."""
    from recsys.registry.address import tracking_uri

    settings = workspace.settings
    site = f"http://{settings.host}:{settings.port}"
    keen, usual = _examples(workspace)
    body = f'{{"customer_id": "{keen}", "n": 3, "mode": "new", "reasons": true}}'
    mlflow = Path(sys.executable).with_name("mlflow")
    return [
        "",
        f"Open   {site}/       the console: find customer {keen} or {usual}",
        f"       {site}/openapi.json   the API, described",
        f"Try    curl -s {site}/v1/recommendations -H 'content-type: application/json' -d '{body}'",
        f"       curl -s '{site}/v1/customers/{usual}/scores?reasons=true'",
        f"Models {mlflow} ui --port 5000 --backend-store-uri {tracking_uri(settings)}",
        "Stop   Ctrl-C",
        "",
    ]


def missing_steps(workspace: "Workspace") -> list[tuple[str, tuple[str, ...]]]:
    """The steps that are still to be done, each with its command."""
    from recsys.workspace.status import last_scores

    steps: list[tuple[str, tuple[str, ...]]] = []
    if workspace.snapshot_id() is None:
        steps.append(("Importing the sample: a year of purchases of 2,469 households", SAMPLE))
    if not all(workspace.champion(name) for name in MODELS):
        steps.append(("Training offers, churn and value", ("train",)))
    run = last_scores(workspace)
    if steps or run is None or run["snapshot_id"] != workspace.snapshot_id():
        out = workspace.directory / "scores" / "demo"
        steps.append(("Scoring every customer", ("score", "--out", str(out))))
    return steps


def _run(settings: "Settings", arguments: tuple[str, ...]) -> None:
    """One command in a process of its own, so that the service starts without what training loaded."""
    options = ["--workspace", str(settings.workspace), "--threads", str(settings.threads), "--seed", str(settings.seed)]
    done = subprocess.run([sys.executable, "-m", "recsys.cli", *options, *arguments], check=False)
    if done.returncode != 0:
        raise typer.Exit(done.returncode)


def _ready(service: "subprocess.Popen[Any]", address: str) -> bool:
    """Wait until the service answers; False when it ended instead."""
    from urllib.error import URLError
    from urllib.request import urlopen

    for _ in range(READY_SECONDS * 10):
        if service.poll() is not None:
            return False
        try:
            with urlopen(address, timeout=1) as answer:  # noqa: S310  our own loopback address
                return bool(answer.status == 200)
        except (URLError, OSError):
            time.sleep(0.1)
    return False


def _examples(workspace: "Workspace") -> tuple[str, str]:
    """A customer with many orders and one with as many as most."""
    import numpy as np

    snapshot = workspace.current_snapshot()
    by_orders = np.argsort(np.diff(snapshot.history.order_start), kind="stable")
    return snapshot.customers[int(by_orders[-1])], snapshot.customers[int(by_orders[len(by_orders) // 2])]
