"""The OpenAPI document is true: requests made from it, and against it, get the answers it describes."""

import httpx
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from recsys.settings import Settings
from recsys.testing.builders import random_snapshot
from recsys.testing.published import publish_models, publish_snapshot
from recsys.workspace import Workspace
from serving.answers import open_answers
from serving.http.app import create_app
from serving.http.examples import EXAMPLES
from serving.http.local import serve_locally
from serving.http.state import State

HERE = {"Host": "127.0.0.1"}
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> State:
    """Twenty random customers and three linear models."""
    place = tmp_path_factory.mktemp("contract") / "workspace"
    costs = {"margin": 0.3, "acquisition_cost": 2_000.0, "contact_cost": 1.0, "saved_value": 50.0, "save_rate": 0.1}
    workspace = Workspace.create(Settings(workspace=place, clock="snapshot", **costs))
    publish_snapshot(place, random_snapshot(3, 20))
    publish_models(place)
    state = State(workspace, open_answers)
    state.refresh()
    return state


@pytest.fixture(scope="module")
def app(state: State):
    """The application over it."""
    return create_app(state)


@pytest.fixture(scope="module")
def client(state):
    """A client of the same workspace served over HTTP."""
    with serve_locally(state.workspace) as local, httpx.Client(base_url=local.address, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def described(app):
    """Operations of the document by id, as schemathesis reads them."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    return {each.ok().definition.raw["operationId"]: each.ok() for each in schema.get_all_operations()}


TAKING = (
    "recommend",
    "decision",
    "scores",
    "timing",
    "find_customers",
    "customer",
    "find_items",
    "report",
    "export",
    "erase",
)
"""Operations that take something, so that something can be wrong."""

NAMES = (*TAKING, "models", "shadow", "live", "ready", "metrics")


def check(operation, mode: GenerationMode, examples: int) -> None:
    """Send generated requests; every answer is documented, fits its schema and is no 5xx."""

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    def sent(case):
        answer = case.call(headers=HERE)
        case.validate_response(answer, checks=CHECKS)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == ["application/problem+json"]
            assert answer.json()["status"] == answer.status_code

    sent()


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_to_a_proper_request_is_as_documented(described, name):
    """Requests made from the document get documented answers."""
    check(described[name], GenerationMode.POSITIVE, 40)  # fails with the request and the answer


@pytest.mark.parametrize("name", TAKING)
def test_every_answer_to_an_improper_request_is_a_documented_problem(described, name):
    """Requests that break the document get problems it names, never a 5xx."""
    check(described[name], GenerationMode.NEGATIVE, 60)  # fails with the request and the answer


def test_the_document_lists_every_operation(described):
    """No operation is left out of these tests."""
    assert set(described) == set(NAMES)


def test_every_route_is_documented(app):
    """Each path the application answers is in the document, but for the page's files."""
    routes = {route.path.replace(":id}", "}") for route in app.routes}
    pages = {"/", "/console.css", "/console.js", "/charts.js", "/favicon.svg", "/openapi.json"}
    assert routes - pages == set(app.openapi()["paths"])


def test_examples_fit_their_schemas(app):
    """Every example is valid by the schema beside it."""
    document = app.openapi()
    for media in media_of(document):
        schema = media["schema"] | {"components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(media["example"])


def media_of(document):
    """Every media type of the document that has an example."""
    for methods in document["paths"].values():
        for operation in methods.values():
            bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
            yield from (media for body in bodies for media in body.get("content", {}).values() if "example" in media)


REAL = {
    "recommend": ("POST", "/v1/recommendations", {"customer_id": "c0001", "reasons": True}),
    "scores": ("GET", "/v1/customers/c0001/scores?reasons=true", None),
    "timing": ("GET", "/v1/customers/c0001/timing", None),
    "find_customers": ("GET", "/v1/customers", None),
    "customer": ("GET", "/v1/customers/c0001", None),
    "find_items": ("GET", "/v1/items", None),
    "models": ("GET", "/v1/models", None),
    "export": ("GET", "/v1/customers/c0002/export", None),
    "erase": ("DELETE", "/v1/customers/c0009", None),
    "live": ("GET", "/health/live", None),
    "ready": ("GET", "/health/ready", None),
    "report": ("POST", "/v1/events", {"events": [{"event_id": "real", "type": "view", "customer_id": "c1"}]}),
}


@pytest.mark.parametrize("name", REAL)
def test_examples_have_the_shape_of_real_answers(client, name):
    """An example has the keys and kinds of values that a real answer has."""
    method, path, body = REAL[name]
    answer = client.request(method, path, json=body)
    assert answer.status_code == 200
    assert shape(EXAMPLES[name]["answer"]) == shape(answer.json())


def shape(value):
    """Keys and kinds of a JSON value; lists by their first element, free-form objects and nulls as anything."""
    if isinstance(value, dict):
        free = {"evidence", "metrics", "missing", "attributes"}
        return {key: ... if key in free and isinstance(each, dict) else shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "text" if isinstance(value, str) or value is None else "number" if not isinstance(value, bool) else "bool"


def test_example_requests_are_accepted(client):
    """The requests of the examples can be sent as they stand."""
    requests = {"/v1/recommendations": "recommend", "/v1/events": "report"}
    assert {client.post(path, json=EXAMPLES[name]["request"]).status_code for path, name in requests.items()} == {200}
