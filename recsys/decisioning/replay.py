"""A recorded decision computed again from what it was computed from, and compared bit for bit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from recsys.data.looks import Look
from recsys.data.tail import OrderEvent
from recsys.decisioning.recommend import rank
from recsys.decisioning.record import DecisionRecord, ItemNames, Origin, content_of, made_with
from recsys.decisioning.serving import Serving
from recsys.errors import DecisionError

_MADE_WITH = "/made_with"

MOST = 20
"""Differences that are named."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a value differs: JSON pointer, what was recorded, what was computed now."""

    pointer: str
    recorded: object
    computed: object


@dataclass(frozen=True, slots=True)
class Replay:
    """Outcome of a replay: `same` when every bit of candidates, scores and offers is the recorded one.

    made_with  versions and processor now, where they are others than those of the record
    """

    decision_id: str
    same: bool
    candidates: int
    offers: int
    differences: tuple[Difference, ...]
    made_with: str | None


def replay(
    serving: Serving, record: DecisionRecord, events: Sequence[OrderEvent], looks: Sequence[Look] = ()
) -> Replay:
    """Compute `record` again on the `serving` of its snapshot and models, with the `events` and `looks` up to then.

    Raises:
        DecisionError: some of the events it was computed from are gone.
    """
    recorded = record.read()
    events = () if recorded.stale else events
    looks = () if recorded.stale or recorded.looks is None else looks
    if len(events) != recorded.events or len(looks) != (recorded.looks or 0):
        raise DecisionError(
            "Events this decision was computed from are gone",
            found=f"{len(events)} orders, {len(looks)} looks",
            expected=f"{recorded.events} orders, {recorded.looks or 0} looks up to sequence {recorded.last_sequence}",
        )
    request = recorded.asked.request(record.customer_id)
    ranking = rank(serving, request, events, recorded.as_of, looks=looks)
    origin = Origin(ItemNames(serving.snapshot.catalogue.items), recorded.models, recorded.seed)
    seen = {"events": len(events), "last_sequence": recorded.last_sequence}
    content = content_of(request, ranking, origin, **seen, stale=recorded.stale, looks=recorded.looks)
    computed = _json_of(content)
    kept = msgspec.json.decode(record.content)
    kept["asked"] = _json_of(recorded.asked)  # older records lack what could not be asked then: it has its default
    found = [each for each in _differences(kept, computed) if each.pointer != _MADE_WITH]
    machine = made_with() if made_with() != recorded.made_with else None
    n, k = len(ranking.items), len(ranking.answer.offers)
    return Replay(record.decision_id, not found, n, k, tuple(found[:MOST]), machine)


def _json_of(value: Any) -> Any:
    """`value` as its JSON is read."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _differences(recorded: Any, computed: Any, pointer: str = "") -> Iterator[Difference]:
    """Leaves of two JSON values that differ; keys this version does not write are not compared."""
    if isinstance(recorded, dict) and isinstance(computed, dict):
        for key, value in computed.items():
            yield from _differences(recorded.get(key), value, f"{pointer}/{key}")
    elif isinstance(recorded, list) and isinstance(computed, list) and len(recorded) == len(computed):
        for at, (old, new) in enumerate(zip(recorded, computed, strict=True)):
            yield from _differences(old, new, f"{pointer}/{at}")
    elif recorded != computed or type(recorded) is not type(computed):
        yield Difference(pointer or "/", recorded, computed)
