"""An answer in one piece is the answer in two: same status, same headers, same bytes, and a connection that goes on."""

import gc

import httpx
import pytest
from starlette.testclient import TestClient
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from serving.http.app import create_app
from serving.http.local import answering
from serving.http.whole import WHOLE

CHANGING = {"date", "x-request-id"}
SCORES = "/v1/customers/ann/scores"


@pytest.fixture(name="app")
def app_fixture(service):
    """The application of a café."""
    return create_app(service.state)


class Apart:
    """The application behind a server that writes only ASGI's own messages."""

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        """Answer one request."""
        scope.pop(WHOLE, None)
        await self._app(scope, receive, send)


def answer(app, **headers):
    """Status, headers but for those that change, and body of scores."""
    with answering(app) as address:
        found = httpx.get(address + SCORES, headers=headers)
    return found.status_code, [(k, v) for k, v in found.headers.multi_items() if k not in CHANGING], found.content


def test_an_answer_in_one_piece_is_the_one_in_two(app):
    """No header is lost, added or moved."""
    assert answer(app) == answer(Apart(app))


def test_a_connection_goes_on_after_an_answer_in_one_piece(app):
    """Five answers come over one connection."""
    with answering(app) as address, httpx.Client(base_url=address) as http:
        network = [http.get(SCORES).extensions["network_stream"] for _ in range(5)]
    assert len(set(map(id, network))) == 1


@pytest.fixture(name="collected")
def collected_fixture():
    """The collector of cycles is off."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("collected")
def test_what_was_answered_is_forgotten_without_the_collector(app):
    """After ten requests the connection knows the last one alone; a cycle would keep the others and what they sent."""

    def known() -> int:
        return sum(type(each) is RequestResponseCycle for each in gc.get_objects())

    before = known()
    with answering(app) as address, httpx.Client(base_url=address) as http:
        for _ in range(10):
            http.post("/v1/recommendations", json={"customer_id": "ann"}).raise_for_status()
        assert known() - before == 1


def test_who_closes_is_answered_and_let_go(app):
    """`Connection: close` is kept to."""
    status, headers, _ = answer(app, connection="close")
    assert (status, dict(headers).get("connection")) == (200, "close")


def test_a_given_request_id_comes_back_in_one_piece(app):
    """The caller's own id is in the answer."""
    with answering(app) as address:
        found = httpx.get(address + SCORES, headers={"X-Request-Id": "mine-1"})
    assert found.headers["x-request-id"] == "mine-1"


def test_another_server_gets_the_two_messages(app):
    """Starlette's own client knows no answers in one piece."""
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get(SCORES).json()["customer_id"] == "ann"
