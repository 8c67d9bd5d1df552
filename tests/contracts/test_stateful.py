"""Requests that follow each other over HTTP, as the links of the document lead, and laws of what they do."""

import itertools
import shutil

import httpx
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.generation.modes import GenerationMode

from recsys.settings import Settings
from recsys.workspace import Workspace
from serving.http.local import serve_locally
from tests.contracts.malformed import small_state
from tests.contracts.test_openapi import CHECKS

FEW = settings(
    max_examples=12,
    stateful_step_count=5,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
MORE = settings(FEW, derandomize=False)
ROUNDS = 5
"""How often the links are followed at most; which are taken depends on the ids that are answered, too."""
MANY = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
LINKED = {
    "offers and events": ("recommend", "decision", "report", "scores", "export", "customer"),
    "found customers": ("find_customers", "scores", "erase"),
}
"""Operations that are followed together: those that lead to others, and those they lead to."""

MAY_MISS = {"customer"}
"""Nobody knows whether a random customer is known."""
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The directory of a workspace with two hundred customers."""
    place = tmp_path_factory.mktemp("template") / "workspace"
    small_state(place)
    return place


def client_of(place):
    """A service over a directory, and its client."""
    return serve_locally(Workspace.open(Settings(workspace=place, clock="snapshot", refresh_seconds=600)))


@pytest.fixture(scope="module")
def client(template, tmp_path_factory):
    """A service over HTTP whose state goes on from test to test."""
    place = shutil.copytree(template, tmp_path_factory.mktemp("stateful") / "workspace")
    with client_of(place) as local, httpx.Client(base_url=local.address, timeout=60) as http:
        yield http


@pytest.fixture
def forgetful(template, tmp_path):
    """Where a service of the test's own answers: erased customers are missed by other tests."""
    with client_of(shutil.copytree(template, tmp_path / "workspace")) as local:
        yield local.address


@pytest.mark.parametrize("group", LINKED)
def test_sequences_of_requests_are_answered_as_documented(forgetful, group):
    """An offer's decision, a reported event's scores, a found customer's erasure: whatever came before."""
    schema = schemathesis.openapi.from_url(f"{forgetful}/openapi.json").include(operation_id=[*LINKED[group]])
    schema.config.generation.update(modes=[GenerationMode.POSITIVE])
    visited, found = set(), set()

    class Machine(schema.as_state_machine()):  # type: ignore[misc]
        """Follows the links."""

        def validate_response(self, response, case, additional_checks=None, **more):
            """Every answer fits the document; which operations were reached is noted, erasures of those found."""
            name = case.operation.definition.raw["operationId"]
            if name == "find_customers" and response.status_code == 200:
                found.update(each["customer_id"] for each in response.json()["customers"])
            if name != "erase" or case.path_parameters["customer_id"] in found:
                visited.add((name, response.status_code))
            case.validate_response(response, checks=CHECKS)

    wanted = {(name, 200) for name in LINKED[group] if name not in MAY_MISS}
    for number in range(ROUNDS):
        if not wanted <= visited:
            Machine.run(settings=MORE if number else FEW)
    assert wanted <= visited


LINES = st.lists(
    st.fixed_dictionaries(
        {"product_id": st.sampled_from(["p000", "p003", "tea"]), "amount": st.sampled_from([0.5, 2, 7.25])}
    ),
    min_size=1,
    max_size=3,
)
EVENTS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["purchase", "purchase", "view"]),
        "lines": LINES,
        "occurred_at": st.sampled_from(
            ["2024-02-01T10:00:00+00:00", "2024-05-05T12:30:00+02:00", "2024-09-09T09:09:09Z"]
        ),
    }
)


def named(event, customer):
    """An event nobody has reported before, of a customer."""
    number = next(NUMBERS)
    return event | {"event_id": f"law-{number}", "order_id": f"law-{number}", "customer_id": customer}


def report(client, *events, key=None):
    """The answer to events reported together."""
    headers = {"Idempotency-Key": key} if key else {}
    return client.post("/v1/events", json={"events": list(events)}, headers=headers)


