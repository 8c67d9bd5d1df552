"""What is kept of an answered request for offers, so that it can be explained, computed again and learned from.

Readers ignore keys they don't know: what later versions add (rules, propensities) goes beside these keys, and outcomes
are events that name the decision.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from recsys.data.ids import IdMap
from recsys.data.tail import EventLine
from recsys.decisioning.answers import Evidence, Mode, Novelty, Offer, OfferContext, OfferRequest
from recsys.decisioning.recommend import Ranking

FORMAT = 1
TELLING = ('"attributes":{"', '"code":"lookalikes"')
"""What stands in the JSON of a content that tells attributes of a person."""


class Asked(Struct, frozen=True):
    """An `OfferRequest` without the customer, who is named in one place of a record only."""

    n: int
    mode: Mode
    exclude: tuple[str, ...]
    basket: tuple[EventLine, ...]
    context: OfferContext
    reasons: bool
    language: str = "en"
    novelty: Novelty = Novelty()
    attributes: dict[str, str | float | bool] = {}  # msgspec makes a new one each time

    @classmethod
    def of(cls, request: OfferRequest) -> "Asked":
        """What `request` asks."""
        wishes = (request.n, request.mode, request.exclude, request.basket, request.context, request.reasons)
        return cls(*wishes, request.language, request.novelty, request.attributes)

    def request(self, customer_id: str) -> OfferRequest:
        """The request again."""
        wishes = (self.n, self.mode, self.exclude, self.basket, self.context)
        return OfferRequest(customer_id, *wishes, self.reasons, self.language, self.novelty, self.attributes)


class ModelMark(Struct, frozen=True):
    """A model that could take part: version as answers name it, digest of its bundle, fingerprint of its features."""

    version: str
    digest: str
    features: str


class Candidates(Struct, frozen=True):
    """Everything that was ranked, best first: item ids and the raw scores they were ranked by."""

    items: list[str]
    raw: list[float]


class DecisionContent(Struct, frozen=True):
    """What was asked, what it was computed from, what came out.

    as_of          instant the answer holds for [s]
    events         newer orders of the customer that were folded in; the last of them, and of `looks`, had
                   `last_sequence`
    looks          looks of the customer that were read; None in a record from before they counted
    stale          the database was out of reach, so newer orders could not be folded in
    models         by name
    seed           of every random choice
    made_with      versions and processor; other ones may round differently
    """

    format: int
    asked: Asked
    as_of: int
    events: int
    last_sequence: int
    stale: bool
    models: dict[str, ModelMark]
    seed: int
    made_with: str
    evidence: Evidence
    horizon_days: int
    candidates: Candidates
    offers: tuple[Offer, ...]
    looks: int | None = None


class DecisionRecord(Struct, frozen=True):
    """A decision as it is kept; `decided_at` [s]; `content` is the JSON of a `DecisionContent`.

    `erasures` is how many erasures of customers it knew, on its way to the database; 0 in what comes from there.
    """

    decision_id: str
    customer_id: str
    snapshot_id: str
    decided_at: int
    content: msgspec.Raw
    erasures: int = 0

    def read(self) -> DecisionContent:
        """The content decoded."""
        return msgspec.json.decode(self.content, type=DecisionContent)


class ItemNames:
    """Ids of items, read from the catalogue once each: reading 200 of them costs twenty times what this does."""

    def __init__(self, items: IdMap) -> None:
        self._items = items
        self._names, self._read = np.empty(len(items), object), np.zeros(len(items), np.bool_)

    def of(self, indices: npt.NDArray[np.int64]) -> list[str]:
        """Ids of the items at `indices` (n,)."""
        if not self._read[indices].all():
            for index in indices.tolist():
                self._names[index] = self._items[index]
            self._read[indices] = True
        names: list[str] = self._names[indices].tolist()
        return names


@dataclass(frozen=True, slots=True)
class Origin:
    """What the decisions of one state have in common: names of items, models, seed."""

    items: ItemNames
    models: Mapping[str, ModelMark]
    seed: int


_ENCODER = msgspec.json.Encoder()


def new_decision_id(now: float | None = None) -> str:
    """32 hexadecimal digits: milliseconds since 1970, so that ids sort by time, then 80 random bits."""
    at = int((now if now is not None else time.time()) * 1000)
    return f"{at:012x}{os.urandom(10).hex()}"


def content_of(
    request: OfferRequest,
    ranking: Ranking,
    origin: Origin,
    *,
    events: int,
    last_sequence: int,
    stale: bool = False,
    looks: int | None = None,
) -> DecisionContent:
    """What a record of `ranking`, the answer to `request`, holds."""
    answer = ranking.answer
    return DecisionContent(
        format=FORMAT,
        asked=Asked.of(request),
        as_of=answer.as_of,
        events=events,
        last_sequence=last_sequence,
        stale=stale,
        models=dict(origin.models),
        seed=origin.seed,
        made_with=made_with(),
        evidence=answer.evidence,
        horizon_days=answer.horizon_days,
        candidates=Candidates(origin.items.of(ranking.items), ranking.raw.tolist()),
        offers=answer.offers,
        looks=looks,
    )


def without_attributes(content: bytes) -> bytes:
    """The JSON of a `DecisionContent` without attributes of the person: those asked with and reasons made of them."""
    if not any(mark.encode() in content for mark in TELLING):
        return content
    kept = msgspec.json.decode(content)
    kept["asked"]["attributes"] = {}
    for offer in kept["offers"]:
        offer["reasons"] = [reason for reason in offer["reasons"] if reason["code"] != "lookalikes"]
    return _ENCODER.encode(kept)


def record_of(customer_id: str, snapshot_id: str, content: DecisionContent, erasures: int = 0) -> DecisionRecord:
    """A new record under an id of its own; it knew so many erasures."""
    now = time.time()
    raw = msgspec.Raw(_ENCODER.encode(content))
    return DecisionRecord(new_decision_id(now), customer_id, snapshot_id, int(now), raw, erasures)


@cache
def made_with() -> str:
    """What may change the last bit of a score: versions of this program, numpy and numba, and the processor."""
    from llvmlite import binding

    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba"))
    return f"barista {_own_version()}, {libraries}, {binding.get_host_cpu_name()}"


def _own_version() -> str:
    from recsys import __version__

    return __version__
