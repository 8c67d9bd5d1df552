"""Traces: what they say, whose they are, and that nothing waits for them or fails by them."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from threading import Event

import httpx
import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from recsys.errors import SettingsError
from recsys.settings import Settings
from recsys.store import KeyStore
from serving.http.app import create_app
from serving.http.local import answering
from serving.http.metrics import Metrics
from serving.http.spans import Spans
from serving.http.tenants import open_tenants, tenants_app
from serving.http.traced import Told
from serving.http.tracing import open_tracing
from tests.serving.collecting import Noted, collecting, traced
from tests.serving.test_processes import CLIENT, children, serving
from tests.serving.two_tenants import make_tenants

ASKED = {"json": {"customer_id": "ann"}}
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"  # the example of W3C Trace Context


def said(route: str = "/health/live", status: int = 200, **headers: str) -> Told:
    """An answered request that took three seconds."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Told(route, "GET", status, 5.0, 8.0, raw, {"request_id": "r1"})


def silent(_why: str, _count: int) -> None:
    """Counts no lost spans."""


@pytest.fixture
def cafe_traced(make_workspace: Callable):
    """The café with every request traced."""
    with traced(make_workspace()) as service:
        yield service


def test_a_recommendation_has_its_stages_under_it_in_order(cafe_traced):
    """The request's span holds one for each stage of a recommendation, one after the other and none outside it."""
    assert cafe_traced.http.post("/v1/recommendations", **ASKED).status_code == 200
    (parent,) = cafe_traced.requests()
    stages = cafe_traced.children(parent)
    ends = [each for stage in stages for each in (stage.start_time, stage.end_time)]
    within = [parent.start_time, *ends, parent.end_time]
    assert [each.name for each in stages] == ["state", "policy", "candidates", "ranking", "log"]
    assert within == sorted(within)
    assert sum(each.end_time - each.start_time for each in stages) <= parent.end_time - parent.start_time


def test_scores_have_their_stages_under_them(cafe_traced):
    """The request's span of scores holds the stages of scores."""
    cafe_traced.http.get("/v1/customers/ann/scores")
    assert [each.name for each in cafe_traced.children(cafe_traced.requests()[0])] == ["state", "scoring"]


def test_a_span_names_route_outcome_request_and_what_was_answered_from(cafe_traced):
    """Name, kind and attributes are these and no others."""
    answer = cafe_traced.http.post("/v1/recommendations", **ASKED, headers={"X-Request-Id": "till-7"}).json()
    (span,) = cafe_traced.requests()
    assert (span.name, span.kind) == ("POST /v1/recommendations", SpanKind.SERVER)
    assert dict(span.attributes) == {
        "http.request.method": "POST",
        "http.route": "/v1/recommendations",
        "http.response.status_code": 200,
        "barista.request_id": "till-7",
        "barista.snapshot_id": answer["snapshot_id"],
        "barista.model_version.offers": answer["model_version"],
    }


def test_an_unknown_path_is_told_as_other(cafe_traced):
    """A path that no route knows may hold anything, so it is not told."""
    cafe_traced.http.get("/v1/nothing/ann")
    assert [(each.name, each.attributes["http.response.status_code"]) for each in cafe_traced.requests()] == [
        ("GET other", 404)
    ]


@pytest.mark.parametrize(
    ("status", "code"), [(200, StatusCode.UNSET), (404, StatusCode.UNSET), (503, StatusCode.ERROR)]
)
def test_failures_of_the_service_are_errors_and_those_of_the_caller_are_not(status, code):
    """OpenTelemetry's conventions for servers: only 5xx marks the span."""
    memory = InMemorySpanExporter()
    spans = Spans(memory, 1.0, silent)
    spans.tell(said(status=status))
    spans.stop()
    assert [span.status.status_code for span in memory.get_finished_spans()] == [code]