def told(client, customer):
    """What the service says of a customer: scores and facts, without the customer's name."""
    answers = [client.get(f"/v1/customers/{customer}{path}") for path in ("/scores?reasons=true", "")]
    return [{**answer.json(), "customer_id": "", "instance": ""} for answer in answers]


@given(event=EVENTS, known=st.booleans())
@MANY
def test_a_reported_purchase_counts_in_the_next_answer(client, event, known):
    """Orders and spend grow by exactly what was reported; what is no purchase changes nothing."""
    customer = "c0011" if known else f"new-{next(NUMBERS)}"
    before = client.get(f"/v1/customers/{customer}").json()
    assert report(client, named(event, customer)).status_code == 200
    after = client.get(f"/v1/customers/{customer}").json()
    bought = event["type"] == "purchase"
    paid = sum(line["amount"] for line in event["lines"]) if bought else 0
    grown = (after.get("orders", 0) - before.get("orders", 0), after.get("spend", 0) - before.get("spend", 0))
    assert grown == (bought, pytest.approx(paid))


INSTANTS = st.sampled_from(["2024-02-01T10:00:00Z", "2024-02-01T10:00:01Z", "2024-12-30T21:22:35Z"])


@given(instants=st.lists(INSTANTS, min_size=1, max_size=4), line=LINES)
@MANY
def test_orders_at_the_same_instant_are_answered_with_numbers(client, instants, line):
    """Gaps of no time, before and at the answer's own instant, leave no number of an answer empty."""
    customer = f"same-{next(NUMBERS)}"
    event = {"type": "purchase", "lines": line}
    report(client, *(named(event | {"occurred_at": at}, customer) for at in instants))
    document = client.get("/openapi.json").json()
    offers = client.post("/v1/recommendations", json={"customer_id": customer, "reasons": True}).json()
    scores = client.get(f"/v1/customers/{customer}/scores?reasons=true").json()
    faults = [
        fault
        for name, body in (("OffersBody", offers), ("ScoresBody", scores))
        for fault in misfits(document, name, body)
    ]
    assert faults == []


def misfits(document, name, body):
    """What of a body does not fit its schema."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return [
        f"{error.json_path} {error.message}"[:200]
        for error in jsonschema.Draft202012Validator(schema).iter_errors(body)
    ]


@given(event=EVENTS)
@MANY
def test_a_write_sent_twice_is_done_once(client, event):
    """With a key the answer is the first one's, byte for byte; without, the event is told to be a repetition."""
    customer, key = f"twice-{next(NUMBERS)}", f"key-{next(NUMBERS)}"
    sent = named(event, customer)
    first, second = report(client, sent, key=key), report(client, sent, key=key)
    once = told(client, customer)
    third = report(client, sent)
    assert (second.content, second.headers["idempotency-replayed"]) == (first.content, "true")
    assert (third.json()["repeated"], told(client, customer)) == (1, once)


@given(events=st.lists(EVENTS, min_size=2, max_size=4), data=st.data(), together=st.booleans())
@MANY
def test_the_sequence_of_independent_events_changes_nothing(client, events, data, together):
    """Two customers told the same events, one in another sequence, are the same to the last bit."""
    here, there = (f"order-{next(NUMBERS)}" for _ in range(2))
    distinct = list({event["occurred_at"]: event for event in events}.values())
    for customer, chosen in ((here, distinct), (there, data.draw(st.permutations(distinct)))):
        batches = [[named(event, customer) for event in chosen]]
        for batch in batches if together else [[event] for event in batches[0]]:
            assert report(client, *batch).status_code == 200
    assert told(client, here) == told(client, there)


@given(events=st.lists(EVENTS, min_size=1, max_size=3))
@MANY
def test_who_was_erased_is_as_one_never_known(client, events):
    """After an erasure every answer is that of a stranger."""
    customer, stranger = (f"gone-{next(NUMBERS)}" for _ in range(2))
    report(client, *(named(event, customer) for event in events))
    assert client.delete(f"/v1/customers/{customer}").status_code == 200
    assert told(client, customer) == told(client, stranger)
