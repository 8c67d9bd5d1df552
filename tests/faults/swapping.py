"""A service at a constant rate while its champions change: how long it stops answering, and who answered."""

import os
import re
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np

from recsys.data.files import read_text, replace_text
from recsys.models.bundle import read_bundle, write_bundle
from recsys.testing.published import linear_content
from recsys.workspace import Workspace
from tests.benchmarks.load import Asked, Seen, load
from tests.benchmarks.measure import figure
from tests.benchmarks.service_load import OFFERS, peak_of
from tests.benchmarks.sides import Case, Side, copied, service
from tests.faults.bad_bundles import KEY, forest_content, ranker_content
from tests.faults.reading import KNOWING, Read, Said, reading
from tests.faults.waiting import holds_within
from tests.faults.workspaces import small_workspace

COMMAND = "make faults FAULTS='-k swaps'"
SHARE = 0.5
OTHER = "1000000"
"""Name of the second version of each model: the same content, opened anew."""

GIVEN_UP = 60.0
"""How long a champion may take to be taken over [s]."""

SWAPS = 1_000
LONG_SHARE = 0.3
"""Share of the peak that the many swaps are made at: they take minutes, and a shared machine falls to half its peak."""

NEW = 20
"""Children that try a champion nobody has opened before while requests come: one of each worker for each swap."""

FORESTS = ("2", "3")
"""Versions of the champions that are forests."""

TREES = {"offers": 100, "churn": 60}
"""Trees of a champion; a larger one is opened for longer, since who opens it stands back behind those that answer."""

SIGNED = {"BARISTA_BUNDLE_KEY": KEY.decode()}
"""Environment of a service whose bundles are signed."""


class Swapped(NamedTuple):
    """What was seen: how often the champions were swapped, requests a second, the answers."""

    swaps: int
    rate: float
    seen: Seen


class Forests(NamedTuple):
    """What was seen of swaps of forests: how many, the answers, how many of them mix versions; children that tried."""

    swaps: int
    read: Read
    mixed: int
    tried: int = 0


def swapped(workspace: Path, place: Path, seconds: float) -> Swapped:
    """Hold `SHARE` of the peak for so long and swap offers and churn as fast as they are taken over.

    The models are those of `workspace`; a small café's where there is none.
    """
    with copied(workspace_or_small(workspace, place)) as case, service(case, BARISTA_REFRESH_SECONDS="0.2") as side:
        names = {name: _doubled(case.directory / "bundles" / name) for name in ("offers", "churn")}
        rate, found = SHARE * peak_of(case, side), Seen()
        asked = Asked(side.port, seconds, [OFFERS], case.bodies, case.key, 16, rate)
        asking = threading.Thread(target=lambda: vars(found).update(vars(load(asked))))
        asking.start()
        swaps = 0
        while asking.is_alive():
            swap(case, side, {name: versions[1 - swaps % 2] for name, versions in names.items()})
            swaps += 1
        asking.join()
    return Swapped(swaps, rate, found)


def thousand_swapped(place: Path, swaps: int = SWAPS, share: float = LONG_SHARE) -> Forests:
    """Swap offers and churn so many times between two forests each, at `share` of the peak."""
    with copied(forest_workspace(place / "forests").directory) as case:
        expected = {key: said for version in FORESTS for key, said in answers_of(case, version).items()}
        with service(case, BARISTA_REFRESH_SECONDS="0.05", **SIGNED) as side:
            for version in FORESTS:  # a child tries each before: once, as with every new champion
                swap(case, side, dict.fromkeys(TREES, version))
            with reading(case, side, share * peak_of(case, side)) as read:
                for number in range(swaps):
                    swap(case, side, dict.fromkeys(TREES, FORESTS[number % 2]))
    return Forests(swaps, read, read.mixed(expected))


