"""A hundred thousand malformed requests, in blocks that are not sent again for the same program; `make faults` only."""

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
BLOCK, BLOCKS = 5_000, 19
EXAMPLES = 500
PHASES = (Phase.explicit, Phase.generate)
KEPT = ROOT / "build" / "faults" / "malformed"


@pytest.mark.timeout(6_000)
def test_a_hundred_thousand_malformed_requests(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Byte and value mutations, and requests that schemathesis makes from the document and against it."""
    found = [_kept(f"mutated-{n}", lambda n=n: _mutated(tmp_path / str(n), n)) for n in range(BLOCKS)]
    made = [
        (name, mode) for name in NAMES for mode in GenerationMode if mode is GenerationMode.POSITIVE or name in TAKING
    ]
    found += [
        _kept(f"{name}-{mode.value}", lambda name=name, mode=mode: _generated(tmp_path / "generated", name, mode))
        for name, mode in made
    ]
    record_property("seconds before", sum(each["seconds before"] for each in found))
    faults = [fault for each in found for fault in each["faults"]]
    print(*faults[:50], sep="\n")
    sent = sum(each["sent"] for each in found)
    statuses = sum((Counter(each["statuses"]) for each in found), Counter[str]())
    errors = sum(count for status, count in statuses.items() if int(status) >= 400)
    unforeseen = sum(count for status, count in statuses.items() if int(status) >= 500)
    figures = [
        figure("malformed requests sent", sent, "", COMMAND, at_least=100_000),
        figure("malformed requests: refused", errors / sent, "of them", COMMAND),
        figure("malformed requests: answers of 5xx", unforeseen, "", COMMAND, at_most=0),
        figure("malformed requests: answers that are not as documented", len(faults), "", COMMAND, at_most=0),
    ]
    write_figures("faults_malformed", figures)
    assert [each["name"] for each in figures if each["holds"] is False] == []


def _mutated(place: Path, number: int) -> dict[str, Any]:
    return malformed.block(place, range(number * BLOCK, (number + 1) * BLOCK), keyed=number % 2 == 1)


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
