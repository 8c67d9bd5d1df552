"""The operations of the HTTP interface: one table from which routes and the OpenAPI document are made."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from anyio.to_thread import run_sync
from starlette.convertors import Convertor
from starlette.requests import Request
from starlette.responses import Response

from recsys.store import Scope
from recsys.store.patience import begin_by
from serving.http import bodies as b
from serving.http.asking import time_is_up
from serving.http.erasure_bodies import ErasureBody
from serving.http.examples import EXAMPLES
from serving.http.health import Health
from serving.http.health_bodies import HealthBody, LiveBody
from serving.http.metrics import CONTENT_TYPE, Metrics
from serving.http.people import People
from serving.http.recorded import recorded
from serving.http.requests import lines_of_header, path_text, read_body, read_query
from serving.http.service import Service
from serving.http.shadowing import ShadowBody, shadow_body
from serving.http.timing_bodies import TimingBody, TimingQuery
from serving.http.whole import Json
from serving.laps import Laps

Handler = Callable[[Request], Awaitable[Response] | Response]
"""Answers a request; a plain function where it never waits."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    path      as routing takes it; `{customer_id:id}` lets ids hold slashes and line ends
    body, query, answer   the structs that decode, check and document it; `answer` None is plain text
    problems  kinds of problems it can answer with, besides those every operation has
    public    answers without a key
    scopes    a key needs one of them; one with `admin` needs none
    outlasts  answers while the database is lost, too; then anew under an `Idempotency-Key` that can't be looked up
    tagged    answers carry an `ETag` and are 304 without a body when `If-None-Match` names it
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Handler
    answer: type[msgspec.Struct] | None
    body: type[msgspec.Struct] | None = None
    query: type[msgspec.Struct] = b.NoQuery
    problems: tuple[str, ...] = ()
    public: bool = False
    scopes: tuple[Scope, ...] = ("admin",)
    outlasts: bool = False
    tagged: bool = False

    @property
    def writes(self) -> bool:
        """Whether it changes or records something, so that an `Idempotency-Key` counts."""
        return self.method in {"POST", "DELETE"}

    @property
    def template(self) -> str:
        """The path as documents and metrics name it."""
        return template(self.path)

    @property
    def example(self) -> dict[str, Any]:
        """Example request and answer."""
        return EXAMPLES.get(self.name, {})


