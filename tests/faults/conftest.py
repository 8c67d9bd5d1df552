"""Services for faults, those of the service's own tests; and a memory of what was measured, so that a run resumes."""

import os
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.faults import minutes
from tests.serving.conftest import make_workspace, serve, service, template

__all__ = ["make_workspace", "serve", "service", "template"]


@pytest.fixture(scope="session", autouse=True)
def patient_services() -> None:
    """Faults meet services as they are by default."""


NOTES = pytest.StashKey[dict[str, dict[str, Path]]]()
"""Where each test of each module is noted: by the sources as they were when the run began."""

SECONDS = pytest.StashKey[float]()
"""How long a test has taken so far."""

PASSED = pytest.StashKey[bool]()


def is_long(item: pytest.Item) -> bool:
    """Whether a test belongs to `make faults`."""
    return item.path.name.startswith("fault_")


@pytest.hookimpl(hookwrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Leave out what passed before with these sources, and say what is left and how long it takes."""
    notes: dict[str, dict[str, Path]] = defaultdict(dict)
    for item in filter(is_long, items):  # all of them, before any is chosen
        notes[item.path.stem][item.nodeid] = minutes.note_of(item.path, item.nodeid)
    config.stash[NOTES] = notes
    yield
    if not notes:
        return
    done = [item for item in items if is_long(item) and notes[item.path.stem][item.nodeid].exists()]
    left = [item for item in items if item not in done]
    config.hook.pytest_deselected(items=done)
    items[:] = left
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line("\n".join(plan([item.path.stem for item in left], len(done))))


def plan(left: list[str], done: int) -> list[str]:
    """What will be measured, how long it took last time, and what is known already."""
    known = {name: each["value"] for name, each in minutes.known().items()}
    took = {name: f"{known[name]:.1f} minutes last time" if name in known else "not measured yet" for name in left}
    lines = [f"  {name}: {left.count(name)} to go, {said}" for name, said in took.items()]
    total = sum(known.get(name, 0.0) for name in took)
    return [f"Faults: {len(left)} to go, about {total:.0f} minutes; {done} passed before (build/faults)", *lines]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Note a fault that passed, with all the time it took, so that a second run goes on behind it."""
    report = (yield).get_result()
    if not is_long(item):
        return
    item.stash[SECONDS] = item.stash.get(SECONDS, 0.0) + report.duration
    item.stash[PASSED] = item.stash.get(PASSED, False) or (report.when == "call" and report.passed)
    if report.when == "teardown" and report.passed and item.stash[PASSED]:
        note = item.config.stash[NOTES][item.path.stem][item.nodeid]
        before = sum(float(value) for name, value in item.user_properties if name == "seconds before")
        minutes.write_note(note, item.nodeid, item.stash[SECONDS] + before, date.today().isoformat())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the minutes of the modules that have passed whole."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    noted = session.config.stash.get(NOTES, {})
    found = {name: minutes.minutes_of(name, [*notes.values()]) for name, notes in noted.items()}
    minutes.tell({name: each for name, each in found.items() if each is not None})
