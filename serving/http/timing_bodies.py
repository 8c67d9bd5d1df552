"""Bodies of the timing route: when a customer buys next, of anything and of each category."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from recsys.data.clock import to_iso
from recsys.data.snapshot import SnapshotFacts
from recsys.decisioning.timing import WITHIN, Due, TimingAnswer

Chance = Annotated[float, Meta(ge=0, le=1)]


class TimingQuery(Struct, forbid_unknown_fields=True, frozen=True):
    """Query of timing: with each category or without."""

    categories: bool = True


class DueBody(Struct, frozen=True):
    """The next purchase: median, 80% window (`low`, `high`), 50% window (`likely_low`, `likely_high`).

    `within` is P(a purchase) by number of days from `as_of`; all null without a purchase so far.
    """

    purchases: int
    last_at: str | None
    at: str | None
    low: str | None
    high: str | None
    likely_low: str | None
    likely_high: str | None
    within: dict[str, Chance] | None


class CategoryDueBody(Struct, frozen=True):
    """The next purchase in one category."""

    category: str
    next: DueBody


class TimingBody(Struct, frozen=True):
    """When one customer buys next; categories bought on three days or more, soonest first. `stale` as in offers."""

    customer_id: str
    as_of: str
    snapshot_id: str
    batch_run: str | None
    evidence: Literal["history", "low"]
    stale: bool
    next: DueBody
    categories: tuple[CategoryDueBody, ...]


def timing_body(answer: TimingAnswer, facts: SnapshotFacts, batch_run: str | None, *, stale: bool) -> TimingBody:
    """Body of a timing answer; instants in the business time zone."""
    zone = facts.timezone
    return TimingBody(
        customer_id=answer.customer_id,
        as_of=to_iso(answer.as_of, zone),
        snapshot_id=answer.snapshot_id,
        batch_run=batch_run,
        evidence=answer.evidence,
        stale=stale,
        next=_due(answer.next, zone),
        categories=tuple(CategoryDueBody(each.category, _due(each.due, zone)) for each in answer.categories),
    )


def _due(due: Due, zone: str) -> DueBody:
    return DueBody(
        purchases=due.purchases,
        last_at=_iso(due.last_at, zone),
        at=_iso(due.at, zone),
        low=_iso(due.low, zone),
        high=_iso(due.high, zone),
        likely_low=_iso(due.likely_low, zone),
        likely_high=_iso(due.likely_high, zone),
        within=None if due.within is None else dict(zip(map(str, WITHIN), due.within, strict=True)),
    )


def _iso(at: int | None, zone: str) -> str | None:
    return None if at is None else to_iso(at, zone)
