"""The state a process answers from: opened once, swapped whole when the workspace changes, kept when that fails."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import structlog

from recsys.data.files import read_text
from recsys.data.forgetting import ErasedAt
from recsys.data.snapshot import Snapshot
from recsys.decisioning.record import Origin
from recsys.errors import BaristaError, DamagedBundle, StoreUnavailable
from recsys.models.bundle import verify_bundle
from recsys.models.pacing import standing_back
from recsys.models.refusal import Refusal, refusals_of
from recsys.workspace import Workspace
from serving.answers import MODELS, Answers, origin_of, versions_of
from serving.canary import BundleKillsProcess, RefusedByCanary, try_bundle
from serving.erased import KEPT, Erased
from serving.good import good_bundle, note_good
from serving.http.finding import ItemFinder
from serving.http.problems import Problem
from serving.runs import ScoreRun, read_run
from serving.warming import warm

POINTERS = ("snapshots/current", *(f"bundles/{name}/champion" for name in MODELS), "scores/last.json")
SHARE = 0.1
"""How much of the time a thread that opens a new model computes, beside those that answer."""

VAIN = 5.0
"""How long nobody tries again to open a database that could not be opened, while a service starts [s]."""

AGAIN = 600.0
"""After how long a bundle is tried again that took its process down or never let it end: the machine may be at fault,
and each try can take a minute [s]."""

OpenAnswers = Callable[[Workspace, ErasedAt, Mapping[str, Path | None]], Answers]
"""Opens the current snapshot, without those erased, and a bundle of each model."""

UNREADABLE = "?"
"""Stands for a pointer that can't be read: no version, no snapshot is called so."""

