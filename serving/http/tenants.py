"""Several tenants in one service: each has an application of its own, and a caller's key decides which one answers.

Nothing of a tenant (snapshot, models, database, keys, limits, kept answers, journal) is known to another's application.
The one that was chosen asks for the key again, so a wrong choice would refuse and not leak.
"""

import copy
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

from fastapi import FastAPI
from prometheus_client import Gauge
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from recsys.errors import StoreUnavailable
from recsys.settings import Settings
from recsys.store import AnswerStore, LimitStore
from recsys.workspace import tenants_of
from serving.answers import open_answers
from serving.http.access import Access, bearer
from serving.http.app import assemble, create_app
from serving.http.bodies import NoQuery
from serving.http.guards import Guards
from serving.http.health_bodies import HealthBody
from serving.http.idempotency import Idempotency
from serving.http.keyring import OPERATOR_KEY, Keyring, NoKeys
from serving.http.limiting import Limiter
from serving.http.metrics import Metrics
from serving.http.operations import Operation, json_answer
from serving.http.requests import read_query
from serving.http.service import Service
from serving.http.state import State
from serving.http.traced import Tracing

OPERATORS = frozenset({"/metrics"})
"""Paths that tell of all tenants: they are answered to the operator alone."""

LARGEST = frozenset({"degraded"})
"""Gauges of which the worst tenant's counts; of others all tenants' together."""


def open_tenants(settings: Settings) -> dict[str, State]:
    """The opened state of every tenant by name; one without models answers /health and says what is missing.

    Raises:
        SettingsError: there is no tenant, or two share a database.
    """
    states = {name: State(workspace, open_answers) for name, workspace in tenants_of(settings).items()}
    for state in states.values():
        state.begin()
    for state in states.values():
        state.still_lost()  # each of the others may have waited for the same database
    return states


def tenants_app(
    settings: Settings,
    states: Mapping[str, State],
    metrics: Metrics | None = None,
    tracing: Tracing | None = None,
) -> "TenantsApp":
    """The service of all tenants; `settings` are the operator's."""
    counted = metrics or Metrics()
    parts: dict[str, dict[str, float]] = {}
    apps = {name: create_app(state, _metrics_of(name, counted, parts), tracing) for name, state in states.items()}
    return TenantsApp(apps, _operators(settings, apps, counted, tracing))


class TenantsApp:
    """ASGI application: hands each request to its tenant's, and to the operator's when no tenant's key is shown."""

    def __init__(self, apps: Mapping[str, FastAPI], operators: FastAPI) -> None:
        self._apps, self._operators = apps, operators
        self._open = {each.path for each in operators.state.operations if each.public}
        self._access: dict[str, Access] = {name: app.state.guards.access for name, app in apps.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        name = self._tenant(scope) if scope["type"] == "http" else None
        if name is None:
            await self._operators(scope, receive, send)
            return
        with bound_contextvars(tenant=name):
            await self._apps[name](scope, receive, send)

    def _tenant(self, scope: Scope) -> str | None:
        """The tenant whose key or token is shown; None for the operator, for nobody and for the unknown.

        Proved only where nobody asks for a proof afterwards. What no tenant knows, while the keys of one could not be
        read, is that one's to refuse: it answers 503, whosesoever key it is.
        """
        text = bearer(scope)
        if not text or scope["path"] in OPERATORS:
            return None
        open_path = scope["path"] in self._open
        unread = None
        for name, each in self._access.items():
            try:
                if (each.opens if open_path else each.knows)(text):
                    return name
            except StoreUnavailable:
                unread = unread or name
        return unread


class _Part:
    """One tenant's part of a gauge that all share: the largest part counts, or all of them together."""

    def __init__(self, name: str, gauge: Gauge, parts: dict[str, float], *, largest: bool) -> None:
        self._name, self._gauge, self._parts = name, gauge, parts
        self._of = max if largest else sum

    def set(self, value: float) -> None:
        """Say what this tenant's part is."""
        self._parts[self._name] = float(value)
        self._gauge.set(self._of(self._parts.values()))


def _metrics_of(name: str, metrics: Metrics, parts: dict[str, dict[str, float]]) -> Metrics:
    """The metrics all tenants share, as one of them counts in them; `parts` holds each one's part of each gauge."""
    own = copy.copy(metrics)
    for what, gauge in vars(metrics).items():
        if isinstance(gauge, Gauge):
            setattr(own, what, _Part(name, gauge, parts.setdefault(what, {}), largest=what in LARGEST))
    return own


def _operators(settings: Settings, apps: Mapping[str, FastAPI], metrics: Metrics, tracing: Tracing | None) -> FastAPI:
    """The page, the probes and the metrics; what a tenant would be asked for is refused here."""
    ring = Keyring(settings.api_key, NoKeys, lambda: 0.0, always=True, setting_opens=OPERATOR_KEY)
    ring.refresh()
    guards = Guards(Access(ring, fetches=False), Limiter(0, 1, _none(LimitStore)), Idempotency(_none(AnswerStore)))
    services: list[Service] = [app.state.service for app in apps.values()]
    known: Iterable[Operation] = next(iter(apps.values())).state.operations
    operations = [replace(each, handler=_ready(services)) if each.name == "ready" else each for each in known]

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for app in apps.values():
                await stack.enter_async_context(app.router.lifespan_context(app))
            yield

    return assemble(operations, guards, metrics, lifespan, settings, tracing)


def _none(_kind: type[Any]) -> Any:
    """A store that is never asked: the operator's key has no scope of an operation that would."""
    return lambda: None


def _ready(services: list[Service]) -> Any:
    """Whether the tenants can be answered; no tenant is named, for nobody was asked for a key."""

    async def ready(request: Request) -> Response:
        read_query(request, NoQuery)
        health = together([service.health() for service in services])
        return json_answer(health, 503 if health.status == "not ready" else 200)

    return ready


def together(each: list[HealthBody]) -> HealthBody:
    """One health of many: not ready when no tenant is, degraded when not all are well; counts, no names."""
    found = [health.status for health in each]
    counts = {status: found.count(status) for status in ("not ready", "degraded")}
    reasons = tuple(f"{count} of {len(found)} tenants: {status}" for status, count in counts.items() if count)
    if counts["not ready"] == len(found):
        return HealthBody("not ready", reasons)
    return HealthBody("degraded" if reasons else "ok", reasons)
