"""Observations handed over together are those observed one by one."""

import time

import httpx
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from serving.http import tallies
from serving.http.app import create_app
from serving.http.local import answering
from serving.http.metrics import Metrics
from serving.http.tallies import Tally

BOUNDS = (0.25, 0.5, 1.0)
VALUES = (0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0, 1.5, 0.25)  # exact in binary: their sum has no rounding


def registered():
    """A registry with a histogram and a counter."""
    registry = CollectorRegistry()
    return registry, Histogram("seconds", "s", buckets=BOUNDS, registry=registry), Counter("n", "n", registry=registry)


def lines(registry):
    """The exposition but for instants."""
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


def test_together_is_one_by_one():
    """Buckets, bounds among them, sum and count are those of the client's own `observe`; it pins what we use of it."""
    registry, histogram, counter = registered()
    tally = Tally(histogram, counter)
    for value in VALUES:
        tally.observe(value)
    tally.hand_over()
    expected, theirs, count = registered()
    for value in VALUES:
        theirs.observe(value)
        count.inc()
    assert lines(registry) == lines(expected)


def test_handed_over_once():
    """Handing over again adds nothing."""
    registry, histogram, counter = registered()
    tally = Tally(histogram, counter)
    tally.observe(0.5)
    tally.hand_over()
    before = lines(registry)
    tally.hand_over()
    assert lines(registry) == before


def test_not_more_than_so_many_wait(monkeypatch):
    """Where nobody asks for them they are handed over when there are many."""
    monkeypatch.setattr(tallies, "MOST", 3)
    _, histogram, counter = registered()
    tally = Tally(histogram, counter)
    for value in VALUES[:4]:
        tally.observe(value)
    assert counter._value.get() == 3.0


def test_handed_over_while_idle(make_workspace, serve):
    """A service that looks for changes once an hour, and that nobody asks for metrics, lets its count be seen."""
    state, metrics = serve(make_workspace(refresh_seconds=3600)).state, Metrics()
    with answering(create_app(state, metrics)) as address:
        httpx.get(address + "/v1/models")
        end, counted = time.monotonic() + 10, ""
        while not counted.endswith(" 1.0") and time.monotonic() < end:
            time.sleep(0.1)
            counted = next((line for line in lines(metrics.registry) if line.startswith("barista_requests_total{")), "")
    assert counted.rpartition(" ")[2] == "1.0"


def test_remembered_orders_are_counted(service, purchase):
    """Needed three times, with looks beside or not, after they were read once; a stranger needs none."""
    service.report(purchase())
    for customer in ("ann", "ann", "nobody"):
        service.scores(customer)
    service.offers()
    told = service.http.get("/metrics").text
    counted = {result: f'barista_remembered_orders_total{{result="{result}"}}' for result in ("hit", "miss")}
    found = {line.partition(" ")[0]: line.partition(" ")[2] for line in told.splitlines()}
    kept = float(found["barista_remembered_bytes"]) > 1_000
    assert ({each: found[name] for each, name in counted.items()}, kept) == ({"hit": "2.0", "miss": "1.0"}, True)