LOG = structlog.get_logger("barista.state")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What answers come from: never changed, only replaced.

    versions  of the published models by name
    run       last published whole-base run, None without one
    items     finder over the snapshot's items
    origin    what every decision made from it has in common
    """

    answers: Answers
    versions: dict[str, str]
    run: ScoreRun | None
    items: ItemFinder
    origin: Origin

    @property
    def snapshot(self) -> Snapshot:
        """The opened snapshot."""
        return self.answers.snapshot


class Refused(NamedTuple):
    """A champion that was not taken over: its version, the kind of error, since when [s, monotonic]."""

    version: str
    reason: str
    at: float


class State:
    """Holds `Loaded` and replaces it; one a process. Readers take `current()` once and use only that."""

    def __init__(self, workspace: Workspace, open_answers: OpenAnswers) -> None:
        self.workspace = workspace
        self.erased = Erased(workspace.erasures, workspace.directory / KEPT, workspace.forget_erased)
        self._open_answers = open_answers
        self._loaded: Loaded | None = None
        self._signs: tuple[str | None, ...] | None = None
        self._wanted: tuple[object, ...] | None = None
        self.fault: str | None = None
        self.faulty: str | None = None
        self.refused: dict[str, Refused] = {}
        self.not_pulled: dict[str, Refusal] = {}
        self._lost_at = -math.inf
        self.opened_at = time.monotonic()
        self.swaps = {"loaded": 0, "failed": 0}
        self.refusals: Counter[str] = Counter()
        self._tried: dict[tuple[str, str], RefusedByCanary | None] = {}
        self._killed: dict[tuple[str, str], tuple[BundleKillsProcess, float]] = {}

    @property
    def opened(self) -> bool:
        """Whether there is a state to answer from."""
        return self._loaded is not None

    def begin(self) -> None:
        """Open for the first time; without a database, too: who is erased is then known from the last reading."""
        try:
            self.reach()
            self.erased.refresh()  # before the first answer: a database lost a moment later must not hide everybody
        except StoreUnavailable:
            self.erased.away = lambda: True  # until the service knows better
        self.refresh()
        self.still_lost()

    def lost(self) -> None:
        """The database failed while the service starts."""
        self._lost_at = time.monotonic()

    def still_lost(self) -> None:
        """Count `VAIN` from now where the database failed: what was opened since took its time."""
        if self._lost_at > -math.inf:
            self.lost()

    def reach(self) -> None:
        """Open the database, unless it could not be opened a moment ago: each vain attempt takes seconds.

        Raises:
            StoreUnavailable: it can't be reached now.
        """
        if time.monotonic() - self._lost_at < VAIN:
            raise StoreUnavailable("The database could not be reached when the service opened")
        try:
            self.workspace.database()
        except StoreUnavailable:
            self.lost()
            raise
        self._lost_at = -math.inf

    def current(self) -> Loaded:
        """The state to answer one request from.

        Raises:
            Problem: 503 while nothing could be opened.
        """
        if self._loaded is None:
            detail = f"Nothing to answer from yet: {self.fault or 'the workspace is being opened.'}"
            cure = "Run `barista import` and `barista train`; /health/ready says what is missing"
            raise Problem("not-ready", detail, cure=cure, headers={"Retry-After": "5"})
        return self._loaded

    def refresh(self, share: float = SHARE) -> bool:
        """Open what the workspace points at if its pointers changed; True when the state was replaced.

        It takes a `share` of the time from those who answer; all of it while there is nothing to answer from.
        When that fails the former state stays, `fault` says why, and the next call tries again.
        """
        self._look_at_refusals()
        signs = tuple(_sign(self.workspace.directory / name) for name in POINTERS)
        if signs == self._signs:
            self.fault = self.faulty = None
            return False
        try:
            self.faulty = None
            bundles, refusal = self._bundles()
            wanted = signs[0], signs[-1], bundles
            if refusal is not None and wanted == self._wanted:  # nothing else is new
                self._failed(refusal)
                return False
            with standing_back(share if self.opened else 1.0):
                loaded = self._open(bundles)
        except Exception as error:  # whatever a damaged file does, the last good state goes on answering
            self._failed(error)
            return False
        self._take(loaded)
        self._wanted = wanted
        self._signs, self.fault = (signs, None) if refusal is None else (None, self.fault)
        if refusal is not None:
            self._failed(refusal)
        return True

    def _look_at_refusals(self) -> None:
        """Tell of champions that whoever pulls refused: no pointer says so, for the cache stays as it was."""
        before, self.not_pulled = self.not_pulled, refusals_of(self.workspace.bundles, MODELS, "champion")
        for name, refusal in self.not_pulled.items():
            if before.get(name) != refusal:
                self.refusals[refusal.kind] += 1
                self.refused[name] = Refused(refusal.version, refusal.kind, time.monotonic())
                LOG.error("not pulled", model=name, version=refusal.version, kind=refusal.kind, reason=refusal.reason)

    def _take(self, loaded: Loaded) -> None:
        """Answer from it from now on."""
        self._loaded = loaded
        contents = _contents(loaded)
        self._tried |= dict.fromkeys((name, digest) for name, _version, digest in contents)
        for name, version, digest in contents:
            note_good(self.workspace.bundles / name, version, digest)
        self.opened_at = time.monotonic()
        self.swaps["loaded"] += 1
        LOG.info("opened", snapshot_id=loaded.snapshot.snapshot_id, models=loaded.versions)

    def _bundles(self) -> tuple[dict[str, Path | None], Exception | None]:
        """The bundle to open of each model, and why the champion of one is not among them.

        A champion is opened in a child process first, where there is another bundle that could go on serving.

        Raises:
            BundleError: a champion must not be opened, and nothing is known that could serve in its place.
        """
        setting = self.workspace.settings.bundle_key
        key = setting.get_secret_value().encode() if setting else None
        found: dict[str, Path | None] = {}
        refusals: list[Exception] = []
        for name in MODELS:
            found[name] = self.workspace.champion(name)
            if self._loaded is None and good_bundle(self.workspace.bundles / name, key) in {None, found[name]}:
                continue
            try:
                self._try_champion(name, found[name], key)
            except Exception as error:  # whatever a damaged file does, it is this model's
                self.faulty = self.faulty or name
                self._refuse(name, error)
                refusals.append(error)
                found[name] = good_bundle(self.workspace.bundles / name, key)
                if found[name] is None:
                    raise
        return found, next(iter(refusals), None)

    def _try_champion(self, name: str, directory: Path | None, key: bytes | None) -> None:
        if directory is None:
            self._refuse_missing(name)
        else:
            self._try(name, directory, key)

    def _refuse(self, name: str, error: Exception) -> None:
        """Remember the bundle refused last, since when it is."""
        version = _sign(self.workspace.bundles / name / "champion") or ""
        refused = Refused(version, _reason(error), time.monotonic())
        before = self.refused.get(name)
        if before is None or before[:2] != refused[:2]:
            self.refused[name] = refused

    def _try(self, name: str, directory: Path, key: bytes | None) -> None:
        """Open one bundle in a child process, the same content once and never what serves already.

        What killed the child or never let it end is tried again after `AGAIN`.
        """
        content = (name, verify_bundle(directory, key))
        if content not in self._tried:
            killed = self._killed.get(content)
            if killed is not None and time.monotonic() - killed[1] < AGAIN:
                raise killed[0]
            try:
                try_bundle(name, directory, key)
                self._tried[content] = None
            except RefusedByCanary as error:
                self._tried[content] = error
            except BundleKillsProcess as error:
                self._killed[content] = error, time.monotonic()
                raise
        refused = self._tried[content]
        if refused is not None:
            raise refused

    def _refuse_missing(self, name: str) -> None:
        """A pointer to a bundle that is not there is no wish to serve without the model."""
        version = read_text(self.workspace.bundles / name / "champion")
        if version is not None:
            raise DamagedBundle(f"The {name} bundle named as champion is missing", found=version, cure="Pull again")

    def _open(self, bundles: Mapping[str, Path | None]) -> Loaded:
        answers = self._open_answers(self.workspace, self.erased, bundles)
        warm(answers)
        run = read_run(self.workspace.directory / "scores")
        origin = origin_of(answers, self.workspace.settings.seed)
        return Loaded(answers, versions_of(answers), run, ItemFinder(answers.snapshot), origin)

    def _failed(self, error: Exception) -> None:
        fault = error.message() if isinstance(error, BaristaError) else f"{type(error).__name__} while opening it."
        reason = _reason(error)
        self.swaps["failed"] += 1
        self.refusals[reason] += 1
        if fault != self.fault:
            LOG.error("not opened", kind=reason, reason=fault, kept=self._loaded is not None)
        self.fault = fault

    @property
    def faults(self) -> tuple[str, ...]:
        """Why it does not answer from what it should: what can't be opened, champions that were refused before."""
        refused = (
            f"The {name} champion {each.version} was not taken over. {each.reason}"
            for name, each in self.not_pulled.items()
        )
        return (*((self.fault,) if self.fault else ()), *refused)

    def health(self) -> tuple[str, tuple[str, ...]]:
        """`ok`, `degraded` (answers, but not from what the workspace says now) or `not ready`, and the reasons."""
        faults = self.faults
        if self._loaded is None:
            return "not ready", faults or ("The workspace is being opened.",)
        if not self._loaded.versions:
            return "not ready", (*faults, "No model is published. Run `barista train`.")
        return ("degraded" if faults else "ok"), faults


def _contents(loaded: Loaded) -> list[tuple[str, str, str]]:
    """Names, versions and digests of the bundles that were opened; not of one whose facts were another's."""
    return [
        (each.name, each.version.removesuffix(f"-{each.digest[:8]}"), each.digest)
        for each in loaded.answers.models()
        if each.digest and each.version.endswith(f"-{each.digest[:8]}")
    ]


def _reason(error: Exception) -> str:
    """Kind of error, that of the child when it refused."""
    return error.reason if isinstance(error, RefusedByCanary) else type(error).__name__


def _sign(pointer: Path) -> str | None:
    """What a pointer says; None without one, `UNREADABLE` where it is no text or can't be read."""
    try:
        return read_text(pointer)
    except (OSError, ValueError):
        return UNREADABLE
