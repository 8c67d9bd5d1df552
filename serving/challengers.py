"""Challengers: model versions that score live requests unseen, opened with the same care as champions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from recsys.data.files import read_text
from recsys.errors import BaristaError
from recsys.models.bundle import verify_bundle
from recsys.models.pacing import standing_back
from recsys.models.refusal import refusals_of
from recsys.workspace import Workspace
from recsys.workspace.opening import open_model
from serving.answers import MODELS, Answers
from serving.canary import try_bundle

LOG = structlog.get_logger("barista.challengers")

Try = Callable[[str, Path, bytes | None], None]

SHARE = 0.1
"""How much of the time the thread that opens a challenger computes, beside those that answer."""


@dataclass(frozen=True, slots=True)
class Challenging:
    """Answers of a state with challengers in the place of champions; `versions` of the challengers by model.

    champions   the answers they stand beside
    """

    champions: Answers
    answers: Answers
    versions: Mapping[str, str]


@dataclass(slots=True)
class Challengers:
    """Opens what `bundles/<name>/challenger` names; what can't be opened does not challenge.

    faults      why, by model
    not_pulled  why the version that should challenge never came here, by model
    """

    workspace: Workspace
    attempt: Try = try_bundle
    faults: dict[str, str] = field(default_factory=dict)
    not_pulled: dict[str, str] = field(default_factory=dict)
    current: Challenging | None = None
    _opened: dict[str, tuple[tuple[str, str | None], Any]] = field(default_factory=dict)

    @property
    def refused(self) -> dict[str, str]:
        """Why what should challenge each model does not: it was not taken over, or can't be opened."""
        return self.faults | self.not_pulled

    def refresh(self, champions: Answers) -> None:
        """Look at the pointers again and stand beside `champions`; not on the event loop."""
        found = refusals_of(self.workspace.bundles, MODELS, "challenger")
        self.not_pulled = {name: refusal.reason for name, refusal in found.items()}
        serving = {facts.name: facts.version for facts in champions.models()}
        models = {name: model for name in MODELS if (model := self._model(name, serving.get(name))) is not None}
        if not models:
            self.current = None
            return
        versions = {name: str(model.version) for name, model in models.items()}
        before = self.current
        if before is None or before.champions is not champions or before.versions != versions:
            LOG.info("challenged", models=versions)
            self.current = Challenging(champions, champions.challenged(models), versions)

    def _model(self, name: str, champion: str | None) -> Any:
        """The challenger of a model; None without one, for a broken one, and for the champion itself."""
        version = read_text(self.workspace.bundles / name / "challenger")
        if version is None or champion is None or champion.partition("-")[0] == version:
            self.faults.pop(name, None)
            self._opened.pop(name, None)
            return None
        sign = (version, champion)
        if self._opened.get(name, (None,))[0] != sign:
            self._opened[name] = sign, self._open(name, version)
        return self._opened[name][1]

    def _open(self, name: str, version: str) -> Any:
        setting = self.workspace.settings.bundle_key
        key = setting.get_secret_value().encode() if setting else None
        directory = self.workspace.bundles / name / version
        self.faults.pop(name, None)
        try:
            verify_bundle(directory, key)
            self.attempt(name, directory, key)
            with standing_back(SHARE):
                return open_model(name, directory, key)
        except Exception as error:  # a challenger that can't be opened is no reason to stop answering
            self.faults[name] = error.message() if isinstance(error, BaristaError) else type(error).__name__
            LOG.error("challenger refused", model=name, version=version, reason=self.faults[name])
            return None
