"""A write repeated under one `Idempotency-Key` is done once and answered alike."""

from threading import Event as Signal
from threading import Thread

import pytest

from recsys.errors import StoreUnavailable
from recsys.store import AnswerStore, Database
from recsys.store.idempotency import KEPT, LEASE, Kept
from serving.http.service import Service
from tests.docs.http_parts import known_operations
from tests.serving.conftest import purchase
from tests.serving.late import answered_again, too_late

ONE = {"Idempotency-Key": "one"}


WRITES = [operation for operation in known_operations() if operation.writes]
BODIES = {
    "report": ({"events": [purchase("w1")]}, {"events": [purchase("w2")]}),
    "recommend": ({"customer_id": "ann"}, {"customer_id": "bob"}),
    "erase": (None, None),
}
"""Two different requests for each write; an erasure has no body, its other request is another customer's."""


@pytest.fixture
def answers(database_address):
    """Kept answers on each kind of database."""
    return AnswerStore(Database.open(database_address))


def test_a_repeated_write_gets_the_answer_it_had(service, purchase):
    """The second time nothing is done; status, body and type are those of the first."""
    first, second = (service.http.post("/v1/events", json={"events": [purchase()]}, headers=ONE) for _ in range(2))
    assert (second.content, second.headers["content-type"]) == (first.content, first.headers["content-type"])
    assert (first.headers.get("idempotency-replayed"), second.headers["idempotency-replayed"]) == (None, "true")
    assert first.json()["accepted"] == 1


def test_every_write_is_in_the_table():
    """A new write route must say what a request and another one are."""
    assert {operation.name for operation in WRITES} == set(BODIES)


def send(service, operation, other=False):
    """The answer to a write under the key, with the first or the other request."""
    path = operation.template.replace("{customer_id}", "bob" if other else "ann")
    return service.http.request(operation.method, path, json=BODIES[operation.name][other], headers=ONE)


@pytest.mark.parametrize("operation", WRITES, ids=lambda each: each.name)
def test_every_write_is_replayed_and_refuses_another_request(service, operation):
    """The same request gets the answer it had, byte for byte; another body or path under the key is 422."""
    first, second, other = send(service, operation), send(service, operation), send(service, operation, other=True)
    assert (first.status_code, second.status_code, second.content) == (200, 200, first.content)
    assert (second.headers["idempotency-replayed"], other.status_code) == ("true", 422)
    assert other.json()["type"] == "urn:barista:problem:key-reused"


@pytest.mark.parametrize("operation", WRITES, ids=lambda each: each.name)
def test_every_write_tells_the_second_to_wait_while_the_first_runs(service, operation, monkeypatch):
    """409 with Retry-After while another request holds the key; it ends and its answer is replayed."""
    begun, go, answers = Signal(), Signal(), []
    real = AnswerStore.finish

    def slow(self, *arguments):
        begun.set()
        go.wait(30)
        return real(self, *arguments)

    monkeypatch.setattr(AnswerStore, "finish", slow)
    thread = Thread(target=lambda: answers.append(send(service, operation)))
    thread.start()
    begun.wait(30)
    waiting = send(service, operation)
    go.set()
    thread.join()
    assert (waiting.status_code, waiting.headers["retry-after"], waiting.json()["type"]) == (
        409,
        "1",
        "urn:barista:problem:still-running",
    )
    assert send(service, operation).content == answers[0].content


def test_without_the_header_a_repetition_is_told_as_one(service, purchase):
    """What the header changes: without it the event is called repeated."""
    outcomes = [service.report(purchase()).json()["outcomes"][0]["outcome"] for _ in range(2)]
    assert outcomes == ["accepted", "repeated"]


@pytest.mark.parametrize("other", [{"json": {"events": []}}, {"params": {"x": "1"}}])
def test_another_request_under_the_key_is_refused(service, purchase, other):
    """Another body or query under a used key is 422."""
    request = {"json": {"events": [purchase()]}, "headers": ONE}
    service.http.post("/v1/events", **request)
    answer = service.http.post("/v1/events", **(request | other))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:barista:problem:key-reused")


def test_while_the_first_runs_the_second_is_told_to_wait(service, purchase, monkeypatch):
    """409 with Retry-After, and the first one's answer afterwards."""
    begun, go = Signal(), Signal()
    real = Service.report

    def slow(self, reports):
        begun.set()
        go.wait(30)
        return real(self, reports)

    monkeypatch.setattr(Service, "report", slow)
    request = {"json": {"events": [purchase()]}, "headers": ONE}
    answers = []
    thread = Thread(target=lambda: answers.append(service.http.post("/v1/events", **request)))
    thread.start()
    begun.wait(30)
    waiting = service.http.post("/v1/events", **request)
    go.set()
    thread.join()
    assert (waiting.status_code, waiting.headers["retry-after"]) == (409, "1")
    assert service.http.post("/v1/events", **request).content == answers[0].content


def test_a_refused_write_may_be_sent_again_corrected(service, purchase):
    """A 422 is not kept: nothing was done."""
    service.http.post("/v1/events", json={"events": []}, headers=ONE)
    answer = service.http.post("/v1/events", json={"events": [purchase()]}, headers=ONE)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "ü"])
