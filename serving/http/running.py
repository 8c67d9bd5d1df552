"""Opened parts of a service, and the processes that answer with them."""

import gc
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from recsys.errors import SettingsError, StoreUnavailable
from recsys.settings import LOOPBACK, Settings
from recsys.store import KeyStore
from recsys.workspace import Workspace, tenants_of
from serving.answers import open_answers
from serving.http.access import refuse_open_door
from serving.http.app import create_app
from serving.http.bounds import bounded
from serving.http.metrics import Metrics
from serving.http.state import State
from serving.http.tenants import open_tenants, tenants_app
from serving.http.traced import Tracing
from serving.http.tracing import load_exporter, open_tracing
from serving.http.wire import wire_of
from serving.kernel_memory import pack_kernels
from serving.puller import Puller
from serving.warming import compile_apart
from serving.workers import GRACE, run_workers

BACKLOG = 2_048
"""Connections that may wait to be accepted."""

TURN = 0.0005
"""How long a thread that only computes may keep one that answers waiting, each time it needs the interpreter [s]."""

YOUNG = 10_000
"""New objects after which the collector looks for cycles among them; requests leave none, and each look costs."""

LATER = (
    "anyio._backends._asyncio",
    "fastapi.telemetry._runtime",
    "serving.console",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.websockets.auto",
)
"""Modules that a worker would import when it begins to answer; loaded before the fork they are shared."""


@dataclass(frozen=True, slots=True)
class Running:
    """A state opened and warmed, ready to be forked; `shared` is where several workers keep their metrics.

    `tenants` are the states of a service for several, by name; `state` is then the first of them.
    """

    settings: Settings
    state: State
    shared: Path | None
    tenants: Mapping[str, State] = field(default_factory=dict)

    @classmethod
    def open(cls, settings: Settings, shared: Path | None = None) -> Self:
        """Open the workspace's state; a workspace without models still answers /health and says what is missing.

        With `tenants` in the settings every tenant's is opened.

        Raises:
            SettingsError: an address beyond this machine without a key, or traces without what sends them.
            WorkspaceError: no workspace.
        """
        if settings.otlp_endpoint:
            load_exporter()  # before the fork, so that workers share its memory
        if settings.tenants is not None:
            first = next(iter(tenants_of(settings).values()))
            compile_apart(lambda: open_answers(first))
            states = open_tenants(settings)
            return cls(settings, next(iter(states.values())), shared, states)
        workspace = Workspace.open(settings)
        state = State(workspace, open_answers)
        refuse_open_door(settings, keys=settings.host not in LOOPBACK and _has_keys(state))
        compile_apart(lambda: open_answers(workspace))
        state.begin()
        return cls(settings, state, shared)

    def listen(self) -> socket.socket:
        """A listening socket on the address of the settings.

        Raises:
            SettingsError: the address is taken or not of this machine.
        """
        host, port = self.settings.host, self.settings.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            return socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise SettingsError(
                "The service can't listen there",
                found=f"{host}:{port}",
                expected="a free address of this machine",
                cure="Give another --port, or 0 for a free one",
            ) from error

    def run(self, listening: socket.socket) -> None:
        """Answer until told to stop: in this process, or in several forked from it."""
        for name in LATER:
            with suppress(ImportError):  # another version of a library may keep it elsewhere
                import_module(name)
        gc.collect()
        pack_kernels()
        gc.freeze()  # what was opened stays: the collector needn't look at it, and forked workers go on sharing it
        puller = self._puller()
        try:
            if self.settings.workers == 1:
                self._answer(listening)
            else:
                run_workers(self.settings.workers, lambda: self._answer_forked(listening))
        finally:
            if puller is not None:
                puller.stop()

    def _puller(self) -> Puller | None:
        """The process that asks MLflow; the workspace's own MLflow is asked by the commands that change it."""
        every = [state.workspace for state in self.tenants.values() or (self.state,)]
        served = [each.directory for each in every if each.settings.mlflow_tracking_uri is not None]
        if not served or not self.settings.pull_seconds:
            return None
        return Puller(self.settings.pull_seconds, served, self.settings.tenants)

    def _answer_forked(self, listening: socket.socket) -> None:
        """Answer in a worker; one that replaces another may begin days after what was opened here."""
        for state in self.tenants.values() or (self.state,):
            state.workspace.reopen()
            state.erased.reload()
            state.refresh(share=1.0)  # some small files are read where no pointer changed; nobody is answered yet
        self._answer(listening)

    def _app(self, metrics: Metrics, tracing: Tracing | None) -> ASGIApp:
        if self.tenants:
            return tenants_app(self.settings, self.tenants, metrics, tracing)
        return create_app(self.state, metrics, tracing)

    def _answer(self, listening: socket.socket) -> None:
        metrics = Metrics(self.shared)
        tracing = open_tracing(self.settings, metrics)  # here, after the fork: each worker sends its own
        app = self._app(metrics, tracing)
        config = uvicorn.Config(
            app,
            http=bounded(wire_of(app)),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nothing here reads the caller's address or scheme
            timeout_graceful_shutdown=int(GRACE),
            timeout_keep_alive=30,
            backlog=BACKLOG,
        )
        sys.setswitchinterval(TURN)
        gc.collect()
        gc.freeze()  # the application stays too
        gc.set_threshold(YOUNG)
        for each in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises the signal again after its graceful end
            signal.signal(each, _end)
        try:
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            if tracing is not None:
                tracing.stop()


def _has_keys(state: State) -> bool:
    """Whether callers are asked for a key; a database that can't be read now may hold some, so they are."""
    try:
        state.reach()
        return bool(KeyStore(state.workspace.database()).all())
    except StoreUnavailable:
        state.lost()
        return True


def _end(*_signal: object) -> None:
    raise SystemExit(0)