def test_the_callers_trace_is_continued(cafe_traced):
    """A `traceparent` gives the trace and the span above ours; what else the caller says of it is left."""
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "shop=ann", "baggage": "customer=ann"}
    cafe_traced.http.post("/v1/recommendations", **ASKED, headers=headers)
    (span,) = cafe_traced.requests()
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, SPAN)
    assert dict(span.context.trace_state) == {}


@pytest.mark.parametrize(
    "sent",
    [[], [f"00-{'0' * 32}-{SPAN}-01"], ["ann"], [f"00-{TRACE}-{SPAN}-01"] * 2, [f"ff-{TRACE}-{SPAN}-01"]],
    ids=["none", "zeros", "no trace", "two", "version ff"],
)
def test_a_trace_that_is_none_begins_a_new_one(cafe_traced, sent):
    """Nothing, and what the standard calls invalid, is no caller's trace."""
    answer = cafe_traced.http.get("/health/live", headers=[("traceparent", each) for each in sent])
    (span,) = cafe_traced.requests()
    assert (answer.status_code, span.parent, f"{span.context.trace_id:032x}" == TRACE) == (200, None, False)


@pytest.mark.parametrize(("flags", "share", "told"), [("00", 1.0, 0), ("01", 0.0, 1)])
def test_the_caller_decides_about_its_own_trace(flags, share, told):
    """Whether a caller's trace is recorded is its own decision, whatever our share."""
    memory = InMemorySpanExporter()
    spans = Spans(memory, share, silent)
    spans.tell(said(traceparent=f"00-{TRACE}-{SPAN}-{flags}"))
    spans.stop()
    assert len(memory.get_finished_spans()) == told


def test_a_share_of_the_requests_is_traced():
    """Of 2000 requests a quarter is traced, within five standard deviations of the binomial (97)."""
    memory = InMemorySpanExporter()
    spans = Spans(memory, 0.25, silent)
    for _ in range(2000):
        spans.tell(said())
    spans.stop()
    assert abs(len(memory.get_finished_spans()) - 500) <= 97


def test_off_nothing_that_makes_or_sends_spans_is_imported(make_workspace):
    """Without a collector a service opens and answers without any of it; OpenTelemetry's API FastAPI loads itself."""
    code = f"""
import httpx, json, sys
from recsys.settings import load_settings
from serving.http.local import answering
from serving.http.metrics import Metrics
from serving.http.running import Running
running = Running.open(load_settings(workspace={str(make_workspace().directory)!r}, clock="snapshot"))
with answering(running._app(Metrics(), None)) as address:
    status = httpx.post(address + "/v1/recommendations", json={{"customer_id": "ann"}}).status_code
ours = "opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto", "requests", "serving.http.spans"
print(json.dumps([status, [name for name in sys.modules if name.startswith(ours)]]))
"""
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(text.splitlines()[-1]) == [200, []]


def test_off_is_the_default():
    """Without the setting there is nothing to tell."""
    assert open_tracing(Settings(), Metrics()) is None


def test_without_the_packages_the_extra_is_named(make_workspace):
    """A collector that is set and packages that are not installed: one line that says what to install."""
    code = """
import sys
sys.modules["opentelemetry.exporter"] = None
from serving.__main__ import main
raise SystemExit(main(sys.argv[1:]))
"""
    command = [sys.executable, "-c", code, "--workspace", str(make_workspace().directory), "--port", "0"]
    environment = {"BARISTA_OTLP_ENDPOINT": "http://127.0.0.1:9", "PYTHONPATH": ":".join(sys.path)}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert (ended.returncode, len(ended.stderr.splitlines()), "barista[otel]" in ended.stderr) == (1, 1, True)


@pytest.mark.parametrize("endpoint", ["collector:4318", "http://user:hush@collector:4318", "http://collector?key=hush"])
def test_an_address_that_is_none_or_holds_a_password_is_refused(monkeypatch, endpoint):
    """Keys of a collector belong in OTEL_EXPORTER_OTLP_HEADERS, not in an address."""
    from recsys.settings import load_settings

    monkeypatch.setenv("BARISTA_OTLP_ENDPOINT", endpoint)
    with pytest.raises(SettingsError, match="BARISTA_OTLP_ENDPOINT"):
        load_settings()


