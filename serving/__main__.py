"""`python -m serving`: the service's composition root. Nothing of training, MLflow or pandas is loaded here."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy loads: idle BLAS threads would spin
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import socket
import sys
import tempfile
from pathlib import Path

from recsys.errors import BaristaError
from recsys.logs import adopt_logs, configure_logs
from recsys.settings import LOOPBACK, Settings, load_settings


def main(arguments: list[str] | None = None) -> int:
    """Serve a workspace until told to stop; exit code 1 with one line for an error a user can cure."""
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(**vars(options))
        if settings.tenants is not None:  # the operator's barista.toml lies beside the tenants' folders
            settings = load_settings(**vars(options) | {"workspace": settings.tenants})
        configure_logs(settings.log_level)
        adopt_logs("uvicorn.error", "asyncio")
        serve(settings)
    except BaristaError as error:
        sys.stderr.write(f"barista: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving", description="Serve a workspace over HTTP.")
    parser.add_argument("--workspace", type=Path, help="Directory of the workspace.")
    parser.add_argument("--tenants", type=Path, help="Directory of workspaces; the caller's key decides whose.")
    parser.add_argument("--host", help="Address to listen on; beyond this machine only with a key.")
    parser.add_argument("--port", type=int, help="Port to listen on; 0 takes a free one.")
    parser.add_argument("--workers", type=int, help="Processes that answer.")
    parser.add_argument("--clock", help="What as_of is: now, snapshot or an ISO instant with a zone.")
    parser.add_argument("--log-level", choices=["debug", "info", "warning", "error"])
    return parser


def serve(settings: Settings) -> None:
    """Open, warm, listen, answer.

    Raises:
        SettingsError: an address beyond this machine without a key, or one that is taken.
        WorkspaceError: no workspace.
    """
    with tempfile.TemporaryDirectory(prefix="barista-metrics-") as shared:
        if settings.workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared  # prometheus_client reads it when it is imported
        from serving.http.running import Running

        running = Running.open(settings, Path(shared) if settings.workers > 1 else None)
        with running.listen() as listening:
            _announce(settings, listening)
            running.run(listening)


def _announce(settings: Settings, listening: socket.socket) -> None:
    """Say where it listens and who may ask."""
    host, port = listening.getsockname()[:2]
    address = f"[{host}]" if ":" in host else host
    asks = "this machine only, with a key where one was made" if host in LOOPBACK else "with a key"
    asks = "with a key, BARISTA_API_KEY among them" if settings.api_key else asks
    asks = "with a tenant's key" if settings.tenants else asks
    sys.stdout.write(f"Barista answers on http://{address}:{port} ({asks})\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