def new_swapped(place: Path, workers: int, children: int = NEW) -> Forests:
    """Swap offers and churn in turn to forests that the service has never seen, at `LONG_SHARE` of the peak."""
    with copied(forest_workspace(place / "forests").directory) as case:
        bundles = case.directory / "bundles"
        expected = {key: said for version in FORESTS for key, said in answers_of(case, version).items()}
        made = [_new_champion(bundles, number, expected) for number in range(children // workers)]
        with service(case, "--workers", str(workers), BARISTA_REFRESH_SECONDS="0.05", **SIGNED) as side:
            rate, before = LONG_SHARE * peak_of(case, side), taken_over(case, side)
            with trying(side.pid) as tried, reading(case, side, rate) as read:
                for number, (name, version) in enumerate(made, 1):
                    point(bundles, {name: version})
                    _wait_for_all(case, side, before + number * workers)
    return Forests(len(made), read, read.mixed(expected), len(tried))


def _new_champion(bundles: Path, number: int, expected: Said) -> tuple[str, str]:
    """A bundle with the scores of one of the two forests and a digest of its own; its model and version.

    `expected` learns what it answers. Offers and churn come in turn, each with other scores than the one before it.
    """
    name, version = tuple(TREES)[number % 2], str(int(FORESTS[-1]) + 1 + number)
    forest = FORESTS[number // 2 % 2]
    content = read_bundle(bundles / name / forest, KEY).content
    digest = write_bundle(bundles / name / version, replace(content, metrics={"number": number}), KEY)
    said = {asked: text for (asked, named), text in expected.items() if named.startswith(f"{forest}-")}
    asked_for = {asked: text for asked, text in said.items() if asked % 2 == number % 2}
    expected |= {(asked, f"{version}-{digest[:8]}"): text for asked, text in asked_for.items()}
    return name, version


def forest_workspace(place: Path) -> Workspace:
    """A small café with signed bundles: two forests of offers and of churn, different ones, and a linear value."""
    workspace = small_workspace(place)
    shutil.rmtree(place / "bundles")
    for seed, version in enumerate(FORESTS):
        for name, made in (("offers", ranker_content), ("churn", forest_content)):
            write_bundle(place / "bundles" / name / version, made(seed + 1, trees=TREES[name]), KEY)
    write_bundle(place / "bundles" / "value" / FORESTS[0], linear_content("value"), KEY)
    point(place / "bundles", dict.fromkeys(("offers", "churn", "value"), FORESTS[0]))
    return workspace


def answers_of(case: Case, version: str, **environment: str) -> Said:
    """What a service that never knew another version of offers and churn answers to each request.

    Raises:
        RuntimeError: it fails, or answers one request in two ways.
    """
    point(case.directory / "bundles", dict.fromkeys(TREES, version))
    with service(case, **SIGNED, **environment) as side, reading(case, side, 0.0) as read:
        time.sleep(KNOWING)
    said = {(number, named): text for number, named, text in read.found}
    if read.failed or len(said) != len(read.found) or not all(named.startswith(f"{version}-") for _, named in said):
        raise RuntimeError(f"version {version}: {read.seen.statuses}, {len(read.found)} answers to {len(said)}")
    return said


def point(bundles: Path, versions: Mapping[str, str]) -> None:
    """Make versions the champions, by the names of the models."""
    for name, version in versions.items():
        replace_text(bundles / name / "champion", version)


def workspace_or_small(workspace: Path, place: Path) -> Path:
    """The workspace, or a small café in `place` where there is none."""
    if (workspace / "snapshots" / "current").exists():
        return workspace
    return small_workspace(place / "workspace").directory


def _doubled(bundles: Path) -> tuple[str, str]:
    """The champion's version and that of a copy of it."""
    version = (read_text(bundles / "champion") or "").strip()
    shutil.copytree(bundles / version, bundles / OTHER)
    return version, OTHER


def swap(case: Case, side: Side, versions: Mapping[str, str]) -> None:
    """Make versions the champions and wait until they answer."""
    point(case.directory / "bundles", versions)
    wait_for_versions(case, side, versions)


def wait_for_versions(case: Case, side: Side, versions: Mapping[str, str]) -> float:
    """Seconds until these versions answer.

    Raises:
        RuntimeError: they don't after a minute.
    """
    begun = time.monotonic()
    with client_of(case, side) as http:
        while not versions.items() <= serving_versions(http).items():
            if time.monotonic() - begun > GIVEN_UP:
                raise RuntimeError(f"not taken over: {versions}")
            time.sleep(0.02)
    return time.monotonic() - begun


def taken_over(case: Case, side: Side) -> int:
    """How often workers have taken over what was new, all of them together."""
    with client_of(case, side) as http:
        found = re.search(r'^barista_swaps_total\{result="loaded"\} (\S+)', http.get("/metrics").text, re.MULTILINE)
    return int(float(found[1])) if found else 0


def _wait_for_all(case: Case, side: Side, wanted: int) -> None:
    """Until workers have taken over so often: each of them once for each swap of one model.

    Raises:
        RuntimeError: they have not after a minute.
    """
    if not holds_within(GIVEN_UP, lambda: taken_over(case, side) >= wanted):
        raise RuntimeError(f"taken over {taken_over(case, side)} times instead of {wanted}")


@contextmanager
def trying(service_pid: int) -> Iterator[set[int]]:
    """The processes below a service that try a bundle at some time in the block."""
    found, ended = set[int](), threading.Event()

    def look() -> None:
        while not ended.wait(0.05):
            found.update(pid for pid in _below(service_pid) if _tries(pid))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield found
    finally:
        ended.set()
        looking.join()


def _below(pid: int) -> Iterator[int]:
    """Processes that any thread of a process started, and theirs."""
    with suppress(OSError):
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, path.read_text().split()):
                yield child
                yield from _below(child)


def _tries(pid: int) -> bool:
    """Whether a process is a child that tries a bundle."""
    with suppress(OSError):
        return b"serving.canary" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def client_of(case: Case, side: Side) -> httpx.Client:
    """A client with the case's key; nothing it does is encrypted, so it reads no certificates."""
    headers = {"Authorization": f"Bearer {case.key}"}
    return httpx.Client(base_url=f"http://127.0.0.1:{side.port}", headers=headers, timeout=30, verify=False)


def serving_versions(http: httpx.Client) -> dict[str, str]:
    """Version of each model that answers, without its digest; none when it does not say now."""
    answer = http.get("/v1/models")
    models = answer.json()["models"] if answer.status_code == 200 else []
    return {each["name"]: each["version"].partition("-")[0] for each in models}


def figures_of(found: Swapped) -> list[dict[str, Any]]:
    """What was seen beside what is asked."""
    seen, name = found.seen, f"swaps at {SHARE:.0%} of the peak"
    failed = sum(count for status, count in seen.statuses.items() if status != "200") + seen.unanswered + seen.unsent
    gap = float(np.diff(np.sort(seen.ends)).max()) * 1000
    return [
        figure(f"{name}: champions swapped", found.swaps, f"times in {seen.seconds:.0f} s", COMMAND),
        figure(f"{name}: requests a second", found.rate, "/s", COMMAND),
        figure(f"{name}: requests failed", failed, f"of {len(seen.times)}", COMMAND, at_most=0),
        figure(f"{name}: longest time without an answer", gap, "ms", COMMAND, at_most=100),
        figure(f"{name}: p99 from the time a request was due", float(np.quantile(seen.times, 0.99)), "ms", COMMAND),
        figure(f"{name}: slowest answer", max(seen.times), "ms", COMMAND),
    ]


def thousand_figures(found: Forests) -> list[dict[str, Any]]:
    """What was seen of the many swaps beside what is asked."""
    return _forest_figures(f"{SWAPS:,} swaps under load", found, SWAPS)


def new_figures(found: Forests, workers: int) -> list[dict[str, Any]]:
    """What was seen of the swaps to new champions beside what is asked: each worker has a child try each."""
    who = "one worker" if workers == 1 else f"{workers} workers"
    name = f"{NEW // workers} swaps to champions nobody has opened before, {who}"
    tried = f"{name}: children that tried one meanwhile"
    first, *others = _forest_figures(name, found, NEW // workers)
    return [first, figure(tried, found.tried, "", COMMAND, at_least=NEW), *others]


def _forest_figures(name: str, found: Forests, asked: int) -> list[dict[str, Any]]:
    read, said = found.read, f"of {found.read.answers}"
    trees = " and ".join(f"{count} trees for {model}" for model, count in TREES.items())
    rate, times = read.answers / read.seen.seconds, f"times in {read.seen.seconds:.0f} s, {trees}"
    return [
        figure(f"{name}: champions swapped", found.swaps, times, COMMAND, at_least=asked),
        figure(f"{name}: requests a second, {LONG_SHARE:.0%} of the peak", rate, "/s", COMMAND),
        figure(f"{name}: requests failed", read.failed, said, COMMAND, at_most=0),
        figure(f"{name}: answers that mix versions", found.mixed, said, COMMAND, at_most=0),
        figure(f"{name}: longest time without an answer", read.longest_gap, "ms", COMMAND, at_most=100),
        figure(f"{name}: longest delay of the client itself", max(read.seen.late), "ms", COMMAND),
        figure(f"{name}: p99 from the time a request was due", read.quantile(0.99), "ms", COMMAND),
        figure(f"{name}: slowest answer", max(read.seen.times), "ms", COMMAND),
    ]


def workspace_asked() -> Path:
    """The workspace whose models are swapped."""
    return Path(os.environ.get("SOAK_WORKSPACE", "workspace"))
