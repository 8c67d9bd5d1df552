"""Services whose spans a test reads: kept in memory, or sent to a collector of the test's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from serving.answers import open_answers
from serving.http.app import create_app
from serving.http.local import answering
from serving.http.spans import Spans
from serving.http.state import State
from serving.http.traced import Told


class Noted(Spans):
    """Spans that let a test wait until so many requests were told: they are told after their answers left."""

    def __init__(self, exporter: SpanExporter, share: float = 1.0) -> None:
        super().__init__(exporter, share, lambda _why, _count: None)
        self._told, self._one_more = 0, Condition()

    def tell(self, told: Told) -> None:
        """Tell a request, then note it."""
        super().tell(told)
        with self._one_more:
            self._told += 1
            self._one_more.notify_all()

    def wait_for(self, count: int) -> None:
        """Until `count` requests were told."""
        with self._one_more:
            assert self._one_more.wait_for(lambda: self._told >= count, 20)


@dataclass
class Traced:
    """A traced service: a client of it, and what became of its spans."""

    http: httpx.Client
    state: State
    spans: Noted
    memory: InMemorySpanExporter
    sent: list[httpx.Request]

    def told(self) -> list[ReadableSpan]:
        """All spans of what was asked so far, in the sequence they began."""
        self.spans.wait_for(len(self.sent))
        self.spans.flush()
        return sorted(self.memory.get_finished_spans(), key=lambda span: span.start_time)

    def requests(self) -> list[ReadableSpan]:
        """The spans of whole requests."""
        return [span for span in self.told() if " " in span.name]

    def children(self, parent: ReadableSpan) -> list[ReadableSpan]:
        """Spans right under `parent`."""
        return [span for span in self.told() if span.parent and span.parent.span_id == parent.context.span_id]


@contextmanager
def traced(workspace) -> Iterator[Traced]:
    """A service that keeps the spans of all requests in memory, for the block."""
    memory, sent = InMemorySpanExporter(), []
    spans = Noted(memory)
    state = State(workspace, open_answers)
    state.begin()
    app = create_app(state, tracing=spans)
    hooks = {"request": [sent.append]}
    with answering(app) as address, httpx.Client(base_url=address, timeout=60, event_hooks=hooks) as http:
        yield Traced(http, state, spans, memory, sent)
    spans.stop()


@dataclass
class Collector:
    """What was sent to a collector."""

    address: str
    paths: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def told(self) -> list[tuple[int, str]]:
        """Process and name of every span."""
        found = []
        for body in self.bodies:
            for each in ExportTraceServiceRequest.FromString(body).resource_spans:
                (pid,) = (it.value.int_value for it in each.resource.attributes if it.key == "process.pid")
                found += [(pid, span.name) for scope in each.scope_spans for span in scope.spans]
        return found


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port of this machine, for the block."""

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self):
            collector.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            collector.paths.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_said):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Taking) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield collector
        server.shutdown()
        thread.join()
