"""How long each stage of an answer took."""

import time
from typing import Literal

Stage = Literal["state", "candidates", "ranking", "scoring", "log"]

STAGES: tuple[Stage, ...] = ("state", "candidates", "ranking", "scoring", "log")
"""state: newer orders read; candidates: gathered, with their features; ranking: trees, probabilities, reasons; scoring:
features, churn and value; log: the decision's record made and kept."""


class Laps:
    """A stop watch: called with the name of a stage when it ends; `ends` [s of `time.perf_counter`]."""

    __slots__ = ("ends", "start")

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.ends: list[tuple[Stage, float]] = []

    def __call__(self, stage: Stage) -> None:
        """The stage ends now, and the next one begins."""
        self.ends.append((stage, time.perf_counter()))

    def seconds(self) -> list[tuple[Stage, float]]:
        """How long each stage took, in the sequence they ended [s]."""
        found, before = [], self.start
        for stage, end in self.ends:
            found.append((stage, end - before))
            before = end
        return found