def test_a_strange_key_is_refused(shared, key):
    """Keys are 1 to 255 visible ASCII characters."""
    headers = {"Idempotency-Key": key.encode()}
    answer = shared.http.post("/v1/recommendations", json={"customer_id": "ann"}, headers=headers)
    assert answer.status_code == 422


def test_recommendations_are_writes_too(service):
    """Each is recorded, so a repeated one is answered from what was kept."""
    answers = [service.http.post("/v1/recommendations", json={"customer_id": "ann"}, headers=ONE) for _ in range(2)]
    assert answers[0].content == answers[1].content


def test_the_key_of_another_caller_is_another_key(answers):
    """Callers never see each other's answers."""
    answers.begin("a", "one", "f")
    answers.finish("a", "one", Kept(200, "application/json", b"{}"))
    assert answers.begin("b", "one", "f").state == "run"


def test_a_kept_answer_is_dropped_after_its_time(answers):
    """A day later the key is free again, and purging leaves nothing."""
    answers.begin("a", "one", "f", now=1_000)
    answers.finish("a", "one", Kept(200, "application/json", b"{}"), ["ann"])
    kept = answers.begin("a", "one", "f", now=1_000 + KEPT - 1).kept
    assert (kept, answers.purge(now=1_000 + KEPT), answers.purge(now=1_000 + KEPT)) == (
        Kept(200, "application/json", b"{}"),
        1,
        0,
    )


def test_a_lost_request_gives_its_key_back(answers):
    """A worker that died holds a key no longer than its lease."""
    answers.begin("a", "one", "f", now=1_000)
    states = [answers.begin("a", "one", "f", now=at).state for at in (1_000 + LEASE - 1, 1_000 + LEASE)]
    assert states == ["running", "run"]


def test_a_clock_set_back_holds_no_key_for_hours(answers):
    """A claim that seems to begin five hours from now is a lost one; kept answers stay answers."""
    for key in ("lost", "done"):
        answers.begin("a", key, "f", now=100_000)
    answers.finish("a", "done", Kept(200, "application/json", b"{}"))
    states = [answers.begin("a", key, "f", now=100_000 - 5 * 3600).state for key in ("lost", "done")]
    assert states == ["run", "kept"]


def test_a_request_taken_for_lost_may_still_end(answers):
    """Both that ran under one key tell whom they were about; nothing breaks, the answer is the later one's."""
    answers.begin("a", "one", "f", now=1_000)
    answers.begin("a", "one", "f", now=1_000 + LEASE)
    for body in (b"1", b"2"):
        answers.finish("a", "one", Kept(200, "application/json", body), ["ann"])
    assert answers.begin("a", "one", "f", now=1_001 + LEASE).kept.body == b"2"


@pytest.mark.parametrize("step", ["forget", "finish"])
def test_a_key_the_store_could_not_take_back_is_free_when_it_is_there_again(service, purchase, monkeypatch, step):
    """The database went while a request with a key ran: its repetition runs instead of waiting for a dead one."""

    def away(*_arguments, **_named):
        raise StoreUnavailable("away")

    def ask():
        return service.http.post("/v1/events", json={"events": [purchase()]}, headers=ONE)

    with monkeypatch.context() as broken:
        broken.setattr(AnswerStore, step, away)
        if step == "forget":
            broken.setattr(Service, "report", away)
        first = ask()
    second = answered_again(ask)
    outcome = second.json()["outcomes"][0]["outcome"]
    expected = (503, 200, "accepted") if step == "forget" else (200, 200, "repeated")
    assert (first.status_code, second.status_code, outcome) == expected


def test_a_kept_answer_is_not_given_back(answers):
    """Whoever thinks its request failed, while another one ended it, takes nothing away."""
    answers.begin("a", "one", "f")
    answers.finish("a", "one", Kept(200, "application/json", b"{}"))
    answers.forget("a", "one")
    assert answers.begin("a", "one", "f").state == "kept"


def test_a_key_claimed_after_its_request_was_given_up_is_free(service, purchase, monkeypatch):
    """The claim was kept, too late for the answer: a repetition runs at once instead of waiting for nobody."""

    def ask():
        return service.http.post("/v1/events", json={"events": [purchase()]}, headers=ONE)

    with too_late(monkeypatch, AnswerStore, "begin"):
        first = ask()
    assert (first.status_code, answered_again(ask).status_code) == (503, 200)


def test_of_many_at_once_one_runs(answers):
    """Twenty claims of one key at the same moment: one is let through."""
    found = []
    threads = [Thread(target=lambda: found.append(answers.begin("a", "one", "f").state)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["run"] + ["running"] * 19


def test_an_error_on_the_way_gives_the_key_back(service, purchase, monkeypatch):
    """A defect answers 500 and the next try runs."""
    with monkeypatch.context() as broken:
        broken.setattr(Service, "report", lambda self, reports: 1 / 0)
        first = service.http.post("/v1/events", json={"events": [purchase()]}, headers=ONE)
    second = service.http.post("/v1/events", json={"events": [purchase()]}, headers=ONE)
    assert (first.status_code, second.status_code) == (500, 200)
