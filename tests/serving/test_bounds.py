"""What one connection may take: heads without end, requests ahead of answers, callers that stop half-way."""

import json
import socket
import threading
import time

import httpx
import pytest
from structlog.testing import capture_logs

from serving.http import bounds
from serving.http.bounds import HEAD, OneAtATime
from serving.http.local import serve_locally

POST = b"POST /v1/recommendations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
GET = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HEADS = {
    "one header without end": b"GET /v1/models HTTP/1.1\r\nX-A: " + b"a" * 2_000_000,
    "headers without end": b"GET /v1/models HTTP/1.1\r\n" + b"X-A: a\r\n" * 250_000,
}
HALVES = {
    "half a head": POST,
    "half a body": POST + b'Content-Length: 500\r\n\r\n{"cust',
    "half a chunk": POST + b'Transfer-Encoding: chunked\r\n\r\n500\r\n{"cust',
}


@pytest.fixture
def impatient(monkeypatch):
    """Connections are given up after a fifth of a second."""
    monkeypatch.setattr(bounds, "TIMEOUT", 0.2)


def connected(service) -> socket.socket:
    """A connection of its own."""
    return socket.create_connection((service.http.base_url.host, service.http.base_url.port), timeout=20)


def told_until_closed(connection: socket.socket) -> bytes:
    """What comes back before the service closes the connection."""
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def send_on(connection: socket.socket, data: bytes) -> None:
    """Send until all is sent or the other side has enough."""
    for at in range(0, len(data), 10_000):
        try:
            connection.sendall(data[at : at + 10_000])
        except OSError:
            return
        time.sleep(0.0002)


@pytest.mark.parametrize("case", HEADS)
def test_a_head_without_end_is_refused(shared, case):
    """After 64 KiB the answer is 431, a problem with security headers, and the connection is closed."""
    with connected(shared) as connection:
        sender = threading.Thread(target=send_on, args=(connection, HEADS[case]))
        sender.start()
        head, _, rest = connection.recv(65_536).partition(b"\r\n\r\n")
        sender.join()
    problem = json.loads(rest)
    assert (head.split()[1], problem["type"]) == (b"431", "urn:barista:problem:head-too-large")
    assert b"x-content-type-options: nosniff" in head.lower()


def test_a_large_head_within_the_bound_is_read(shared):
    """A head of nearly 64 KiB in many pieces is answered."""
    with connected(shared) as connection:
        send_on(connection, GET[:-2] + b"X-A: a\r\n" * ((HEAD - 10_000) // 8) + b"Connection: close\r\n\r\n")
        assert told_until_closed(connection).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("case", HALVES)
def test_a_request_that_stops_half_way_is_given_up(make_workspace, serve, impatient, case):
    """What does not arrive in time is answered 408 and closed."""
    with connected(serve(make_workspace())) as connection:
        connection.sendall(HALVES[case][:20])
        connection.sendall(HALVES[case][20:])
        told = told_until_closed(connection)
    problem = json.loads(told.partition(b"\r\n\r\n")[2])
    assert (told.split()[1], problem["type"]) == (b"408", "urn:barista:problem:too-slow")


def test_a_connection_that_says_nothing_is_closed(make_workspace, serve, impatient):
    """Nothing was asked, so nothing is answered."""
    with connected(serve(make_workspace())) as connection:
        assert told_until_closed(connection) == b""


def test_requests_that_stop_half_way_leave_their_places(make_workspace, serve, impatient):
    """Callers that lost their network keep others out no longer than the patience."""
    service = serve(make_workspace(most_requests=3))
    halves = [connected(service) for _ in range(3)]
    for each in halves:
        each.sendall(HALVES["half a body"])
    for each in halves:
        told_until_closed(each)
        each.close()
    assert service.offers()["recorded"] is True


def test_a_caller_that_never_reads_is_cut_off(make_workspace, impatient):
    """Answers that nobody takes end the connection, whatever waits behind them, and nothing fails inside."""
    with capture_logs() as lines, serve_locally(make_workspace()) as local:
        address = httpx.URL(local.address)
        with socket.create_connection((address.host, address.port), timeout=5) as connection:
            cut = None
            while cut is None:
                try:
                    connection.sendall(GET * 1_000)
                except OSError as error:
                    cut = error
    failed = [line for line in lines if line["event"] == "failed"]
    assert (type(cut) in (BrokenPipeError, ConnectionResetError), failed) == (True, [])


def test_requests_sent_ahead_are_answered_in_turn(shared):
    """Two thousand requests in one go get two thousand answers on one connection."""
    with connected(shared) as connection:
        sender = threading.Thread(
            target=connection.sendall, args=(GET * 1_999 + GET[:-2] + b"Connection: close\r\n\r\n",)
        )
        sender.start()
        told = told_until_closed(connection)
        sender.join()
    assert told.count(b"HTTP/1.1 200 OK\r\n") == 2_000


class Reading:
    """A transport that notes whether it reads."""

    reads = True

    def pause_reading(self) -> None:
        """Read no more."""
        self.reads = False

    def resume_reading(self) -> None:
        """Read on."""
        self.reads = True


def test_nothing_is_read_while_requests_wait():
    """Reading goes on when the last waiting request has its turn, not with each answer before it."""
    transport, waiting = Reading(), ["second", "third"]
    flow = OneAtATime(transport, waiting)
    flow.pause_reading()
    read = []
    while waiting:
        flow.resume_reading()
        read.append(transport.reads)
        waiting.pop()
    flow.resume_reading()
    assert (read, transport.reads) == ([False, False], True)
