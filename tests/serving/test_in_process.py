"""What the benchmark times in process is a request as the service answers it: with a key, and kept."""

import json
import subprocess

import pytest

from recsys.store import KeyStore
from tests.benchmarks.in_process import WARM, InProcess, times_of


def asked(workspace, times, key=None):
    """Requests of one customer with a key of the store, or with another."""
    made, _ = KeyStore(workspace.database()).create("bench", ["recommend"])
    return InProcess(str(workspace.directory), key or made, [json.dumps({"customer_id": "ann"})], times)


def test_every_answer_that_is_timed_is_kept(make_workspace):
    """Each leaves its decision in the database, and those that only warm up do."""
    workspace = make_workspace()
    times = times_of(asked(workspace, 3))
    assert (len(times), workspace.decisions().count()) == (3, 3 + WARM)


def test_a_refusal_is_not_timed(make_workspace):
    """With a key that the store does not know nothing is told."""
    with pytest.raises(subprocess.CalledProcessError):
        times_of(asked(make_workspace(), 3, key="unknown"))
