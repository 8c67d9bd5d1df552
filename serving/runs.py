"""The last published run of whole-base scores, and which answers agree with it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from recsys.data.files import replace_text
from recsys.decisioning.answers import Level, Novelty, OfferContext, OfferRequest

LAST = "last.json"


@dataclass(frozen=True, slots=True)
class ScoreRun:
    """What a published run was computed from.

    as_of            instant all rows hold for [s]
    tail_sequence    newest event that counted; 0 without any
    model_versions   version of each model that took part, by name
    n, mode          offers asked for each customer
    level, look_back_days  what new means among them, see `recsys.decisioning.answers.Novelty`
    """

    run_id: str
    snapshot_id: str
    as_of: int
    tail_sequence: int
    model_versions: dict[str, str]
    n: int
    mode: str
    customers: int
    level: Level = "item"
    look_back_days: int | None = None

    def holds(self, snapshot_id: str, model_versions: dict[str, str], as_of: int) -> bool:
        """Whether answers from this state at `as_of` [s] are the run's rows, but for later events."""
        return (self.snapshot_id, self.model_versions, self.as_of) == (snapshot_id, model_versions, as_of)

    def offers_like(self, request: OfferRequest) -> bool:
        """Whether the run's offers answer `request`: same mode and novelty, not more, nothing excluded or added."""
        plain = not (request.exclude or request.basket or request.attributes) and request.context == OfferContext()
        novelty = Novelty(self.level, self.look_back_days)
        return plain and (request.mode, request.novelty) == (self.mode, novelty) and request.n <= self.n


def write_run(directory: Path, run: ScoreRun) -> None:
    """Record `run` as the last published one in `directory` (the workspace's `scores`), whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    replace_text(directory / LAST, json.dumps(asdict(run), indent=1))


def read_run(directory: Path) -> ScoreRun | None:
    """The last published run, None without one that can be read."""
    try:
        return ScoreRun(**json.loads((directory / LAST).read_text()))
    except (OSError, ValueError, TypeError):
        return None
