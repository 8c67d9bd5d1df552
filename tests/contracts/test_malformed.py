"""Two thousand spoilt requests (`make faults` sends a hundred thousand), and what a judge of answers must notice."""

import asyncio
import json
from dataclasses import replace

import pytest

from tests.contracts.malformed import Answer, Judge, Sent, block, call, patient_app, request, seeds, small_state


@pytest.mark.parametrize("keyed", [False, True], ids=["open", "keyed"])
def test_spoilt_requests_get_documented_problems(tmp_path, keyed):
    """Never a 5xx, every error a valid problem, every answer as the document says."""
    found = block(tmp_path / "workspace", range(keyed * 1000, keyed * 1000 + 1000), keyed=keyed)
    assert (found["sent"], found["faults"]) == (1000, [])


def test_the_same_number_is_the_same_request():
    """A fault found by number can be looked at again."""
    assert [request(n) for n in range(50)] == [request(n) for n in range(50)]


def test_the_requests_are_spoilt_in_every_way():
    """Bodies, paths, headers and methods differ; hardly any request comes twice."""
    sent = [request(n) for n in range(500)]
    assert len(set(sent)) > 480
    assert {each.method for each in sent} >= {"GET", "POST", "DELETE", "PUT"}
    assert sum(b"%" in each.target for each in sent) > 20


def test_what_is_spoilt_are_requests_to_every_operation(tmp_path):
    """Routing brings the proper requests to all operations that the document names."""
    app = patient_app(small_state(tmp_path / "workspace"))
    routes = {route.endpoint: route.name for route in app.routes}
    reached = {routes[asyncio.run(call(app, sent)).endpoint] for sent in seeds(1)}
    assert reached == {each["operationId"] for path in app.openapi()["paths"].values() for each in path.values()}


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A judge, and a right answer of the models with the endpoint it came from."""
    app = patient_app(small_state(tmp_path_factory.mktemp("judge") / "workspace"))
    endpoint = next(route.endpoint for route in app.routes if route.name == "live")
    body = json.dumps({"status": "ok", "uptime_seconds": 1}).encode()
    return Judge(app), Answer(200, {"content-type": "application/json"}, body, endpoint)


LIVE = Sent("GET", b"/health/live")
PROBLEM = {"content-type": "application/problem+json"}
WRONG = {
    "a 5xx": {"status": 500},
    "a status that is not documented": {"status": 201},
    "another type": {"headers": {"content-type": "text/html"}},
    "another schema": {"body": b'{"status": "fine", "reasons": []}'},
    "an error that is no problem": {"status": 422},
    "a problem with another status": {"status": 422, "headers": PROBLEM, "body": b'{"type": "urn:x", "title": "t"}'},
}


def test_a_right_answer_is_let_pass(judged):
    """The judge finds nothing in an answer as documented."""
    judge, answer = judged
    assert judge.fault(LIVE, answer) == ""


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_answer_is_noticed(judged, case):
    """Each way an answer can be wrong is found."""
    judge, answer = judged
    assert judge.fault(LIVE, replace(answer, **WRONG[case])) != ""
