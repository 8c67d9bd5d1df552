"""Kernels are compiled by a process that ends, and loaded by the one that answers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

KERNEL = """
from numba import njit

@njit(cache=True)
def twice(value):
    return value + value
"""

START = """
import json, sys
from types import SimpleNamespace as Some
from recsys.errors import SnapshotError
from serving import warming
from toy_kernel import twice
published = json.loads(sys.argv[1])
def opened():
    if published is None:
        raise SnapshotError("Nothing was imported yet")
    return Some(models=lambda: [Some(name=each) for each in published])
warming.warm = lambda answers: twice(1)
warming.compile_apart(opened)
twice(1)
print(json.dumps([twice.stats.cache_hits != {}, (warming.Path(warming.config.CACHE_DIR) / warming.COMPILED).exists()]))
"""


@pytest.fixture
def start(tmp_path):
    """Starts a service whose only kernel nobody compiled; whether it was loaded, and whether that is known."""
    (tmp_path / "toy_kernel.py").write_text(KERNEL)
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    given = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kernels"), "PYTHONPATH": paths}

    def started(published):
        command = [sys.executable, "-c", START, json.dumps(published)]
        done = subprocess.run(command, env=given, capture_output=True, text=True, check=True, timeout=60)
        return tuple(json.loads(done.stdout))

    return started


def test_a_service_loads_what_it_never_compiled(start):
    """On an empty cache, too: what compiles keeps half a gigabyte, and it is another process."""
    assert start(["offers", "churn", "value"]) == (True, True)


@pytest.mark.parametrize("published", [["churn"], None], ids=["one model", "no snapshot"])
def test_the_cache_is_full_only_when_every_model_answered(start, published):
    """Models that come later are compiled apart by the next start."""
    assert start(published)[1] is False


def test_where_nothing_can_be_kept_the_service_compiles_once(start, tmp_path, monkeypatch):
    """A child's work would be lost, and a start would take twice as long."""
    (tmp_path / "kernels").write_text("no directory")
    assert start(["offers", "churn", "value"]) == (False, False)
