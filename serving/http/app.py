"""The application: FastAPI with the operations, the console page and the problems around them."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache, partial
from http import HTTPStatus
from typing import Any

import structlog
from anyio.to_thread import run_sync
from fastapi import FastAPI
from starlette.convertors import register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from recsys.errors import BaristaError
from recsys.settings import Settings
from recsys.workspace import Workspace
from serving.challengers import Challengers
from serving.http import console
from serving.http.admission import Admission, Gate
from serving.http.cors import Origins
from serving.http.direct import Direct, Way, Ways, way
from serving.http.envelope import Account, Envelope, failed
from serving.http.guards import Guards
from serving.http.health import Health
from serving.http.metrics import Metrics
from serving.http.openapi import document
from serving.http.operations import AnyText, Operation, operations, template
from serving.http.problems import Problem, internal, of_error, of_http, respond
from serving.http.prompt import Prompts
from serving.http.service import Service
from serving.http.state import State
from serving.http.traced import Tracing
from serving.shadow import Shadow

LOG = structlog.get_logger("barista.service")

TOLD_EVERY = 1.0
"""How old what other workers tell of this one's counts may be [s]."""


class Layered(FastAPI):
    """FastAPI behind our layers: what they answer does not pass FastAPI's own middleware, which they make needless."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._layers: list[Callable[[ASGIApp], ASGIApp]] = []

    def add_layer(self, kind: Callable[..., ASGIApp], **options: Any) -> None:
        """Put a layer around those added before."""
        self._layers.append(lambda app: kind(app, **options))

    def build_middleware_stack(self) -> ASGIApp:
        """The whole application, outermost layer first."""
        app: ASGIApp = super().build_middleware_stack()
        for layer in self._layers:
            app = layer(app)
        return app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: by the layers at once, for FastAPI and Starlette would only pass it on to them."""
        if scope["type"] == "lifespan" or self.middleware_stack is None:
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        await self.middleware_stack(scope, receive, send)


def create_app(state: State, metrics: Metrics | None = None, tracing: Tracing | None = None) -> FastAPI:
    """The service over `state`; while it runs it looks for changes every `refresh_seconds`."""
    metrics, settings = metrics or Metrics(), state.workspace.settings
    state.workspace.be_patient(settings.database_patience)
    shadow = Shadow(
        Challengers(state.workspace),
        settings.shadow_share,
        settings.seed,
        metrics.seen,
        lambda fate: metrics.shadow.labels(fate).inc(),
    )
    service = Service(state, lambda kept, count: metrics.decisions.labels(kept).inc(count), shadow)
    service.begin()
    metrics.askings.append(partial(_remembered, state.workspace, metrics, Counter()))
    guards = Guards.of(state.workspace, service.ask, reads=not service.outage.now)
    service.outage.ended.append(guards.give_back)
    health = Health(service)
    health.look()
    lifespan = partial(_lifespan, service, metrics, guards, health)
    app = assemble(operations(service, metrics, health), guards, metrics, lifespan, state.workspace.settings, tracing)
    app.state.service = service
    return app


def assemble(
    known: Sequence[Operation],
    guards: Guards,
    metrics: Metrics,
    lifespan: Lifespan[FastAPI],
    settings: Settings,
    tracing: Tracing | None = None,
) -> FastAPI:
    """`known` operations behind `guards`, with the page, the document and the problems around them."""
    register_url_convertor("id", AnyText())
    described = cache(partial(document, known))  # made when somebody asks: it takes 2 MB of a worker
    app = Layered(
        title="Barista",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # looked for at every request otherwise
    )
    app.openapi = described  # type: ignore[method-assign]
    app.state.guards, app.state.operations = guards, known
    pages = console.routes(described, needs_key=guards.access.asks)
    ways = [way(each.method, each.path, guards.around(each), guards.prompt(each)) for each in known]
    routes = [*(_route(operation, each) for operation, each in zip(known, ways, strict=True)), *pages]
    app.router.routes.extend(routes)
    app.router.redirect_slashes = False
    for kind, handler in HANDLERS:
        app.add_exception_handler(kind, handler)
    templates = {route.endpoint: template(route.path) for route in routes}
    table, problems, account = Ways(ways), dict(HANDLERS), Account(metrics, templates, tracing)
    app.add_layer(Direct, ways=table, problems=problems)
    app.state.gate = Gate(settings.most_requests, metrics.under_way.set, partial(_refused, metrics))
    app.add_layer(Admission, gate=app.state.gate)
    app.state.prompts, app.state.account = Prompts(table, problems), account
    if settings.cors_origins:
        app.add_layer(Origins, origins=settings.cors_origins)
        app.state.prompts = None  # every answer is looked at
    app.add_layer(Envelope, account=account)
    return app


