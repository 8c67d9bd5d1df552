"""The service that the benchmark of decisions compares with leaves out the record and nothing else."""

import httpx
import pytest

from recsys.settings import load_settings
from recsys.store import KeyStore
from recsys.workspace import Workspace
from tests.benchmarks.sides import Case, service

UNRECORDED = "tests.benchmarks.unrecorded_service"


@pytest.fixture
def case(make_workspace):
    """A café with a key."""
    workspace = make_workspace()
    key, _ = KeyStore(workspace.database()).create("bench", ["recommend"])
    return Case(workspace.directory, key, ("ann",))


def asked(case, module):
    """Status and offers of one answer of a service."""
    with service(case, module=module) as side, httpx.Client(base_url=f"http://127.0.0.1:{side.port}") as http:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {case.key}"}
        answer = http.post("/v1/recommendations", content=case.bodies[0], headers=headers, timeout=60)
    return answer.status_code, answer.json().get("offers")


def test_without_a_record_the_answer_is_the_same(case):
    """What is timed with a record and without is the same work; only one of them leaves a decision."""
    answers, kept, workspace = [], [], Workspace.open(load_settings(workspace=case.directory))
    for module in (UNRECORDED, "serving"):
        answers.append(asked(case, module))
        kept.append(workspace.decisions().count())
    assert (answers[0][0], answers[0] == answers[1], kept) == (200, True, [0, 1])


def test_without_a_record_a_key_is_asked_for_all_the_same(case):
    """The key is part of what both do."""
    assert asked(case._replace(key="unknown"), UNRECORDED)[0] == 401
