"""A hundred thousand malformed requests, in blocks that are not sent again for the same program; `make faults` only."""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from schemathesis.generation.modes import GenerationMode

from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from tests.contracts import malformed
from tests.contracts.test_openapi import CHECKS, HERE, NAMES, TAKING
from tests.faults.minutes import ROOT, digest_of

COMMAND = "make faults FAULTS='-k malformed'"
BLOCK, BLOCKS = 5_000, 20
"""Spoilt requests by number; those that schemathesis makes against the document come on top."""

ASKED = 100_000
EXAMPLES = 500
PHASES = (Phase.explicit, Phase.generate)
KEPT = ROOT / "build" / "faults" / "malformed"


@pytest.mark.timeout(6_000)
def test_a_hundred_thousand_malformed_requests(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Byte and value mutations, and what schemathesis makes against the document; beside them what it makes of it."""
    malformed_ones = [_kept(f"mutated-{n}", lambda n=n: _mutated(tmp_path / str(n), n)) for n in range(BLOCKS)]
    malformed_ones += [_made(tmp_path, name, GenerationMode.NEGATIVE) for name in TAKING]
    proper_ones = [_made(tmp_path, name, GenerationMode.POSITIVE) for name in NAMES]
    record_property("seconds before", sum(each["seconds before"] for each in [*malformed_ones, *proper_ones]))
    print(*[fault for each in [*malformed_ones, *proper_ones] for fault in each["faults"]][:50], sep="\n")
    figures = figures_of(Sum.of(malformed_ones), Sum.of(proper_ones))
    write_figures("faults_malformed", figures)
    assert [each["name"] for each in figures if each["holds"] is False] == []


class Sum(NamedTuple):
    """What became of the requests of some blocks: how many, refused, answered by 5xx, not as documented."""

    sent: int
    refused: int
    unforeseen: int
    faults: int

    @classmethod
    def of(cls, blocks: Sequence[dict[str, Any]]) -> Self:
        """The sum of these blocks."""
        statuses = sum((Counter(each["statuses"]) for each in blocks), Counter[str]())
        refused, unforeseen = (sum(n for status, n in statuses.items() if int(status) >= at) for at in (400, 500))
        return cls(statuses.total(), refused, unforeseen, sum(len(each["faults"]) for each in blocks))


def figures_of(malformed_ones: Sum, proper_ones: Sum) -> list[dict[str, Any]]:
    """What was seen beside what is asked; only what is malformed counts as such."""
    found, name = malformed_ones, "malformed requests"
    beside, said = "proper requests beside them", f"of {proper_ones.sent}"
    return [
        figure(f"{name} sent", found.sent, "", COMMAND, at_least=ASKED),
        figure(f"{name}: refused", found.refused / found.sent, "of them", COMMAND),
        figure(f"{name}: answers of 5xx", found.unforeseen, "", COMMAND, at_most=0),
        figure(f"{name}: answers that are not as documented", found.faults, "", COMMAND, at_most=0),
        figure(f"{beside}: answers of 5xx", proper_ones.unforeseen, said, COMMAND, at_most=0),
        figure(f"{beside}: answers that are not as documented", proper_ones.faults, said, COMMAND, at_most=0),
    ]


def _mutated(place: Path, number: int) -> dict[str, Any]:
    return malformed.block(place, range(number * BLOCK, (number + 1) * BLOCK), keyed=number % 2 == 1)


def _made(place: Path, name: str, mode: GenerationMode) -> dict[str, Any]:
    return _kept(f"{name}-{mode.value}", lambda: _generated(place / "generated", name, mode))


def _generated(place: Path, name: str, mode: GenerationMode) -> dict[str, Any]:
    """Requests to one operation made by schemathesis, judged by its own checks."""
    app = malformed.patient_app(malformed.small_state(place))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operation = next(
        each.ok() for each in schema.get_all_operations() if each.ok().definition.raw["operationId"] == name
    )
    statuses: Counter[int] = Counter()
    faults: list[str] = []

    @seeded(4711)
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=PHASES
    )
    def sent(case: Any) -> None:
        answer = case.call(headers=HERE)
        statuses[answer.status_code] += 1
        try:
            case.validate_response(answer, checks=CHECKS)
        except Exception as error:  # schemathesis raises groups of its own
            faults.append(f"{name}: {str(error)[:300]}")

    sent()
    return {"sent": sum(statuses.values()), "statuses": statuses, "faults": faults}


def _kept(name: str, made: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A block's result, from the last time if neither the service nor its attackers have changed since."""
    path = KEPT / digest_of(Path(__file__)) / f"{name}.json"
    before, begun = path.exists(), time.monotonic()
    if not before:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(made() | {"seconds": time.monotonic() - begun}))
    found: dict[str, Any] = json.loads(path.read_text())
    return found | {"seconds before": found["seconds"] if before else 0.0}
