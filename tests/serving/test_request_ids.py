"""The id in an answer's header is in every line that was logged for it, and in no other."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import structlog

from recsys.errors import StoreUnavailable
from recsys.logs import adopt_logs, configure_logs
from serving.http.app import create_app
from serving.http.local import answering
from tests.serving.test_prompt import SCORES, asked, exchange
from tests.serving.test_state import wait_for
from tests.serving.two_tenants import make_tenants, serving_both

LOG = structlog.get_logger("barista.test")
DECISION = "/v1/decisions/d1"


@pytest.fixture
def told(capsys: pytest.CaptureFixture) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The log lines so far as a program reads them; other tests keep their own set-up of the logs."""
    before, text = structlog.get_config(), []
    configure_logs("info", json=True)

    def lines() -> list[dict[str, Any]]:
        text.append(capsys.readouterr().err)
        return [json.loads(line) for line in "".join(text).splitlines() if line.startswith("{")]

    yield lines
    structlog.configure(**before)


@pytest.fixture
def app(service, told):
    """The application of a service, which says so where it answers: scores in the event loop, decisions in a thread."""
    made = create_app(service.state)
    parts = made.state.service
    for name in ("scored", "decision", "models", "report"):
        setattr(parts, name, saying(getattr(parts, name)))
    return made


def saying(answer: Callable[..., Any]) -> Callable[..., Any]:
    """The same, with a line of ours and one of a library."""

    def said(*arguments: Any, **options: Any) -> Any:
        LOG.info("inside", place=threading.current_thread().name)
        logging.getLogger("some.library").warning("inside")
        return answer(*arguments, **options)

    return said


def of(lines: list[dict[str, Any]], *events: str) -> list[Any]:
    """Ids in the lines of these events."""
    return [line.get("request_id") for line in lines if line["event"] in events]


def failing(*_: Any, **__: Any) -> Any:
    """A database that is not there."""
    raise StoreUnavailable("The database does not answer")


def full(_records: Any) -> None:
    """A disk without space."""
    raise OSError("no space")


@pytest.mark.parametrize("given", [{}, {"X-Request-Id": "mine"}])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", SCORES), ("GET", "/v1/models"), ("GET", DECISION), ("POST", "/v1/events")]
)
def test_every_line_of_a_request_has_the_id_of_its_answer(app, told, purchase, method, path, given):
    """In its turn, by the long way and in a thread; lines of libraries too."""
    adopt_logs("some.library")
    with answering(app) as address:
        body = {"json": {"events": [purchase()]}} if method == "POST" else {}
        answer = httpx.request(method, address + path, headers=given, **body)
        assert wait_for(lambda: of(told(), "request"))
    assert of(told(), "request", "inside", "library") == [answer.headers["x-request-id"]] * 3


def test_a_lost_database_is_told_with_the_request_that_found_it(app, told, purchase, monkeypatch):
    """Written in a thread of the request; that it was found again is nobody's."""
    monkeypatch.setattr("serving.http.service.keep", failing)
    with answering(app) as address:
        answer = httpx.post(f"{address}/v1/events", json={"events": [purchase()]})
        assert wait_for(lambda: of(told(), "database found"))
    lines = told()
    assert (answer.status_code, of(lines, "database lost"), of(lines, "database found")) == (
        503,
        [answer.headers["x-request-id"]],
        [None],
    )


def test_a_decision_that_is_lost_is_told_with_its_request(app, told, monkeypatch):
    """The thread that keeps decisions keeps those of several requests, so it tells the ids of all of them."""
    recorder = app.state.service.recorder
    monkeypatch.setattr(recorder, "_store", failing)
    monkeypatch.setattr(recorder._journal, "append", full)
    with answering(app) as address:
        answer = httpx.post(f"{address}/v1/recommendations", json={"customer_id": "ann"})
    ids = [answer.headers["x-request-id"]]
    found = {
        line["event"]: line.get("request_ids")
        for line in told()
        if line["event"] in {"database lost", "decisions lost"}
    }
    assert (answer.json()["recorded"], found) == (False, {"database lost": ids, "decisions lost": ids})


def test_a_line_of_no_request_has_none(app, told):
    """Rounds of the event loop that give turns to requests of one connection, each asked for by the one before."""
    give = app.state.gate._give_turns

    def round_of(loop: Any) -> bool:
        LOG.info("round")
        woken = give(loop)
        LOG.info("round")
        return bool(woken)

    app.state.gate._give_turns = round_of
    with answering(app) as address:
        sent = [asked(path, f"r{k}") for k, path in enumerate(("/v1/models", SCORES, DECISION, SCORES, SCORES))]
        exchange(address, b"".join([*sent, asked("/health/live", "r5", "Connection: close\r\n")]))
        LOG.info("outside")
    lines = told()
    assert (set(of(lines, "round", "outside")), of(lines, "inside")) == ({None}, [f"r{k}" for k in range(5)])


def test_requests_at_once_do_not_mix(app, told):
    """Thirty-two callers, some answered in their turn and some in threads: each id in its own lines, and as often."""
    paths = [SCORES, DECISION, "/v1/models", SCORES] * 16
    with answering(app) as address, ThreadPoolExecutor(8) as pool, httpx.Client(base_url=address) as http:
        list(
            pool.map(lambda k: http.get(paths[k], headers={"X-Request-Id": f"{paths[k][4:8]}-{k}"}), range(len(paths)))
        )
        assert wait_for(lambda: len(of(told(), "request")) == len(paths))
    lines = told()
    own = sorted(f"{path[4:8]}-{k}" for k, path in enumerate(paths))
    assert (sorted(of(lines, "inside")), sorted(of(lines, "request"))) == (own, own)


def test_a_line_names_the_tenant_of_its_own_request(told, tmp_path):
    """Requests of two tenants and of nobody, sent ahead on one connection: none is taken for one of the one before."""
    callers = ["north", None, "south", "north", None]
    with serving_both(make_tenants(tmp_path / "tenants")) as both:
        keys = [f"Authorization: Bearer {both.keys[name]}\r\n" if name else "" for name in callers]
        keys[-1] += "Connection: close\r\n"
        paths = ["/v1/models" if name else "/health/live" for name in callers]
        exchange(both.address, b"".join(asked(path, f"r{k}", keys[k]) for k, path in enumerate(paths)))
        assert wait_for(lambda: len(of(told(), "request")) == len(callers))
    tenants = {line["request_id"]: line.get("tenant") for line in told() if line["event"] == "request"}
    assert [tenants[f"r{k}"] for k in range(len(callers))] == callers
