"""Memory that is no longer needed."""

import subprocess
import sys

import pytest

TOLD = """
import re
from pathlib import Path
from serving.memory import give_back

def resident() -> int:
    return int(re.search(r"RssAnon:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024

blocks = [bytes(2_000) for _ in range(50_000)]
last = blocks[-1]
del blocks
kept = resident()
print(give_back(), kept - resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux how much memory is resident")
def test_what_was_freed_below_a_block_in_use_is_given_back():
    """Of 100 MB in blocks only the last one is kept: some 95 MB go back to the system."""
    said = subprocess.run([sys.executable, "-c", TOLD], capture_output=True, text=True, check=True).stdout.split()
    assert said[0] == "True"
    assert int(said[1]) > 80
