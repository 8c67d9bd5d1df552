"""The service that the benchmark of decisions compares with leaves out the record and nothing else."""

import subprocess
import sys
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]


def asked(workspace, recorded):
    """Status and offers of one answer, and how many decisions the store holds afterwards."""
    command = [sys.executable, "-m", "tests.benchmarks.recorded_service", str(workspace.directory), recorded]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        address = next(line.strip() for line in process.stdout if line.startswith("http"))
        answer = httpx.post(f"{address}/v1/recommendations", json={"customer_id": "ann"}, timeout=60)
        process.communicate("")
    return answer.status_code, answer.json().get("offers"), workspace.decisions().count()


def test_without_a_record_the_answer_is_the_same(make_workspace):
    """What is timed with a record and without is the same work."""
    status, offers, kept = asked(make_workspace(), "no")
    assert (status, kept) == (200, 0)
    assert asked(make_workspace(), "yes") == (200, offers, 1)
