"""Two tenants that call everything alike, asked 10,000 times at once: answers that hold anything of the other."""

import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from tests.postgres import running_postgres
from tests.serving.two_tenants import make_tenants, run, serving_both

COMMAND = "make faults FAULTS='-k tenants'"
REQUESTS = 10_000


@pytest.mark.timeout(1_800)
def test_no_answer_holds_anything_of_another_tenant() -> None:
    """0 leaks, with a SQLite file each and with a schema each on one Postgres."""
    figures = measured()
    write_figures("faults_tenants", figures)
    assert [figure["name"] for figure in figures if figure["holds"] is False] == []


def measured() -> list[dict[str, Any]]:
    """Leaks among the answers, by kind of database."""
    with running_postgres() as server, tempfile.TemporaryDirectory() as place:
        kinds = {"SQLite": {}, "Postgres": {"database_url": server.new_database("template0")}}
        return [_leaks(Path(place) / kind, kind, settings) for kind, settings in kinds.items()]


def _leaks(place: Path, kind: str, settings: dict[str, str]) -> dict[str, Any]:
    with serving_both(make_tenants(place, **settings)) as both:
        seen = run(both, REQUESTS)
    for leak in seen.leaks[:20]:
        print(leak)
    name = f"two tenants, {kind}: answers with anything of the other"
    return figure(name, len(seen.leaks), f"of {seen.answers}", COMMAND, at_most=0)
