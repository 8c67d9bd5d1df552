"""What the benchmark of the service refuses to time, as a twin with less to write, and what it sees mapped."""

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from starlette.testclient import TestClient

from serving.http.examples import EXAMPLES
from tests.benchmarks.bench_service import check_same, check_scores, fewest_ranked
from tests.benchmarks.sides import foreign
from tests.benchmarks.twins import empty


def asked_of_empty(tmp_path: Path, name: str) -> bytes:
    """What the empty endpoint answers when the service's answer was the documented example."""
    for each in ("recommend", "scores"):
        (tmp_path / each).write_bytes(example(each))
    client = TestClient(empty(tmp_path / "recommend", tmp_path / "scores"))
    answer = client.post("/v1/recommendations") if name == "recommend" else client.get("/v1/customers/1/scores")
    return answer.raise_for_status().content


def example(name: str) -> bytes:
    """The documented answer of an operation."""
    return msgspec.json.encode(EXAMPLES[name]["answer"])


@pytest.mark.parametrize("name", ["recommend", "scores"])
def test_the_empty_endpoint_drops_no_field(name: str, tmp_path: Path) -> None:
    """What goes into the empty endpoint comes out of it, field by field."""
    answer = asked_of_empty(tmp_path, name)
    assert msgspec.json.decode(answer) == msgspec.json.decode(example(name))


def test_an_empty_endpoint_that_drops_a_field_is_refused() -> None:
    """The benchmark does not run against an endpoint with less to write."""
    with pytest.raises(RuntimeError, match="other JSON"):
        check_same("scores.json", b'{"churn": 1, "value": 2}', b'{"churn": 1}')


def test_a_tree_kernel_that_scores_otherwise_is_not_timed() -> None:
    """One last bit is enough."""
    scores = np.array([0.25, -1.5])
    check_scores(scores, scores.copy())
    with pytest.raises(RuntimeError, match="1 of 2 scores"):
        check_scores(scores, np.array([np.nextafter(0.25, 1.0), -1.5]))


def test_answers_that_rank_fewer_candidates_are_not_timed() -> None:
    """Of all answers the one with the fewest counts."""
    assert fewest_ranked([{"candidates": 200}, {"candidates": 200}]) == 200
    with pytest.raises(RuntimeError, match="ranks 199 candidates"):
        fewest_ranked([{"candidates": 200}, {"candidates": 199}])


MAPS = """
import mmap
from importlib.util import find_spec
with open(find_spec("lightgbm").origin, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ):
    print(flush=True)
    input()
"""
"""A program that has a file of LightGBM mapped until it is told to end."""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc to see what is mapped")
def test_a_library_that_a_process_has_mapped_is_told() -> None:
    """By its name, and none that the process has not mapped."""
    with subprocess.Popen([sys.executable, "-c", MAPS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = foreign(process.pid)
        process.communicate(b"\n")
    assert found == {"lightgbm"}
