"""What both the service and the nightly batch answer from: one opened snapshot with its models."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from recsys.data.files import read_text
from recsys.data.forgetting import ErasedAt
from recsys.data.looks import Look
from recsys.data.snapshot import Snapshot
from recsys.data.tail import OrderEvent
from recsys.decisioning import OfferRequest, OffersAnswer, Ranking, ScoresAnswer, Serving, rank, score
from recsys.decisioning.record import ItemNames, ModelMark, Origin
from recsys.decisioning.timing import TimingAnswer, timing
from recsys.workspace import Workspace

Ended = Callable[[Literal["state", "policy", "candidates", "ranking"]], object]

MODELS = ("offers", "churn", "value")
"""Names of the models, in the sequence they are shown."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is told of a published model; `metrics` are those of its back-test; `features` is a fingerprint."""

    name: str
    version: str
    kind: str
    digest: str
    horizon_days: int | None
    metrics: Mapping[str, float]
    features: str = ""
    threshold: float | None = None


class Answers(Protocol):
    """Pure answers of one state: same inputs, same bits, on any thread."""

    @property
    def snapshot(self) -> Snapshot:
        """The opened snapshot."""

    def recommend(
        self, request: OfferRequest, events: Sequence[OrderEvent], as_of: int, looks: Sequence[Look] = ()
    ) -> OffersAnswer:
        """Offers for one customer at `as_of` [s]."""

    def rank(
        self,
        request: OfferRequest,
        events: Sequence[OrderEvent],
        as_of: int,
        ended: Ended = lambda _stage: None,
        looks: Sequence[Look] = (),
    ) -> Ranking:
        """Offers for one customer at `as_of` [s], with all that was ranked for them; `ended` hears of the stages."""

    def score(
        self,
        customer_id: str,
        events: Sequence[OrderEvent],
        as_of: int,
        *,
        reasons: bool,
        language: str = "en",
        customer: int | None = None,
    ) -> ScoresAnswer:
        """Churn and value of one customer at `as_of` [s], reasons told in `language`; `customer` if already found."""

    def timing(
        self, customer_id: str, events: Sequence[OrderEvent], as_of: int, *, categories: bool = True
    ) -> TimingAnswer:
        """When one customer buys next, seen at `as_of` [s]."""

    def models(self) -> tuple[ModelFacts, ...]:
        """The published models, those that are missing left out."""

    def challenged(self, models: Mapping[str, Any]) -> "Answers":
        """The same snapshot with `models` (by name) in the place of the published ones."""


def versions_of(answers: Answers) -> dict[str, str]:
    """Version of each published model by name; a threshold set by costs answers too, so it is one."""
    versions = {facts.name: facts.version for facts in answers.models()}
    thresholds = {facts.name: facts.threshold for facts in answers.models() if facts.threshold is not None}
    return versions | {f"{name} threshold": repr(threshold) for name, threshold in thresholds.items()}


def origin_of(answers: Answers, seed: int) -> Origin:
    """What all decisions made from `answers` have in common."""
    marks = {each.name: ModelMark(each.version, each.digest, each.features) for each in answers.models()}
    return Origin(ItemNames(answers.snapshot.catalogue.items), marks, seed)


@dataclass(frozen=True, slots=True)
class Opened:
    """The workspace's current snapshot with its champions."""

    serving: Serving
    published: tuple[ModelFacts, ...]

    @property
    def snapshot(self) -> Snapshot:
        """The opened snapshot."""
        return self.serving.snapshot

    def recommend(
        self, request: OfferRequest, events: Sequence[OrderEvent], as_of: int, looks: Sequence[Look] = ()
    ) -> OffersAnswer:
        """Offers for one customer at `as_of` [s]."""
        return self.rank(request, events, as_of, looks=looks).answer

    def rank(
        self,
        request: OfferRequest,
        events: Sequence[OrderEvent],
        as_of: int,
        ended: Ended = lambda _stage: None,
        looks: Sequence[Look] = (),
    ) -> Ranking:
        """Offers for one customer at `as_of` [s], with all that was ranked for them; `ended` hears of the stages."""
        return rank(self.serving, request, events, as_of, ended, looks)

    def score(
        self,
        customer_id: str,
        events: Sequence[OrderEvent],
        as_of: int,
        *,
        reasons: bool,
        language: str = "en",
        customer: int | None = None,
    ) -> ScoresAnswer:
        """Churn and value of one customer at `as_of` [s], reasons told in `language`; `customer` if already found."""
        return score(self.serving, customer_id, events, as_of, reasons=reasons, language=language, customer=customer)

    def timing(
        self, customer_id: str, events: Sequence[OrderEvent], as_of: int, *, categories: bool = True
    ) -> TimingAnswer:
        """When one customer buys next, seen at `as_of` [s]."""
        return timing(self.serving, customer_id, events, as_of, categories=categories)

    def models(self) -> tuple[ModelFacts, ...]:
        """The published models."""
        return self.published

    def challenged(self, models: Mapping[str, Any]) -> "Opened":
        """The same snapshot with `models` (by name) in the place of the published ones."""
        return Opened(replace(self.serving, **models), self.published)


def open_answers(
    workspace: Workspace, erased_at: ErasedAt | None = None, bundles: Mapping[str, Path | None] | None = None
) -> Opened:
    """Open what the workspace points at; customers that `erased_at` names are not found in it.

    `bundles` by name of the model stand in the place of the champions.

    Raises:
        SnapshotError: nothing was imported, or it is broken.
        BundleError: a champion is damaged.
    """
    chosen = {name: workspace.champion(name) for name in MODELS} if bundles is None else bundles
    serving = workspace.load_serving(erased_at=erased_at, bundles=chosen)
    models = {"offers": serving.offers, "churn": serving.churn, "value": serving.value}
    published = tuple(
        _facts(chosen[name], name, model.version, model.horizon_days) for name, model in models.items() if model
    )
    return Opened(serving, tuple(_judged(each, serving) for each in published))


def _judged(facts: ModelFacts, serving: Serving) -> ModelFacts:
    """Churn's facts with the threshold its answers are held against."""
    return replace(facts, threshold=serving.churn.threshold) if facts.name == "churn" and serving.churn else facts


def _facts(folder: Path | None, name: str, version: str, horizon_days: int) -> ModelFacts:
    manifest = json.loads(read_text(folder / "manifest.json") or "{}") if folder else {}
    kind, digest = manifest.get("kind", ""), manifest.get("digest", "")
    features = manifest.get("feature_spec", {}).get("fingerprint", "")
    return ModelFacts(name, version, kind, digest, horizon_days, dict(_numbers(manifest.get("metrics", {}))), features)


def _numbers(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Metrics under dotted names, numbers only."""
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and math.isfinite(value):
            yield f"{prefix}{name}", float(value)
