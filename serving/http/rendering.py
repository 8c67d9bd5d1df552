"""Answers of the library → bodies of the HTTP interface: instants as ISO text in the business time zone."""

from collections.abc import Iterable
from operator import attrgetter
from typing import cast

from msgspec import structs

from recsys.data.clock import iso_text, to_iso
from recsys.data.snapshot import SnapshotFacts
from recsys.decisioning.answers import ChurnScore, Offer, OffersAnswer, Reason, ScoresAnswer, ValueScore, Worth
from recsys.decisioning.record import Asked, DecisionRecord
from serving.http.bodies import (
    AskedBody,
    CandidateBody,
    ChurnBody,
    Context,
    DecisionBody,
    Line,
    ModelMarkBody,
    OfferBody,
    OffersBody,
    ReasonBody,
    ScoresBody,
)
from serving.http.novelty_bodies import NoveltyWish
from serving.http.value_bodies import IntervalBody, ValueBody, WorthBody

_WORTH = attrgetter(*WorthBody.__struct_fields__)
_PAYS_BACK_AT = WorthBody.__struct_fields__.index("pays_back_at")


def offers_body(
    answer: OffersAnswer, facts: SnapshotFacts, batch_run: str | None, decision_id: str, *, stale: bool
) -> OffersBody:
    """Body of an offers answer, not recorded yet."""
    return OffersBody(
        customer_id=answer.customer_id,
        as_of=to_iso(answer.as_of, facts.timezone),
        decision_id=decision_id,
        recorded=False,
        snapshot_id=answer.snapshot_id,
        model_version=answer.model_version,
        batch_run=batch_run,
        evidence=answer.evidence,
        stale=stale,
        horizon_days=answer.horizon_days,
        candidates=answer.candidates,
        currency=facts.currency,
        offers=tuple(_offer(rank, offer) for rank, offer in enumerate(answer.offers, 1)),
    )


def _offer(rank: int, offer: Offer) -> OfferBody:
    return OfferBody(
        rank,
        offer.item_id,
        offer.name,
        offer.group,
        offer.probability,
        offer.expected_value,
        offer.novelty,
        offer.sources,
        offer.raw,
        _reasons(offer.reasons),
    )


def _reasons(reasons: Iterable[Reason]) -> tuple[ReasonBody, ...]:
    return tuple([ReasonBody(reason.code, reason.text, reason.evidence) for reason in reasons])


def decision_body(record: DecisionRecord, facts: SnapshotFacts) -> DecisionBody:
    """Body of a recorded decision; `facts` are those of the snapshot that answers now."""
    content, zone = record.read(), facts.timezone
    candidates = zip(content.candidates.items, content.candidates.raw, strict=True)
    return DecisionBody(
        decision_id=record.decision_id,
        customer_id=record.customer_id,
        decided_at=to_iso(record.decided_at, zone),
        as_of=to_iso(content.as_of, zone),
        snapshot_id=record.snapshot_id,
        events=content.events,
        last_sequence=content.last_sequence,
        stale=content.stale,
        models={name: ModelMarkBody(*structs.astuple(mark)) for name, mark in content.models.items()},
        seed=content.seed,
        made_with=content.made_with,
        asked=_asked(content.asked, 10**facts.minor_digits),
        evidence=content.evidence,
        horizon_days=content.horizon_days,
        candidates=tuple(CandidateBody(item, raw) for item, raw in candidates),
        offers=tuple(_offer(rank, offer) for rank, offer in enumerate(content.offers, 1)),
        looks=content.looks,
    )


def _asked(asked: Asked, scale: int) -> AskedBody:
    lines = (Line(line.product_id, line.quantity, line.amount / scale, line.discount / scale) for line in asked.basket)
    context = Context(asked.context.store_id, asked.context.groups)
    novelty = NoveltyWish(asked.novelty.level, asked.novelty.look_back_days)
    wishes = (asked.n, asked.mode, asked.exclude, tuple(lines), context, asked.reasons, asked.language, novelty)
    return AskedBody(*wishes, asked.attributes)


def scores_body(answer: ScoresAnswer, facts: SnapshotFacts, batch_run: str | None, *, stale: bool) -> ScoresBody:
    """Body of a scores answer."""
    return ScoresBody(
        answer.customer_id,
        to_iso(answer.as_of, facts.timezone),
        answer.snapshot_id,
        batch_run,
        answer.evidence,
        stale,
        facts.currency,
        _churn(answer.churn) if answer.churn else None,
        _value(answer.value, facts.timezone) if answer.value else None,
    )


def _churn(score: ChurnScore) -> ChurnBody:
    return ChurnBody(
        score.probability,
        score.at_risk,
        score.threshold,
        score.horizon_days,
        score.model_version,
        _reasons(score.reasons),
    )


def _value(score: ValueScore, zone: str) -> ValueBody:
    return ValueBody(
        score.expected_spend,
        score.spend_low,
        score.spend_high,
        score.expected_orders,
        score.p_alive,
        _iso(score.next_purchase_at, zone),
        _iso(score.next_purchase_low, zone),
        _iso(score.next_purchase_high, zone),
        score.horizon_days,
        score.year_spend,
        score.year_is_extrapolated,
        score.model_version,
        score.median_spend,
        score.median_orders,
        score.tier,
        cast(tuple[IntervalBody, ...], score.intervals),  # they have the very fields of the bodies
        _worth(score.worth, zone),
    )


def _worth(worth: Worth, zone: str) -> WorthBody:
    if worth.pays_back_at is None:
        return cast(WorthBody, worth)  # but for this instant it has the very fields of the body
    values = list(_WORTH(worth))
    values[_PAYS_BACK_AT] = _iso(worth.pays_back_at, zone)
    return WorthBody(*values)


def _iso(at: int | None, zone: str) -> str | None:
    return None if at is None else iso_text(at, zone)
