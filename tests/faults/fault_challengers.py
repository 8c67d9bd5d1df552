"""Challengers that are broken, fail, wait or are far too large: no answer differs or fails, and it is said why."""

import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from recsys.data.files import replace_text
from recsys.models.bundle import write_bundle
from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from tests.benchmarks.service_load import peak_of
from tests.benchmarks.sides import Case, Side, copied, running, service
from tests.faults.bad_bundles import KEY, KINDS, forest_content, make_bad, ranker_content
from tests.faults.challenged_service import WAIT
from tests.faults.reading import Read, Said, reading
from tests.faults.swapping import FORESTS, SIGNED, TREES, answers_of, client_of, forest_workspace, point
from tests.faults.waiting import holds_within

COMMAND = "make faults FAULTS='-k challenger'"
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "5"))
SHARE = 0.25
"""Share of the peak that is asked meanwhile."""

SECONDS = 20.0
"""How long each kind is asked [s]."""

CHALLENGER = "9"
LARGE = 20
"""How many times the champion's trees a challenger has that can't keep up."""

LIMIT = 60.0
"""When something that does not happen is given up [s]."""

Begun = Callable[[], AbstractContextManager[Side]]


@pytest.mark.timeout(1_800)
def test_a_challenger_is_in_nobodys_way(tmp_path: Path) -> None:
    """Twelve kinds of bad bundle, one that fails, one that waits, one that is too large: the champions' answers."""
    with copied(forest_workspace(tmp_path / "forests").directory) as case:
        expected = answers_of(case, FORESTS[0])
        with _served(case)() as side:
            rate = SHARE * peak_of(case, side)
        figures = _figures("none", _asked(case, _served(case), rate, _nothing), expected)
        figures += _broken(case, rate, expected)
        figures += _failing(case, rate, expected)
        figures += _slow(case, rate, expected)
    write_figures("faults_challengers", figures)
    assert [each["name"] for each in figures if each["holds"] is False] == []


def _served(case: Case) -> Begun:
    """The service, every request looked at by the challengers."""
    return partial(service, case, **SIGNED, **LOOKED)


def _patched(case: Case, kind: str) -> Begun:
    """The same with challengers that fail or wait."""
    options = ["--workspace", str(case.directory), "--clock", "snapshot", "--port", "0"]
    return partial(running, ["tests.faults.challenged_service", kind, *options], **SIGNED, **LOOKED)


LOOKED = {"BARISTA_SHADOW_SHARE": "1", "BARISTA_REFRESH_SECONDS": "0.2"}


def _asked(case: Case, begun: Begun, rate: float, during: Callable[[Case, httpx.Client], None]) -> Read:
    """What is answered at `rate` [/s] for `SECONDS` or longer, as `during` takes."""
    point(case.directory / "bundles", dict.fromkeys(TREES, FORESTS[0]))
    with begun() as side, client_of(case, side) as http, reading(case, side, rate) as read:
        end = time.monotonic() + SECONDS
        during(case, http)
        time.sleep(max(0.0, end - time.monotonic()))
    for name in TREES:
        _withdraw(case, name)
    return read


def _nothing(_case: Case, _http: httpx.Client) -> None:
    """No challenger."""


def _broken(case: Case, rate: float, expected: Said) -> list[dict[str, Any]]:
    """Each kind of bad bundle again and again."""
    told: list[bool] = []

    def during(case: Case, http: httpx.Client) -> None:
        for kind in KINDS:
            told.extend(_refused(case, http, kind, seed) for seed in range(1, ROUNDS + 1))

    read, said = _asked(case, _served(case), rate, during), f"of {len(KINDS) * ROUNDS}"
    silent = figure("challenger broken: not told by GET /v1/shadow", told.count(False), said, COMMAND, at_most=0)
    return [*_figures("broken", read, expected), silent]