def _refused(metrics: Metrics, method: str) -> None:
    """Count what was refused before it had a route."""
    metrics.request("other", method, 503, 0.0)


def _route(operation: Operation, way: Way) -> Route:
    """The operation for FastAPI's routing, which answers what the direct way leaves: other methods of its path."""
    return Route(operation.path, way.endpoint, methods=[operation.method], name=operation.name)


@asynccontextmanager
async def _lifespan(
    service: Service, metrics: Metrics, guards: Guards, health: Health, _app: FastAPI
) -> AsyncIterator[None]:
    service.recorder.start()
    seconds = service.workspace.settings.refresh_seconds
    kept = (read_again(read, seconds) for read in (guards.refresh, service.state.erased.refresh))
    looks = (watch(service, metrics, health), *kept, hand_over(metrics))
    tasks = [asyncio.create_task(each) for each in looks]
    try:
        yield
    finally:
        for each in tasks:
            each.cancel()
        await run_sync(service.shadow.stop)
        await run_sync(service.recorder.stop)
        metrics.hand_over()


async def hand_over(metrics: Metrics) -> None:
    """Let the other workers see what this one counted, every `TOLD_EVERY`, however long a look takes."""
    while True:
        await asyncio.sleep(TOLD_EVERY)
        metrics.hand_over()


async def read_again(read: Callable[[], object], seconds: float) -> None:
    """Read the keys or who is erased, off the event loop, so often [s]: a look may open models for a minute."""
    while True:
        try:
            await run_sync(read)
        except Exception as error:  # whatever it was, it is read again all the same
            LOG.error("not read again", error=type(error).__name__)
        await asyncio.sleep(seconds)


async def watch(service: Service, metrics: Metrics, health: Health) -> None:
    """Look for a new snapshot, champion or run every `refresh_seconds`, off the event loop."""
    told: Counter[tuple[Any, str]] = Counter()
    while True:
        try:
            await _look(service, metrics, health)
        except Exception as error:  # whatever it was, the next look is made all the same
            LOG.error("look failed", error=type(error).__name__)
        _tell(service, metrics, health, told)
        await asyncio.sleep(service.workspace.settings.refresh_seconds)


async def _look(service: Service, metrics: Metrics, health: Health) -> None:
    state, begun = service.state, time.perf_counter()
    if await run_sync(state.refresh):
        metrics.swap_seconds.observe(time.perf_counter() - begun)
    if state.opened:
        await run_sync(service.shadow.challengers.refresh, state.current().answers)
    await run_sync(health.look)


def _tell(service: Service, metrics: Metrics, health: Health, told: Counter[tuple[Any, str]]) -> None:
    """Bring the metrics up to what the state counted; `told` is what they were told before."""
    state = service.state
    counted = {(metrics.swaps, result): count for result, count in state.swaps.items()}
    counted |= {(metrics.refusals, reason): count for reason, count in state.refusals.items()}
    for key, count in counted.items():
        counter, label = key
        counter.labels(label).inc(count - told[key])
        told[key] = count
    metrics.registry_reached.set(health.registry_reached)
    metrics.degraded.set(service.health().status != "ok")


def _remembered(workspace: Workspace, metrics: Metrics, told: Counter[str]) -> None:
    """Bring the metrics up to what is remembered of newer orders; `told` is what they were told before."""
    now = workspace.remembered()
    for result, count in (("hit", now.hits), ("miss", now.misses)):
        metrics.remembered.labels(result).inc(max(0, count - told[result]))
        told[result] = count
    metrics.remembered_bytes.set(now.nbytes)


def _problem(request: Request, problem: Any) -> Response:
    return respond(problem, request.state.request_id)


def _error(request: Request, error: Any) -> Response:
    problem = of_error(error)
    if problem.kind == "internal":
        return failed(error, request.state.request_id)
    return respond(problem, request.state.request_id)


def _http(request: Request, error: Any) -> Response:
    known = error.status_code in set(HTTPStatus)
    problem = of_http(error.status_code, request, dict(error.headers or {})) if known else internal()
    return respond(problem, request.state.request_id)


def _gone(request: Request, _error: Any) -> Response:
    return respond(Problem("malformed-json", "The body ended early."), request.state.request_id)


HANDLERS: tuple[tuple[type[Exception], Callable[[Request, Any], Response]], ...] = (
    (Problem, _problem),
    (BaristaError, _error),
    (HTTPException, _http),
    (ClientDisconnect, _gone),
)
"""Which answer an exception becomes; what is not listed is a 500 by the envelope."""
