"""Answers of the library → bodies of the HTTP interface: instants as ISO text in the business time zone."""

from collections.abc import Iterable

from recsys.data.clock import to_iso
from recsys.data.snapshot import SnapshotFacts
from recsys.decisioning.answers import ChurnScore, Offer, OffersAnswer, Reason, ScoresAnswer, ValueScore
from serving.http.bodies import ChurnBody, OfferBody, OffersBody, ReasonBody, ScoresBody, ValueBody


def offers_body(answer: OffersAnswer, facts: SnapshotFacts, batch_run: str | None) -> OffersBody:
    """Body of an offers answer."""
    return OffersBody(
        customer_id=answer.customer_id,
        as_of=to_iso(answer.as_of, facts.timezone),
        snapshot_id=answer.snapshot_id,
        model_version=answer.model_version,
        batch_run=batch_run,
        evidence=answer.evidence,
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
    return tuple(ReasonBody(reason.code, reason.text, reason.evidence) for reason in reasons)


def scores_body(answer: ScoresAnswer, facts: SnapshotFacts, batch_run: str | None) -> ScoresBody:
    """Body of a scores answer."""
    return ScoresBody(
        customer_id=answer.customer_id,
        as_of=to_iso(answer.as_of, facts.timezone),
        snapshot_id=answer.snapshot_id,
        batch_run=batch_run,
        evidence=answer.evidence,
        currency=facts.currency,
        churn=_churn(answer.churn) if answer.churn else None,
        value=_value(answer.value, facts.timezone) if answer.value else None,
    )


def _churn(score: ChurnScore) -> ChurnBody:
    return ChurnBody(score.probability, score.horizon_days, score.model_version, _reasons(score.reasons))


def _value(score: ValueScore, zone: str) -> ValueBody:
    return ValueBody(
        expected_spend=score.expected_spend,
        spend_low=score.spend_low,
        spend_high=score.spend_high,
        expected_orders=score.expected_orders,
        p_alive=score.p_alive,
        next_purchase_at=_iso(score.next_purchase_at, zone),
        next_purchase_low=_iso(score.next_purchase_low, zone),
        next_purchase_high=_iso(score.next_purchase_high, zone),
        horizon_days=score.horizon_days,
        year_spend=score.year_spend,
        year_is_extrapolated=score.year_is_extrapolated,
        model_version=score.model_version,
    )


def _iso(at: int | None, zone: str) -> str | None:
    return None if at is None else to_iso(at, zone)
