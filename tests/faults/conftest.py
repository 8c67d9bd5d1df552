"""Services for faults, those of the service's own tests; and a memory of what was measured, so that a run resumes."""

import hashlib
import json
import os
import time
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.faults.matrix import MINUTES
from tests.serving.conftest import make_workspace, serve, service, template

__all__ = ["make_workspace", "serve", "service", "template"]


@pytest.fixture(scope="session", autouse=True)
def patient_services() -> None:
    """Faults meet services as they are by default."""


FOLDER = pytest.StashKey[Path]()
"""Where this run notes what passed: by the sources as they were when it began."""

ROOT = Path(__file__).parents[2]
SOURCES = ("recsys", "training", "serving", "tests/faults")


def done_folder(root: Path = ROOT) -> Path:
    """Where the faults that passed with these sources are noted; other sources, another folder."""
    digest = hashlib.sha256(os.environ.get("FAULT_ROUNDS", "").encode())
    for path in sorted(path for name in SOURCES for path in (root / name).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return root / "build" / "faults" / digest.hexdigest()[:12]


def note_of(folder: Path, item: str) -> Path:
    """Where the result of one test is noted."""
    return folder / f"{hashlib.sha256(item.encode()).hexdigest()[:16]}.json"


def is_long(item: pytest.Item) -> bool:
    """Whether a test belongs to `make faults`."""
    return item.path.name.startswith("fault_")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what passed before with these sources, and say what is left and how long it takes."""
    if not any(is_long(item) for item in items):
        return
    folder = config.stash[FOLDER] = done_folder()
    done = [item for item in items if is_long(item) and note_of(folder, item.nodeid).exists()]
    left = [item for item in items if item not in done]
    config.hook.pytest_deselected(items=done)
    items[:] = left
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line("\n".join(plan(left, done, folder)))


def plan(left: list[pytest.Item], done: list[pytest.Item], folder: Path) -> list[str]:
    """What will be measured, in how many minutes, and what is known already."""
    modules = Counter(item.path.stem for item in left)
    lines = [f"  {name}: {count} to go, about {MINUTES.get(name, 1)} minutes" for name, count in modules.items()]
    total = sum(MINUTES.get(name, 1) for name in modules)
    head = f"Faults: {len(left)} to go, about {total} minutes; {len(done)} passed before (noted in {folder})"
    return [head, *lines]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Note a fault that passed, so that a second run goes on behind it."""
    report = (yield).get_result()
    if is_long(item) and report.when == "call" and report.passed:
        note = note_of(item.config.stash[FOLDER], item.nodeid)
        note.parent.mkdir(parents=True, exist_ok=True)
        found = {"test": item.nodeid, "minutes": round(report.duration / 60, 2), "date": date.today().isoformat()}
        note.write_text(json.dumps(found | {"at": int(time.time())}) + "\n", encoding="utf-8")
