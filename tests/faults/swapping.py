"""A service at a constant rate while its champions change: how long it stops answering."""

import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np

from recsys.data.files import read_text, replace_text
from tests.benchmarks.load import Asked, Seen, load
from tests.benchmarks.measure import figure
from tests.benchmarks.service_load import OFFERS, peak_of
from tests.benchmarks.sides import Case, Side, copied, service
from tests.faults.workspaces import small_workspace

COMMAND = "make faults FAULTS='-k swaps'"
SHARE = 0.5
OTHER = "1000000"
"""Name of the second version of each model: the same content, opened anew."""

GIVEN_UP = 60.0
"""How long a champion may take to be taken over [s]."""


class Swapped(NamedTuple):
    """What was seen: how often the champions were swapped, requests a second, the answers."""

    swaps: int
    rate: float
    seen: Seen


def swapped(workspace: Path, place: Path, seconds: float) -> Swapped:
    """Hold `SHARE` of the peak for so long and swap offers and churn as fast as they are taken over.

    The models are those of `workspace`; a small café's where there is none.
    """
    if not (workspace / "snapshots" / "current").exists():
        workspace = small_workspace(place / "workspace").directory
    with copied(workspace) as case, service(case, BARISTA_REFRESH_SECONDS="0.2") as side:
        names = {name: _doubled(case.directory / "bundles" / name) for name in ("offers", "churn")}
        rate, found = SHARE * peak_of(case, side), Seen()
        asked = Asked(side.port, seconds, [OFFERS], case.bodies, case.key, 16, rate)
        asking = threading.Thread(target=lambda: vars(found).update(vars(load(asked))))
        asking.start()
        swaps = 0
        while asking.is_alive():
            _swap(case, side, {name: versions[1 - swaps % 2] for name, versions in names.items()})
            swaps += 1
        asking.join()
    return Swapped(swaps, rate, found)


def _doubled(bundles: Path) -> tuple[str, str]:
    """The champion's version and that of a copy of it."""
    version = (read_text(bundles / "champion") or "").strip()
    shutil.copytree(bundles / version, bundles / OTHER)
    return version, OTHER


def _swap(case: Case, side: Side, versions: dict[str, str]) -> None:
    for name, version in versions.items():
        replace_text(case.directory / "bundles" / name / "champion", version)
    end, address = time.monotonic() + GIVEN_UP, f"http://127.0.0.1:{side.port}/v1/models"
    while not versions.items() <= _versions(address, case.key).items():
        if time.monotonic() > end:
            raise RuntimeError(f"not taken over: {versions}")
        time.sleep(0.1)


def _versions(address: str, key: str) -> dict[str, str]:
    """Version of each model that answers, without its digest; none when it does not say now."""
    answer = httpx.get(address, headers={"Authorization": f"Bearer {key}"}, timeout=30)
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


def workspace_asked() -> Path:
    """The workspace whose models are swapped."""
    return Path(os.environ.get("SOAK_WORKSPACE", "workspace"))
