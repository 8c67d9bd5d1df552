"""How long each module of faults really took, as the runs noted, and all of them one after the other.

A run notes each test that passed in `build/faults`, under a digest of all that the test depends on. When a module has
passed whole, the minutes of its notes go to docs/figures/fault_minutes.json.
"""

import ast
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import FIGURES, read_figures, write_figures
from tests.benchmarks.measure import figure

ROOT = Path(__file__).parents[2]
PROGRAM = ("recsys", "training", "serving")
SHARED = ("tests/conftest.py", "tests/faults/conftest.py")
"""What every test of a fault depends on."""

SHORTER = ("FAULT_ROUNDS", "SOAK_MINUTES")
"""Variables that make a run another one, whose time is not told."""

NAME, COMMAND, MOST = "fault_minutes", "make faults", 120.0
MODULE = re.compile(r"\btests(?:\.\w+)+")


def digest_of(module: Path, root: Path = ROOT) -> str:
    """Digest of the program and of all test code that a module imports or starts as a process."""
    digest = hashlib.sha256(repr([os.environ.get(name, "") for name in SHORTER]).encode())
    digest.update(_program(root))
    for path in sorted(reached((module, *(root / name for name in SHARED)), root)):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def _program(root: Path) -> bytes:
    """Digest of the sources of Barista itself, as they were when this run began."""
    digest = hashlib.sha256()
    for path in sorted(path for name in PROGRAM for path in (root / name).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.digest()


def reached(modules: Iterable[Path], root: Path = ROOT) -> set[Path]:
    """These modules of the tests and those they name, in an import or as `tests.…` to be run, and so on."""
    found, waiting = set[Path](), [path for path in modules if path.exists()]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _named(path, root)
    return found


def _named(path: Path, root: Path) -> list[Path]:
    """Files of the modules of the tests that a module names."""
    text = path.read_text(encoding="utf-8")
    names = set(MODULE.findall(text))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "tests":
            names |= {f"{node.module}.{each.name}" for each in node.names}
    parts = [name.split(".") for name in names]
    files = {root.joinpath(*each[:end]).with_suffix(".py") for each in parts for end in range(2, len(each) + 1)}
    return [file for file in files if file.exists()]


def note_of(module: Path, item: str, root: Path = ROOT) -> Path:
    """Where it is noted that a test passed with all that it depends on now."""
    return (
        root / "build" / "faults" / digest_of(module, root) / f"{hashlib.sha256(item.encode()).hexdigest()[:16]}.json"
    )


def write_note(note: Path, item: str, seconds: float, day: str) -> None:
    """Note that a test passed, how long it took and when."""
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"test": item, "minutes": seconds / 60, "date": day}) + "\n", encoding="utf-8")


def minutes_of(name: str, notes: Sequence[Path]) -> tuple[float, str] | None:
    """Minutes of the tests of a module and the last day one passed; None unless all of them have."""
    tests = (ROOT / "tests" / "faults" / f"{name}.py").read_text(encoding="utf-8").count("\ndef test_")
    if len(notes) < tests or not all(note.exists() for note in notes):
        return None
    read = [json.loads(note.read_text(encoding="utf-8")) for note in notes]
    return sum(each["minutes"] for each in read), max(each["date"] for each in read)


def known(directory: Path = FIGURES) -> dict[str, dict[str, Any]]:
    """What was told of each module last; nothing of one that is no more."""
    path = directory / f"{NAME}.json"
    told = read_figures(path) if path.exists() else []
    return {each["name"]: each for each in told if each["name"] in modules()}


def modules() -> list[str]:
    """Names of all modules of faults."""
    return sorted(path.stem for path in (ROOT / "tests" / "faults").glob("fault_*.py"))


def tell(measured: Mapping[str, tuple[float, str]], directory: Path = FIGURES) -> None:
    """Write what was measured beside what was known, and the sum."""
    if not measured or any(os.environ.get(name) for name in SHORTER):
        return
    told = known(directory) | {
        name: figure(name, minutes, "min", COMMAND) | {"date": day} for name, (minutes, day) in measured.items()
    }
    write_figures(NAME, [*(told[name] for name in sorted(told)), total(told)], directory)


def total(told: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Those that were measured, one after the other; held against `MOST` when all have been."""
    minutes = sum(each["value"] for each in told.values())
    last = max((each["date"] for each in told.values()), default="")
    bound = {"at_most": MOST} if len(told) == len(modules()) else {}
    name = f"{len(told)} of {len(modules())} modules one after the other"
    return figure(name, minutes, "min", COMMAND, **bound) | {"date": last}
