"""What the durable record of every decision costs: the service with and without it, 16 connections, taken in turns.

Both are asked with a key and answer by the enlarged champion, as for the figures of the service.
"""

from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from recsys.settings import load_settings
from recsys.workspace import Workspace
from tests.benchmarks.champion import enlarge_champion
from tests.benchmarks.load import Asked, load
from tests.benchmarks.measure import figure, speed_of_the_machine
from tests.benchmarks.service_load import OFFERS
from tests.benchmarks.sides import Case, Side, copied, service

COMMAND = "make bench BENCH=decisions"
CONNECTIONS = 16
SECONDS = 2.0
ROUNDS = 12


class Seen(NamedTuple):
    """What was seen of a side, round by round: CPU a request [ms], requests a second; times of all [ms]."""

    cpu: list[float]
    rate: list[float]
    times: list[float]


def run(workspace: Path) -> list[dict[str, Any]]:
    """Load both in turns and compare medians."""
    with copied(workspace) as case:
        enlarge_champion(case.directory)
        with service(case) as keeps, service(case, module="tests.benchmarks.unrecorded_service") as forgets:
            kept, free = _loaded(case, keeps, forgets)
        size = _record_bytes(case.directory)
    cpu = float(np.median(np.array(kept.cpu) / np.array(free.cpu)) - 1) * 100
    rate = float(1 - np.median(np.array(kept.rate) / np.array(free.rate))) * 100
    return [
        speed_of_the_machine(COMMAND),
        figure("CPU of a recorded decision over one that is not, 16 connections", cpu, "%", COMMAND, at_most=20),
        figure("requests a second it costs", rate, "%", COMMAND, at_most=20),
        figure("recorded decisions a second, one worker, the client on the same machine", _m(kept.rate), "/s", COMMAND),
        figure("CPU of a recorded decision", _m(kept.cpu), "ms", COMMAND),
        figure("time of a recorded answer, 16 connections at peak, p50", _m(kept.times), "ms", COMMAND),
        figure("the same, p99", float(np.quantile(kept.times, 0.99)), "ms", COMMAND),
        figure("the same without record, p50", _m(free.times), "ms", COMMAND),
        figure("the same without record, p99", float(np.quantile(free.times, 0.99)), "ms", COMMAND),
        figure("size of a record, median", size, "bytes", COMMAND),
    ]


def _m(values: list[float]) -> float:
    return float(np.median(values))


def _loaded(case: Case, *sides: Side) -> list[Seen]:
    """What is seen of each side while all are loaded in turns; the first round only warms up."""
    seen = [Seen([], [], []) for _ in sides]
    for number in range(ROUNDS + 1):
        for side, its in zip(sides, seen, strict=True):
            cpu, rate, times = _asked(case, side)
            if number:
                its.cpu.append(cpu)
                its.rate.append(rate)
                its.times.extend(times)
    return seen


def _asked(case: Case, side: Side) -> tuple[float, float, list[float]]:
    """CPU a request [ms], requests a second and times [ms] of a side that is asked as fast as it answers.

    Raises:
        RuntimeError: an answer was not 200.
    """
    before = side.cpu()
    found = load(Asked(side.port, SECONDS, [OFFERS], case.bodies, case.key, CONNECTIONS))
    if set(found.statuses) != {"200"}:
        raise RuntimeError(f"answers other than 200: {found.statuses}")
    return (side.cpu() - before) / len(found.times) * 1000, len(found.times) / found.seconds, found.times


def _record_bytes(workspace: Path) -> float:
    database = Workspace.open(load_settings(workspace=workspace)).database()
    rows = database.fetch("SELECT content FROM decisions LIMIT 1000", ())
    return float(np.median([len(msgspec.json.encode(row[0])) for row in rows]))