def _refused(case: Case, http: httpx.Client, kind: str, seed: int) -> bool:
    """Whether a bad challenger is refused with a reason, and forgotten when it is withdrawn."""
    churn = case.directory / "bundles" / "churn"
    make_bad(kind, churn / CHALLENGER, seed)
    replace_text(churn / "challenger", CHALLENGER)
    told = holds_within(LIMIT, lambda: bool(_told(http)["refused"].get("churn")))
    _withdraw(case, "churn")
    return told and holds_within(LIMIT, lambda: "churn" not in _told(http)["refused"])


def _withdraw(case: Case, name: str) -> None:
    """No challenger of the model any more."""
    bundles = case.directory / "bundles" / name
    (bundles / "challenger").unlink(missing_ok=True)
    shutil.rmtree(bundles / CHALLENGER, ignore_errors=True)
    for path in bundles.glob(".elsewhere-*"):
        path.unlink()


def _failing(case: Case, rate: float, expected: Said) -> list[dict[str, Any]]:
    """Good challengers whose answers can't be computed."""
    counts: dict[str, int] = {}
    _make(case, TREES)
    read = _asked(case, _patched(case, "fails"), rate, partial(_challenged, counts))
    looked = figure(
        "challenger fails: requests it failed, by GET /v1/shadow", counts["failed"], "", COMMAND, at_least=1
    )
    return [*_figures("fails", read, expected), looked]


def _slow(case: Case, rate: float, expected: Said) -> list[dict[str, Any]]:
    """Challengers that keep up with few requests: one that waits, one with many times the trees."""
    waiting: dict[str, int] = {}
    large: dict[str, int] = {}
    _make(case, TREES)
    waited = _asked(case, _patched(case, "waits"), rate, partial(_challenged, waiting))
    _make(case, {name: count * LARGE for name, count in TREES.items()})
    opened = _asked(case, _served(case), rate, partial(_challenged, large))
    name, left = f"takes {WAIT * 1000:g} ms", "requests left out, by GET /v1/shadow"
    size = f"has {LARGE} times the trees"
    return [
        *_figures(name, waited, expected),
        figure(f"challenger {name}: {left}", waiting["dropped"], "", COMMAND, at_least=1),
        *_figures(size, opened, expected),
        figure(f"challenger {size}: requests scored", large["scored"], "", COMMAND, at_least=1),
        figure(f"challenger {size}: {left}", large["dropped"], "", COMMAND),
    ]


def _make(case: Case, trees: Mapping[str, int]) -> None:
    """Forests of so many trees that may challenge."""
    for name, made in (("offers", ranker_content), ("churn", forest_content)):
        write_bundle(case.directory / "bundles" / name / CHALLENGER, made(77, trees=trees[name]), KEY)


def _challenged(counts: dict[str, int], case: Case, http: httpx.Client) -> None:
    """Challenge offers and churn by the forests made before; `counts` says what became of the requests.

    Raises:
        RuntimeError: they are not opened.
    """
    for name in TREES:
        replace_text(case.directory / "bundles" / name / "challenger", CHALLENGER)
    if not holds_within(LIMIT, lambda: len(_told(http)["challengers"]) == len(TREES)):
        raise RuntimeError(f"no challengers: {_told(http)}")
    time.sleep(SECONDS / 2)
    counts.update({name: count for name, count in _told(http).items() if isinstance(count, int)})


def _told(http: httpx.Client) -> dict[str, Any]:
    answer: dict[str, Any] = http.get("/v1/shadow").raise_for_status().json()
    return answer


def _figures(kind: str, read: Read, expected: Said) -> list[dict[str, Any]]:
    """The answers while a challenger of this kind is there."""
    name, said = f"challenger {kind}", f"of {read.answers}"
    return [
        figure(f"{name}: requests failed", read.failed, said, COMMAND, at_most=0),
        figure(f"{name}: answers that differ", read.mixed(expected), said, COMMAND, at_most=0),
        figure(f"{name}: longest time without an answer", read.longest_gap, "ms", COMMAND),
        figure(f"{name}: longest delay of the client itself", max(read.seen.late), "ms", COMMAND),
        figure(f"{name}: p50", read.quantile(0.5), "ms", COMMAND),
        figure(f"{name}: p99", read.quantile(0.99), "ms", COMMAND),
    ]
