"""The OpenAPI 3.1 document, made from the operations and the structs that decode and encode them."""

from collections.abc import Iterable
from typing import Any

import msgspec

from recsys import __version__
from recsys.store import SCOPES
from serving.http.operations import Operation
from serving.http.problems import MEDIA_TYPE, STATUS, ProblemBody

REFERENCE = "#/components/schemas/{name}"

_KEYS = (
    f"A key made by `barista keys create` with one of the scopes {', '.join(SCOPES)}, or that of BARISTA_API_KEY, "
    "which may do everything; or an access token with such a scope, where the service takes tokens. The key or token "
    "decides the tenant of a service that has several. A service without any key answers its own machine only."
)
_ALWAYS = ("malformed-request", "foreign-host", "invalid", "internal", "not-ready", "store-unavailable")
_WITH_BODY = ("malformed-json", "too-large", "unsupported-media-type")
_WITH_KEY = ("unauthenticated", "forbidden", "too-many-requests")
_WRITING = ("still-running", "key-reused", "too-large", "store-full")
_MEANING = {
    400: "The request can't be read: a head that is no HTTP or gives a header twice, or a body that is no JSON.",
    401: "No key or token, or one that is unknown, expired or revoked.",
    403: "A key or token without the scope; without keys a name in the Host header that is not this machine's.",
    404: "No such customer or decision.",
    409: "The workspace has no such model, or the first request with this Idempotency-Key still runs.",
    413: "The body is larger than 1 MiB.",
    415: "The body is not JSON by its content type, or compressed.",
    422: "A key, a value or a query is not what this path takes, or the Idempotency-Key was used otherwise.",
    429: "The key has made all its requests of this window; Retry-After says when the next one begins.",
    500: "The request failed inside the service.",
    503: "Nothing to answer from yet, the event store can't be reached now, or too many requests at once.",
    507: "The database's disk is full; nothing was done. The same request works as soon as there is space.",
}


_LINKS = {
    "recommend": {
        "decision": {"decision_id": "$response.body#/decision_id"},
        "customer": {"customer_id": "$response.body#/customer_id"},
    },
    "report": {
        "scores": {"customer_id": "$request.body#/events/0/customer_id"},
        "customer": {"customer_id": "$request.body#/events/0/customer_id"},
        "export": {"customer_id": "$request.body#/events/0/customer_id"},
    },
    "find_customers": {
        "scores": {"customer_id": "$response.body#/customers/0/customer_id"},
        "erase": {"customer_id": "$response.body#/customers/0/customer_id"},
    },
}
"""What an answer leads to: operation → operation → parameter → where its value stands."""


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The whole document."""
    known = list(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in known:
        paths.setdefault(operation.template, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Barista",
            "version": __version__,
            "description": "Next best offers, churn and lifetime value. Errors are RFC 9457 problems.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(known),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": _KEYS}},
        },
    }


def _schemas(operations: list[Operation]) -> dict[str, Any]:
    kinds: list[Any] = [ProblemBody]
    for operation in operations:
        kinds += [kind for kind in (operation.body, operation.query, operation.answer) if kind is not None]
    _, components = msgspec.json.schema_components(dict.fromkeys(kinds), ref_template=REFERENCE)
    return dict(components)


def _operation(operation: Operation) -> dict[str, Any]:
    text: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": _responses(operation),
        "security": _security(operation),
    }
    if operation.body is not None:
        content = {"schema": _reference(operation.body), "example": operation.example["request"]}
        text["requestBody"] = {"required": True, "content": {"application/json": content}}
    return text


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    """No key for a public operation; else one of the scopes, `admin`, or no key on a service that has none."""
    if operation.public:
        return []
    asked: list[dict[str, list[str]]] = [{"key": [scope]} for scope in dict.fromkeys((*operation.scopes, "admin"))]
    return [*asked, {}]


def _reference(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(name=kind.__name__)}


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    """Path and query parameters; the query's are the fields of its struct."""
    found: list[dict[str, Any]] = []
    if "{decision_id" in operation.path:
        schema = {"type": "string", "minLength": 1, "maxLength": 200}
        example = operation.example["answer"]["decision_id"]
        found.append({"name": "decision_id", "in": "path", "required": True, "schema": schema, "example": example})
    if "{customer_id" in operation.path:
        schema = {"type": "string", "minLength": 1, "maxLength": 200}
        found.append({"name": "customer_id", "in": "path", "required": True, "schema": schema, "example": "C1042"})
    if operation.writes:
        schema = {"type": "string", "pattern": "^[!-~]{1,255}$"}
        found.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": schema})
    if operation.tagged:
        found.append({"name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string"}})
    (reference,), components = msgspec.json.schema_components([operation.query], ref_template=REFERENCE)
    del reference
    for name, schema in components[operation.query.__name__]["properties"].items():
        found.append({"name": name, "in": "query", "required": False, "schema": schema})
    return found


def _responses(operation: Operation) -> dict[str, Any]:
    kinds = [*_ALWAYS, *operation.problems]
    kinds += _WITH_BODY if operation.body is not None else ()
    kinds += () if operation.public else _WITH_KEY
    kinds += _WRITING if operation.writes else ()
    responses = {"200": _answer(operation) | _links(operation)}
    for status in sorted({STATUS[kind] for kind in kinds}):
        problem = {"schema": _reference(ProblemBody)}
        responses[str(status)] = {"description": _MEANING[status], "content": {MEDIA_TYPE: problem}}
    if operation.tagged:
        tag = {"ETag": {"description": "Names the bytes of the answer.", "schema": {"type": "string"}}}
        responses["200"]["headers"] = tag
        responses["304"] = {"description": "The answer is the one `If-None-Match` names.", "headers": tag}
    if operation.name == "ready":
        not_ready = {"application/json": {"schema": _reference(operation.answer)}} if operation.answer else {}
        responses["503"] = {"description": "It can't answer; `reasons` say why.", "content": not_ready}
    return responses


def _links(operation: Operation) -> dict[str, Any]:
    led = _LINKS.get(operation.name, {})
    links = {name: {"operationId": name, "parameters": parameters} for name, parameters in led.items()}
    return {"links": links} if links else {}


def _answer(operation: Operation) -> dict[str, Any]:
    example = operation.example["answer"]
    if operation.answer is None:
        return {
            "description": "Text.",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": example}},
        }
    content = {"schema": _reference(operation.answer), "example": example}
    return {"description": (operation.answer.__doc__ or "").strip(), "content": {"application/json": content}}
