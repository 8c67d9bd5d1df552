"""The service under load from a generator in another process: peak, latency below it, five times as much as it can."""

import threading
import time
from typing import Any, Self

import httpx
import numpy as np

from tests.benchmarks.load import Asked, Seen, load
from tests.benchmarks.measure import figure
from tests.benchmarks.sides import Case, Side

OFFERS = "/v1/recommendations"
TIMES = 5
"""How many times the peak is too much."""

SPARE = 1.05
"""So much more is due: what the generator has no connection for is not sent, and `TIMES` the peak is to be sent."""

CONNECTIONS, MOST_CONNECTIONS = 2_000, 4_000
"""Open from the start, and at most; fewer come at once than may wait to be accepted."""

PEAK_SECONDS, STEADY_SECONDS, OVERLOAD_SECONDS = 4.0, 10.0, 6.0
RECOVERED_MS = 100.0
"""An answer within this time counts as that of a service that has recovered [ms]."""

REFUSED = {"200", "429", "503"}


def under_load(case: Case, side: Side, command: str) -> list[dict[str, Any]]:
    """Peak of recommendations, p99 at half and at 70% of it, answers at five times it, and the time to heal."""
    peak = peak_of(case, side)
    half, most = (_steady(case, side, peak * share) for share in (0.5, 0.7))
    return [
        figure("recommendations a second at peak, one worker, 16 connections", peak, "/s", command),
        figure("POST /v1/recommendations at 50% of peak, open loop, p50", _at(half, 0.5), "ms", command),
        figure("the same, p99", _at(half, 0.99), "ms", command, at_most=25),
        figure("POST /v1/recommendations at 70% of peak, open loop, p50", _at(most, 0.5), "ms", command),
        figure("the same, p99", _at(most, 0.99), "ms", command),
        *overloaded(case, side, peak, command),
    ]


def peak_of(case: Case, side: Side) -> float:
    """Requests a second of 16 connections that ask as fast as they are answered."""
    seen = load(Asked(side.port, PEAK_SECONDS, [OFFERS], case.bodies, case.key, 16))
    return len(seen.times) / seen.seconds


def _steady(case: Case, side: Side, rate: float) -> Seen:
    seen = load(Asked(side.port, STEADY_SECONDS, [OFFERS], case.bodies, case.key, 16, rate))
    if set(seen.statuses) != {"200"}:
        raise RuntimeError(f"at {rate:.0f} requests a second: {seen.statuses}")
    return seen


def _at(seen: Seen, share: float) -> float:
    return float(np.quantile(seen.times, share))


def overloaded(case: Case, side: Side, peak: float, command: str) -> list[dict[str, Any]]:
    """What becomes of `TIMES` the `peak` of requests [/s], how the others fare, and how soon it is over."""
    rate, health = SPARE * TIMES * peak, Health(case, side)
    with health:
        most = CONNECTIONS, rate, MOST_CONNECTIONS
        asked = Asked(side.port, OVERLOAD_SECONDS, [OFFERS], case.bodies, case.key, *most)
        seen = load(asked)
    healed = _healed(case, side)
    answered = np.array([time for time, code in zip(seen.times, seen.codes, strict=True) if code == 200])
    refused = sum(count for status, count in seen.statuses.items() if status in REFUSED - {"200"})
    strange = sum(count for status, count in seen.statuses.items() if status not in REFUSED) + seen.unanswered
    name, late = "five times the peak", float(np.quantile(seen.late, 0.99))
    sent = len(seen.late) / seen.seconds / peak
    return [
        figure(f"{name}: sent, in times the peak", sent, "times", command, at_least=TIMES),
        figure(f"{name}: never sent, too many of the generator's connections wait", seen.unsent, "", command),
        figure(f"{name}: p99 of the generator's own delay, part of the times below", late, "ms", command),
        figure(f"{name}: answered 200", len(answered) / seen.seconds, "/s", command),
        figure(f"{name}: p50 of these", float(np.quantile(answered, 0.5)), "ms", command),
        figure(f"{name}: p99 of these", float(np.quantile(answered, 0.99)), "ms", command),
        figure(f"{name}: refused by 503 or 429", refused / seen.seconds, "/s", command),
        figure(f"{name}: neither answered nor refused", strange, f"of {len(seen.late)}", command, at_most=0),
        figure(f"{name}: refused without Retry-After", seen.no_retry_after, "", command, at_most=0),
        figure(f"{name}: health and metrics, not answered", health.failed, f"of {health.asked}", command, at_most=0),
        figure(f"{name}: health and metrics, slowest", health.slowest * 1000, "ms", command),
        figure(f"{name}: until answers take less than {RECOVERED_MS:g} ms again", healed, "s", command, at_most=5),
    ]


class Health:
    """Within the block `/health/ready` and `/metrics` are asked in turn, ten times a second."""

    def __init__(self, case: Case, side: Side) -> None:
        self._address, self._headers = f"http://127.0.0.1:{side.port}", {"Authorization": f"Bearer {case.key}"}
        self._end, self._thread = threading.Event(), threading.Thread(target=self._ask)
        self.asked = self.failed = 0
        self.slowest = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._address, headers=self._headers, timeout=10) as http:
            while not self._end.wait(0.1):
                begun, self.asked = time.perf_counter(), self.asked + 1
                try:
                    self.failed += http.get(("/health/ready", "/metrics")[self.asked % 2]).status_code != 200
                except httpx.HTTPError:
                    self.failed += 1
                self.slowest = max(self.slowest, time.perf_counter() - begun)


def _healed(case: Case, side: Side) -> float:
    """Seconds until ten answers in a row come in time."""
    start, good, headers = time.perf_counter(), 0, {"Authorization": f"Bearer {case.key}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{side.port}", headers=headers, timeout=30) as http:
        while good < 10:
            begun = time.perf_counter()
            status = http.post(OFFERS, content=case.bodies[0], headers={"Content-Type": "application/json"}).status_code
            in_time = status == 200 and (time.perf_counter() - begun) * 1000 <= RECOVERED_MS
            good = good + 1 if in_time else 0
    return time.perf_counter() - start