def test_a_collector_that_is_down_fails_no_request_and_is_counted(make_workspace):
    """Nobody listens there: every request is answered, the process ends in order, lost spans are counted and said."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    environment = {"BARISTA_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "BARISTA_TRACE_SHARE": "1"}
    with serving(make_workspace(), "--log-level", "warning", **environment) as (process, address):
        statuses = [CLIENT.post(f"{address}/v1/recommendations", **ASKED).status_code for _ in range(20)]
        while 'barista_spans_lost_total{why="refused"}' not in CLIENT.get(f"{address}/metrics").text:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        log = process.communicate(timeout=20)[1]
    lines = [json.loads(line) for line in log.splitlines()]
    assert (statuses, process.returncode) == ([200] * 20, 0)
    assert [line["event"] for line in lines].count("collector takes no spans") == 1


class Stuck(SpanExporter):
    """A collector that takes a batch and says nothing until it is let go."""

    def __init__(self) -> None:
        self.has, self.free = Event(), Event()

    def export(self, _spans):
        """Take a batch and wait."""
        self.has.set()
        self.free.wait(30)
        return SpanExportResult.SUCCESS


def test_behind_a_slow_collector_a_bounded_number_waits_and_the_rest_is_counted(make_workspace):
    """One batch is out and hangs; of 20 spans more 8 wait, 12 are lost and counted, and all requests are answered."""
    stuck, lost = Stuck(), []
    spans = Spans(stuck, 1.0, lambda why, count: lost.extend([why] * count), most=8)
    with traced(make_workspace()) as service, answering(create_app(service.state, tracing=spans)) as address:
        assert httpx.get(f"{address}/health/live").status_code == 200
        assert stuck.has.wait(20)
        statuses = [httpx.get(f"{address}/health/live").status_code for _ in range(20)]
    found = [*lost]
    stuck.free.set()
    spans.stop()
    assert (statuses, found) == ([200] * 20, ["full"] * 12)


def test_what_goes_wrong_in_a_trace_stays_there():
    """A request that can't be told raises nothing, and is counted."""
    lost = []
    spans = Spans(InMemorySpanExporter(), 1.0, lambda why, count: lost.append((why, count)))
    spans.tell(said()._replace(state={}))
    spans.stop()
    assert lost == [("failed", 1)]


def test_every_worker_sends_its_own_spans(make_workspace):
    """Of two workers each tells its own requests to `/v1/traces`; when they end nothing is left unsent."""
    with collecting() as collector:
        environment = {"BARISTA_OTLP_ENDPOINT": f"{collector.address}/", "BARISTA_TRACE_SHARE": "1"}
        with serving(make_workspace(), "--workers", "2", **environment) as (process, address):
            for _ in range(40):
                CLIENT.get(f"{address}/health/live")
            workers = set(children(process.pid))
            process.send_signal(signal.SIGTERM)
            process.wait(20)
        told = collector.told()
    assert [name for _, name in told] == ["GET /health/live"] * 40
    assert ({pid for pid, _ in told} <= workers, set(collector.paths)) == (True, {"/v1/traces"})


def test_a_tenants_spans_name_the_tenant_and_others_none(tmp_path):
    """Each tenant's requests bear its name; those of nobody bear none."""
    operator, memory = make_tenants(tmp_path / "tenants"), InMemorySpanExporter()
    states, spans = open_tenants(operator), Noted(memory)
    keys = {name: KeyStore(each.workspace.database()).create("all", ["admin"])[0] for name, each in states.items()}
    with answering(tenants_app(operator, states, tracing=spans)) as address:
        for name in ("north", "south"):
            httpx.get(f"{address}/v1/models", headers={"Authorization": f"Bearer {keys[name]}"})
        httpx.get(f"{address}/health/live")
        spans.wait_for(3)
    spans.stop()
    found = [span.attributes.get("barista.tenant") for span in memory.get_finished_spans()]
    assert found == ["north", "south", None]
