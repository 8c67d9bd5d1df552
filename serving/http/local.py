"""The service in a thread of this process, for notebooks and tests: real HTTP on a free port of this machine."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from recsys.workspace import Workspace
from serving.answers import open_answers
from serving.http.app import create_app
from serving.http.bounds import bounded
from serving.http.state import State
from serving.http.wire import wire_of


@dataclass(frozen=True, slots=True)
class Local:
    """Where it answers, and the state it answers from."""

    address: str
    state: State


@contextmanager
def serve_locally(workspace: Workspace) -> Iterator[Local]:
    """Serve `workspace` for the block."""
    state = State(workspace, open_answers)
    state.refresh()
    with answering(create_app(state)) as address:
        yield Local(address, state)


@contextmanager
def answering(app: ASGIApp) -> Iterator[str]:
    """Where `app` answers for the block."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, http=bounded(wire_of(app)), log_config=None, server_header=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
