"""Every error is one kind of body: problem+json with what happened, what was found and expected, and a cure."""

import gzip
import http.client
import json
import socket
import time
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

import recsys.errors
from recsys.errors import BaristaError, StoreError
from serving.http.problems import KIND_OF_ERROR, STATUS, of_error

JSON = {"content-type": "application/json"}
VIEW = {"event_id": "e", "type": "view", "customer_id": "ann"}
CASES = {
    "no such path": (404, "GET", "/v2/nothing", {}),
    "an unknown customer": (404, "GET", "/v1/customers/nobody", {}),
    "another method": (405, "DELETE", "/v1/models", {}),
    "too large a body": (413, "POST", "/v1/events", {"content": b" " * (1 << 20) + b"{}", "headers": JSON}),
    "a body that is no JSON": (400, "POST", "/v1/events", {"content": b"{", "headers": JSON}),
    "an empty body": (400, "POST", "/v1/events", {"content": b"", "headers": JSON}),
    "bytes that are no UTF-8": (
        400,
        "POST",
        "/v1/events",
        {"content": b'{"events": [{"event_id": "\xff"}]}', "headers": JSON},
    ),
    "a body without a type": (415, "POST", "/v1/events", {"content": b"{}"}),
    "another type": (415, "POST", "/v1/events", {"content": b"{}", "headers": {"content-type": "text/plain"}}),
    "deep nesting": (422, "POST", "/v1/events", {"content": b"[" * 90_000 + b"]" * 90_000, "headers": JSON}),
    "an unknown key": (422, "POST", "/v1/recommendations", {"json": {"customer_id": "ann", "colour": "red"}}),
    "an unknown key within": (422, "POST", "/v1/recommendations", {"json": {"customer_id": "a", "context": {"x": 1}}}),
    "a missing key": (422, "POST", "/v1/recommendations", {"json": {"n": 3}}),
    "a wrong type": (422, "POST", "/v1/recommendations", {"json": {"customer_id": 7}}),
    "too many wanted": (422, "POST", "/v1/recommendations", {"json": {"customer_id": "ann", "n": 101}}),
    "an unknown mode": (422, "POST", "/v1/recommendations", {"json": {"customer_id": "ann", "mode": "best"}}),
    "no look-back": (
        422,
        "POST",
        "/v1/recommendations",
        {"json": {"customer_id": "a", "novelty": {"look_back_days": 0}}},
    ),
    "a control character": (422, "POST", "/v1/recommendations", {"json": {"customer_id": "a\u0000"}}),
    "a control character in the path": (422, "GET", "/v1/customers/a%00b", {}),
    "a number beyond numbers": (
        422,
        "POST",
        "/v1/recommendations",
        {"content": b'{"customer_id": "a", "basket": [{"product_id": "tea", "quantity": 1e999}]}', "headers": JSON},
    ),
    "an instant after the last that has a name": (
        422,
        "POST",
        "/v1/events",
        {"json": {"events": [VIEW | {"occurred_at": "9999-12-31T23:59:59-14:00"}]}},
    ),
    "an unknown query key": (422, "GET", "/v1/models?verbose=1", {}),
    "a query key given twice": (422, "GET", "/v1/customers/ann/scores?reasons=true&reasons=false", {}),
    "a query value of another type": (422, "GET", "/v1/customers?limit=many", {}),
}


def assert_problem(answer, status):
    """The one shape of all errors."""
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, body["status"]) == (status, status)
    assert body["type"].startswith("urn:barista:problem:")
    assert body["detail"]
    assert body["title"]
    assert body["instance"].endswith(answer.headers["x-request-id"])


@pytest.mark.parametrize("case", CASES)
def test_every_error_is_a_problem(shared, case):
    """All error paths answer in the same shape with their status."""
    status, method, path, more = CASES[case]
    assert_problem(shared.http.request(method, path, **more), status)


def test_a_compressed_body_is_no_type_we_take(shared):
    """RFC 9110, section 15.5.16: 415, with the encodings that are taken in Accept-Encoding."""
    headers = JSON | {"content-encoding": "gzip"}
    answer = shared.http.post("/v1/events", content=gzip.compress(b'{"events": []}'), headers=headers)
    assert_problem(answer, 415)
    assert answer.headers["accept-encoding"] == "identity"