class AnyText(Convertor[str]):
    """Path part that takes everything an id may hold, and what none may, so that it is refused as an id."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        """The part as it is."""
        return value

    def to_string(self, value: str) -> str:
        """The part as it is."""
        return value


def template(path: str) -> str:
    """A routing path as documents and metrics name it."""
    return path.replace(":id}", "}")


_ENCODER = msgspec.json.Encoder()
_ASKED_AGAIN = {b"cache-control": b"private, no-cache"}


def json_answer(body: msgspec.Struct, status: int = 200, headers: dict[bytes, bytes] | None = None) -> Response:
    """A body as JSON; floats are written so that reading gives the same bits."""
    return Json(_ENCODER.encode(body), status, headers)


def operations(service: Service, metrics: Metrics, health: Health | None = None) -> tuple[Operation, ...]:
    """Every documented operation over `service`, whose `health` somebody looks at."""
    return (
        *_decisions(service, metrics),
        *_foretold(service, metrics),
        *_people(service, People(service)),  # before the others: an id may hold slashes
        *_customers(service),
        *_reports(service, metrics),
        *_shadow(service, metrics),
        *_health(health or Health(service), metrics),
    )


def _decisions(service: Service, metrics: Metrics) -> tuple[Operation, ...]:
    async def recommendations(request: Request) -> Response:
        read_query(request, b.NoQuery)
        body = await read_body(request, b.RecommendationRequest)
        request.state.customers = frozenset({body.customer_id})
        laps = request.state.laps = Laps()
        until = time_is_up(request.scope)  # what looked up the request's key has taken of its time
        with begin_by(until):
            decided = service.decide(body, laps)
        kept = await service.recorder.keep(decided.record, until)
        laps("log")
        metrics.stages(laps)
        return json_answer(msgspec.structs.replace(decided.body, recorded=kept))

    async def decision(request: Request) -> Response:
        read_query(request, b.NoQuery)
        return json_answer(await recorded(service, request.scope, path_text(request, "decision_id")))

    return (
        Operation(
            "POST",
            "/v1/recommendations",
            "recommend",
            "Offers for one customer, known or not",
            recommendations,
            b.OffersBody,
            b.RecommendationRequest,
            problems=("no-model",),
            scopes=("recommend",),
            outlasts=True,
        ),
        Operation(
            "GET",
            "/v1/decisions/{decision_id:id}",
            "decision",
            "A recorded decision: what was asked, ranked and returned, and from what",
            decision,
            b.DecisionBody,
            problems=("unknown-decision",),
            scopes=("recommend",),
        ),
    )


def _foretold(service: Service, metrics: Metrics) -> tuple[Operation, ...]:
    def scores(request: Request) -> Response:
        query = read_query(request, b.ScoresQuery)
        known, laps = lines_of_header(request.scope, b"if-none-match"), Laps()
        request.scope["state"]["laps"] = laps
        customer, language = path_text(request, "customer_id"), query.language if query.reasons else None
        scored = service.scored(customer, language, known_tags=known, laps=laps)
        metrics.stages(laps)
        if scored.body is None:
            metrics.not_modified.inc()
            return Response(status_code=304, headers={"ETag": scored.tag, "Cache-Control": "private, no-cache"})
        return json_answer(scored.body, headers={b"etag": scored.tag.encode(), **_ASKED_AGAIN})

    async def timing(request: Request) -> Response:
        query = read_query(request, TimingQuery)
        return json_answer(service.timing(path_text(request, "customer_id"), categories=query.categories))

    return (
        Operation(
            "GET",
            "/v1/customers/{customer_id:id}/scores",
            "scores",
            "Churn, value and next purchase of one customer, known or not",
            scores,
            b.ScoresBody,
            query=b.ScoresQuery,
            scopes=("score",),
            tagged=True,
        ),
        Operation(
            "GET",
            "/v1/customers/{customer_id:id}/timing",
            "timing",
            "When one customer buys next, of anything and of each category",
            timing,
            TimingBody,
            query=TimingQuery,
            scopes=("score",),
        ),
    )


def _customers(service: Service) -> tuple[Operation, ...]:
    async def find_customers(request: Request) -> Response:
        query = read_query(request, b.SearchQuery)
        return json_answer(service.find_customers(query.search, query.limit))

    async def find_items(request: Request) -> Response:
        query = read_query(request, b.SearchQuery)
        return json_answer(await run_sync(service.find_items, query.search, query.limit))

    async def customer(request: Request) -> Response:
        read_query(request, b.NoQuery)
        return json_answer(await run_sync(service.facts, path_text(request, "customer_id")))

    return (
        Operation(
            "GET",
            "/v1/customers",
            "find_customers",
            "Customers whose id begins with a text",
            find_customers,
            b.FoundCustomers,
            query=b.SearchQuery,
            scopes=("score",),
        ),
        Operation(
            "GET",
            "/v1/customers/{customer_id:id}",
            "customer",
            "What is known of one customer",
            customer,
            b.CustomerBody,
            problems=("unknown-customer",),
            scopes=("score",),
        ),
        Operation(
            "GET",
            "/v1/items",
            "find_items",
            "Items whose name or id contains a text, best sellers first",
            find_items,
            b.FoundItems,
            query=b.SearchQuery,
            scopes=("recommend", "events"),
        ),
    )


def _people(service: Service, people: People) -> tuple[Operation, ...]:
    async def erase(request: Request) -> Response:
        read_query(request, b.NoQuery)
        return json_answer(await service.ask(request.scope, people.erase, path_text(request, "customer_id")))

    async def export(request: Request) -> Response:
        read_query(request, b.NoQuery)
        return json_answer(await service.ask.at_length(request.scope, people.export, path_text(request, "customer_id")))

    path = "/v1/customers/{customer_id:id}"
    return (
        Operation(
            "GET",
            f"{path}/export",
            "export",
            "Everything held of one customer",
            export,
            b.ExportBody,
            problems=("unknown-customer",),
        ),
        Operation("DELETE", path, "erase", "Forget one customer, known or not", erase, ErasureBody),
    )


def _reports(service: Service, metrics: Metrics) -> tuple[Operation, ...]:
    async def events(request: Request) -> Response:
        read_query(request, b.NoQuery)
        batch = await read_body(request, b.EventBatch)
        request.state.customers = frozenset(each.customer_id for each in batch.events)
        answer = await service.ask(request.scope, service.report, batch.events)
        for outcome in answer.outcomes:
            metrics.events.labels(outcome.outcome).inc()
        return json_answer(answer)

    async def models(request: Request) -> Response:
        read_query(request, b.NoQuery)
        return json_answer(service.models())

    return (
        Operation(
            "POST",
            "/v1/events",
            "report",
            "Report purchases, refunds and other events; idempotent by event_id",
            events,
            b.EventsBody,
            b.EventBatch,
            scopes=("events",),
        ),
        Operation(
            "GET",
            "/v1/models",
            "models",
            "The models that answer now",
            models,
            b.ModelsBody,
            scopes=("recommend", "score"),
        ),
    )


def _shadow(service: Service, metrics: Metrics) -> tuple[Operation, ...]:
    async def shadow(request: Request) -> Response:
        read_query(request, b.NoQuery)
        return json_answer(await run_sync(shadow_body, service, metrics))

    return (
        Operation(
            "GET",
            "/v1/shadow",
            "shadow",
            "What challengers would have answered",
            shadow,
            ShadowBody,
            scopes=("recommend", "score"),
        ),
    )


def _health(health: Health, metrics: Metrics) -> tuple[Operation, ...]:
    async def live(request: Request) -> Response:
        read_query(request, b.NoQuery)
        return json_answer(health.live())

    async def ready(request: Request) -> Response:
        read_query(request, b.NoQuery)
        found = health.ready(known=getattr(request.state, "known", False))
        return json_answer(found, 503 if found.status == "not ready" else 200)

    async def exposition(request: Request) -> Response:
        read_query(request, b.NoQuery)
        return Response(await run_sync(metrics.text), media_type=CONTENT_TYPE)

    return (
        Operation("GET", "/health/live", "live", "The process runs", live, LiveBody, public=True),
        Operation(
            "GET",
            "/health/ready",
            "ready",
            "It can answer, and from what; 503 if not",
            ready,
            HealthBody,
            public=True,
        ),
        Operation("GET", "/metrics", "metrics", "Prometheus metrics", exposition, None, scopes=("metrics",)),
    )
