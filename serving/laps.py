"""How long each stage of an answer took."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

Stage = Literal["state", "policy", "candidates", "ranking", "scoring", "log"]

STAGES: tuple[Stage, ...] = ("state", "policy", "candidates", "ranking", "scoring", "log")
"""state: newer orders read and laid over the history; policy: what may be offered, by exclusions, basket, context,
assortment and novelty; candidates: gathered, with their features; ranking: trees, probabilities, reasons; scoring:
features, churn and value; log: the decision's record made and kept."""


class Laps:
    """A stop watch: called with the name of a stage when it ends; `ends` [s of `time.perf_counter`].

    `snapshot_id` and `versions` (of the models, by name) say what the answer was made from, once it is known.
    """

    __slots__ = ("ends", "snapshot_id", "start", "versions")

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.ends: list[tuple[Stage, float]] = []
        self.snapshot_id = ""
        self.versions: Mapping[str, str] = {}

    def __call__(self, stage: Stage) -> None:
        """The stage ends now, and the next one begins."""
        self.ends.append((stage, time.perf_counter()))

    def of(self, snapshot_id: str, versions: Mapping[str, str], models: Iterable[str]) -> None:
        """Note what is answered from: of the models in `versions` those of `models`."""
        self.snapshot_id = snapshot_id
        self.versions = {name: versions[name] for name in models if name in versions}

    def spans(self) -> Iterator[tuple[Stage, float, float]]:
        """Each stage with its begin and end, in the sequence they ended [s of `time.perf_counter`]."""
        before = self.start
        for stage, end in self.ends:
            yield stage, before, end
            before = end