POST = b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"
WIRE = {
    "noise": b"\x00\xff\x16\x03\x01 canary\r\n\r\n",
    "no version": b"GET /v1/models\r\ncanary\r\n\r\n",
    "a space in the path": b"GET /v1/customers/canary 4711/ HTTP/1.1 x\r\nHost: 127.0.0.1\r\n\r\n",
    "a length that is none": POST + b"Content-Length: canary\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}canary",
    "length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /canary",
    "a chunk that is none": POST + b"Transfer-Encoding: chunked\r\n\r\ncanary\r\n",
}


@pytest.mark.parametrize("case", WIRE)
def test_what_is_no_http_gets_a_problem_too(shared, case):
    """Bytes that no request can be made of: 400, the one shape, security headers, nothing repeated, and closed."""
    with socket.create_connection((shared.http.base_url.host, shared.http.base_url.port), timeout=20) as connection:
        connection.sendall(WIRE[case])
        connection.shutdown(socket.SHUT_WR)
        told = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = told.partition(b"\r\n\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
    problem = json.loads(body)
    assert (head.split()[1], problem["status"], headers["content-type"]) == (b"400", 400, "application/problem+json")
    assert (headers["x-content-type-options"], problem["instance"][-32:]) == ("nosniff", headers["x-request-id"])
    assert (problem["type"], b"canary" in told) == ("urn:barista:problem:malformed-request", False)


def exchange(shared, sent):
    """All that is answered on one connection to bytes sent at once."""
    with socket.create_connection((shared.http.base_url.host, shared.http.base_url.port), timeout=20) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.parametrize("name", ["Host", "Authorization", "Content-Type", "Idempotency-Key"])
def test_what_may_come_once_comes_once(shared, name):
    """Two readers could each take another one of two (RFC 9110, section 5.3; RFC 9112, section 3.2)."""
    host = b"" if name == "Host" else b"Host: 127.0.0.1\r\n"
    told = exchange(shared, b"GET /v1/models HTTP/1.1\r\n" + host + f"{name}: 127.0.0.1\r\n".encode() * 2 + b"\r\n")
    problem = json.loads(told.partition(b"\r\n\r\n")[2])
    assert (told[:12], problem["detail"]) == (b"HTTP/1.1 400", f"The header {name} is given twice.")


@pytest.mark.parametrize(("version", "status"), [("1.1", b"400"), ("1.0", b"200")])
def test_a_request_names_its_host(shared, version, status):
    """HTTP/1.1 asks for it (RFC 9112, section 3.2), 1.0 does not."""
    told = exchange(shared, f"GET /health/live HTTP/{version}\r\nConnection: close\r\n\r\n".encode())
    assert told.split()[1] == status


@pytest.mark.parametrize("before", ["/v1/customers/ann/scores", "/v1/models"])
@pytest.mark.parametrize("broken", [*WIRE, "no host"])
def test_requests_before_a_broken_one_are_answered(shared, before, broken):
    """Answers come in the sequence of the requests (RFC 9112, section 9.3.2): the 400 is the last one."""
    asked = f"GET {before} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    told = exchange(shared, asked * 2 + WIRE.get(broken, b"GET /v1/models HTTP/1.1\r\n\r\n"))
    statuses = [line.split()[1] for line in told.splitlines() if b"HTTP/1.1 " in line[:9] or b"}HTTP/1.1 " in line]
    assert (told.count(b"HTTP/1.1 200"), told.count(b"HTTP/1.1 400"), statuses[:1]) == (2, 1, [b"200"])
    assert told.rindex(b"HTTP/1.1 200") < told.index(b"HTTP/1.1 400")


def test_a_body_of_unknown_length_is_measured(shared):
    """A chunked body is cut off at the limit too."""
    answer = shared.http.post("/v1/events", content=iter([b" " * 65_536] * 20), headers=JSON)
    assert_problem(answer, 413)


def test_a_method_not_allowed_names_those_that_are(shared):
    """405 carries Allow."""
    assert set(shared.http.delete("/v1/models").headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_a_fault_has_its_place_and_what_was_expected(shared):
    """A wrong value is located by JSON pointer, with the type found and the one expected."""
    body = {"customer_id": "ann", "basket": [{"product_id": "tea", "quantity": "two"}]}
    error = shared.http.post("/v1/recommendations", json=body).json()["errors"][0]
    expected = {"pointer": "/basket/0/quantity", "found": "a text of 3 characters", "expected": "`float`"}
    assert {name: error[name] for name in expected} == expected


LINE = {"product_id": "tea"}
EVENT = {"event_id": "e", "type": "purchase", "customer_id": "ann"}
UNKNOWN = {
    "in an event": (
        {"events": [EVENT | {"lines": [LINE], "till": "3"}]},
        "/events/0/till",
        "one of event_id, type, customer_id, lines, occurred_at, decision_id, order_id, store_id, channel",
    ),
    "in a line of an event": (
        {"events": [EVENT | {"lines": [LINE | {"sku": "7"}]}]},
        "/events/0/lines/0/sku",
        "one of product_id, quantity, amount, discount",
    ),
    "at the top": ({"customer": "ann"}, "/customer", "one of customer_id, n, mode, exclude, basket, context, reasons"),
    "in a list": (
        {"customer_id": "ann", "basket": [LINE, LINE | {"price": 1}]},
        "/basket/1/price",
        "one of product_id, quantity, amount, discount",
    ),
    "in an object": ({"customer_id": "ann", "context": {"shop": "n"}}, "/context/shop", "one of store_id, groups"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_an_unknown_key_is_answered_with_the_known_ones(shared, case):
    """Place, the key found, all keys that are known there, and where to read more."""
    body, pointer, expected = UNKNOWN[case]
    answer = shared.http.post("/v1/events" if "events" in body else "/v1/recommendations", json=body).json()
    error = answer["errors"][0]
    assert (error["pointer"], error["found"]) == (pointer, f"the key {pointer.split('/')[-1]!r}")
    assert error["expected"].startswith(expected)
    assert "openapi.json" in answer["cure"]


def test_a_misspelt_key_is_answered_with_the_likely_one(shared):
    """What was probably meant is named first."""
    answer = shared.http.get("/v1/customers?serach=a").json()
    assert answer["errors"][0]["detail"] == "Unknown key 'serach', perhaps 'search' was meant."


@pytest.mark.parametrize(("key", "repeated"), [("canary47", "canary47"), ("canary-4711@example.org", "canary-4…")])
def test_of_an_unknown_key_the_beginning_is_repeated(shared, key, repeated):
    """Eight characters find it; an address that was sent as a key is not answered with itself."""
    body = shared.http.post("/v1/recommendations", json={"customer_id": "a", "context": {key: 1}})
    query = shared.http.get("/v1/customers", params={key: "1"})
    faults = [each.json()["errors"][0] for each in (body, query)]
    said = f"Unknown key '{repeated}'."
    assert [(each["detail"], each["found"]) for each in faults] == [(said, f"the key '{repeated}'")] * 2
    assert [each["pointer"] for each in faults] == [f"/context/{repeated}", f"/{repeated}"]
    assert len(key) <= 8 or key[:9] not in body.text + query.text


def test_where_no_key_is_known_it_says_so(shared):
    """A path without a query takes no key."""
    assert shared.http.get("/v1/models?verbose=1").json()["errors"][0]["expected"] == "no key"


@pytest.mark.parametrize(("size", "status"), [(1 << 20, 400), ((1 << 20) + 1, 413)])
def test_a_body_may_be_just_as_large_as_the_limit(shared, size, status):
    """A body of the limit is read (and is no JSON), one byte more is not."""
    assert_problem(shared.http.post("/v1/events", content=b" " * size, headers=JSON), status)


@pytest.mark.parametrize(("depth", "said"), [(32, "Expected"), (33, "nested too deep")])
def test_lists_may_nest_just_as_deep_as_the_limit(shared, depth, said):
    """Thirty-two lists within each other are read (and are no events), one more is told to be too deep."""
    answer = shared.http.post("/v1/events", content=b"[" * depth + b"]" * depth, headers=JSON)
    assert_problem(answer, 422)
    assert said in answer.json()["detail"]


def test_values_sent_are_never_repeated(shared):
    """What may be personal stays out of error bodies."""
    canary = "canary-4711@example.org"
    bodies = [{"customer_id": [canary]}, {"customer_id": "a", "mode": canary}, {"events": [{"event_id": canary}]}]
    texts = [
        shared.http.post(f"/v1/{path}", json=body).text for path in ("recommendations", "events") for body in bodies
    ]
    texts.append(shared.http.get(f"/v1/customers/{canary}").text)
    assert not any(canary in text for text in texts)


def test_an_unforeseen_error_leaves_nothing_of_itself(shared, monkeypatch):
    """A defect answers 500 without its message; the request id leads to the log."""
    secret = "row of ann"
    monkeypatch.setattr(type(shared.state), "current", lambda self: 1 / 0 if secret else None)
    answer = shared.http.get("/v1/models")
    assert_problem(answer, 500)
    assert "division" not in answer.text


def test_an_error_of_the_library_that_no_caller_can_mend_is_in_the_log(shared, monkeypatch):
    """The line with the answer's request id says what was wrong; what was found, a row perhaps, is nowhere."""

    def refused(_state):
        raise StoreError("The database refused: DataError", found="row of ann")

    monkeypatch.setattr(type(shared.state), "current", refused)
    with capture_logs() as lines:
        answer = shared.http.get("/v1/models")
    told = [(line["request_id"], line["reason"]) for line in lines if line["event"] == "failed"]
    assert told == [(answer.headers["x-request-id"], "The database refused: DataError")]
    assert "row of ann" not in f"{lines} {answer.text}"


def replace_by_directory(file):
    """A directory in the place of a file that others may make anew at any moment."""
    while not file.is_dir():
        file.unlink(missing_ok=True)
        with suppress(FileExistsError):
            file.mkdir()


def test_the_database_away_is_503_with_retry_after(service):
    """A database that can't be reached answers 503 and when to come back."""
    service.workspace.events().close()
    replace_by_directory(service.workspace.directory / "barista.db")
    for ending in ("-wal", "-shm"):
        (service.workspace.directory / f"barista.db{ending}").unlink(missing_ok=True)
    answer = service.report({"event_id": "e", "type": "view", "customer_id": "ann"})
    assert_problem(answer, 503)
    assert answer.headers["retry-after"]


@pytest.mark.parametrize("kind", [e for e in vars(recsys.errors).values() if isinstance(e, type)])
def test_every_error_of_the_library_has_a_status(kind):
    """Each branch of the error tree is mapped, subclasses by their nearest ancestor."""
    mapped = kind is BaristaError or any(base in KIND_OF_ERROR for base in kind.__mro__)
    assert mapped
    assert of_error(kind("it broke", found="ann@example.org")).kind in STATUS


def test_a_found_text_of_a_library_error_is_described(shared):
    """The library's messages may hold ids; the answer says only what kind of value it was."""
    problem = of_error(recsys.errors.RequestRefused("Unknown mode", found="ann@example.org"))
    assert problem.found == "a text of 15 characters"


def test_a_given_request_id_comes_back(shared):
    """The caller's request id is the answer's."""
    answer = shared.http.get("/health/live", headers={"X-Request-Id": "till-3.42"})
    assert answer.headers["x-request-id"] == "till-3.42"


def test_an_odd_request_id_is_replaced(shared):
    """An id that could break a log line is not taken over."""
    answer = shared.http.get("/health/live", headers={"X-Request-Id": "a b{}"})
    assert answer.headers["x-request-id"] != "a b{}"


def test_floats_survive_json_to_the_last_bit(shared):
    """Reading a written float gives the same bits, so files and answers can be compared exactly."""
    connection = http.client.HTTPConnection(shared.http.base_url.netloc.decode())
    connection.request("GET", "/v1/customers/ann/scores")
    told = json.loads(connection.getresponse().read())
    loaded = shared.state.current()
    known = loaded.answers.score("ann", (), loaded.snapshot.as_of, reasons=False)
    assert told["value"]["expected_spend"].hex() == known.value.expected_spend.hex()


def test_a_body_that_ends_early_is_no_failure_of_the_service(service):
    """A client that hangs up half way leaves a 400 in the metrics, not a 500."""
    host, port = service.http.base_url.host, service.http.base_url.port
    headers = [f"Host: {host}", "Content-Type: application/json", "Content-Length: 90"]
    with socket.create_connection((host, port)) as connection:
        connection.sendall("\r\n".join(["POST /v1/events HTTP/1.1", *headers, "", "{"]).encode())
    end, counted = time.monotonic() + 20, ""
    while 'route="/v1/events"' not in counted and time.monotonic() < end:
        counted = service.http.get("/metrics").text
    assert 'method="POST",route="/v1/events",status="400"} 1.0' in counted
