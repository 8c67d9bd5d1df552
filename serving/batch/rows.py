"""Answers → rows of three tables: a customer, a category of theirs, an offer. Numbers are the answers' own bits."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import orjson
import pyarrow as pa

from recsys.decisioning.answers import ChurnScore, Interval, OffersAnswer, Reason, ScoresAnswer, ValueScore, Worth
from recsys.decisioning.timing import WITHIN, Due, TimingAnswer
from recsys.models.predictive import LEVELS

Table = Literal["scores", "timing", "offers"]
TABLES: tuple[Table, ...] = ("scores", "timing", "offers")

INSTANTS = ("last_at", "at", "low", "high", "likely_low", "likely_high")
"""Instants of `Due` that a row of timing tells."""

ENDPOINTS = tuple((part, end) for part in ("spend", "orders") for end in ("low", "high"))
ENDS = tuple((part, end, level) for level in LEVELS for part, end in ENDPOINTS)
"""Ends of the intervals, a column each: `spend_low_50`, `orders_high_95` …"""


def _worth_column(name: str) -> str:
    """Column of a field of `Worth`."""
    return "worth_days" if name == "days" else name


WORTHS = tuple(map(_worth_column, Worth.__struct_fields__))
WORTH = {"worth_days": pa.int32(), "paid_back": pa.bool_(), "profitable": pa.bool_()}
"""Types of the columns that are no amounts."""

REASONS = pa.list_(pa.struct([("code", pa.string()), ("text", pa.string()), ("evidence", pa.string())]))
"""`evidence` is a JSON object of the figures in the text."""


@dataclass(frozen=True, slots=True)
class Answered:
    """All answers for one customer; `offers` is None where no offers model is published."""

    scores: ScoresAnswer
    timing: TimingAnswer
    offers: OffersAnswer | None


def schema(table: Table, zone: str) -> pa.Schema:
    """Columns of a table; instants carry the business time zone."""
    instant = pa.timestamp("s", tz=zone)
    columns: dict[Table, list[tuple[str, pa.DataType]]] = {
        "scores": [
            ("customer_id", pa.string()),
            ("evidence", pa.string()),
            ("churn_probability", pa.float64()),
            ("churn_at_risk", pa.bool_()),
            ("churn_threshold", pa.float64()),
            ("churn_horizon_days", pa.int32()),
            ("churn_reasons", REASONS),
            ("expected_spend", pa.float64()),
            ("spend_low", pa.float64()),
            ("spend_high", pa.float64()),
            ("expected_orders", pa.float64()),
            ("p_alive", pa.float64()),
            ("next_purchase_at", instant),
            ("next_purchase_low", instant),
            ("next_purchase_high", instant),
            ("value_horizon_days", pa.int32()),
            ("year_spend", pa.float64()),
            ("year_is_extrapolated", pa.bool_()),
            ("median_spend", pa.float64()),
            ("median_orders", pa.float64()),
            ("value_tier", pa.string()),
            *((f"{part}_{end}_{level:.0%}".rstrip("%"), pa.float64()) for part, end, level in ENDS),
            *((name, WORTH.get(name, pa.float64())) for name in WORTHS if name != "pays_back_at"),
            ("pays_back_at", instant),
        ],
        "timing": [
            ("customer_id", pa.string()),
            ("category", pa.string()),
            ("purchases", pa.int32()),
            *((name, instant) for name in INSTANTS),
            *((f"within_{days}", pa.float64()) for days in WITHIN),
        ],
        "offers": [
            ("customer_id", pa.string()),
            ("rank", pa.int32()),
            ("item_id", pa.string()),
            ("name", pa.string()),
            ("group", pa.string()),
            ("probability", pa.float64()),
            ("expected_value", pa.float64()),
            ("novelty", pa.string()),
            ("sources", pa.list_(pa.string())),
            ("raw", pa.float64()),
            ("reasons", REASONS),
        ],
    }
    return pa.schema(columns[table])


def rows_of(table: Table, answers: Iterable[Answered]) -> list[dict[str, Any]]:
    """Rows of a table in the sequence of the answers."""
    if table == "scores":
        return [_scores(each.scores) for each in answers]
    if table == "timing":
        return [row for each in answers for row in _timing(each.timing)]
    return [row for each in answers if each.offers for row in _offers(each.offers)]


def _scores(answer: ScoresAnswer) -> dict[str, Any]:
    row = {"customer_id": answer.customer_id, "evidence": answer.evidence}
    return row | _churn(answer.churn) | _value(answer.value)


def _churn(score: ChurnScore | None) -> dict[str, Any]:
    if score is None:
        return {}
    return {
        "churn_probability": score.probability,
        "churn_at_risk": score.at_risk,
        "churn_threshold": score.threshold,
        "churn_horizon_days": score.horizon_days,
        "churn_reasons": _reasons(score.reasons),
    }


def _value(score: ValueScore | None) -> dict[str, Any]:
    if score is None:
        return {}
    return {
        "expected_spend": score.expected_spend,
        "spend_low": score.spend_low,
        "spend_high": score.spend_high,
        "expected_orders": score.expected_orders,
        "p_alive": score.p_alive,
        "next_purchase_at": score.next_purchase_at,
        "next_purchase_low": score.next_purchase_low,
        "next_purchase_high": score.next_purchase_high,
        "value_horizon_days": score.horizon_days,
        "year_spend": score.year_spend,
        "year_is_extrapolated": score.year_is_extrapolated,
        "median_spend": score.median_spend,
        "median_orders": score.median_orders,
        "value_tier": score.tier,
        **_intervals(score.intervals),
        **{_worth_column(name): getattr(score.worth, name) for name in Worth.__struct_fields__},
    }


def _intervals(bands: Iterable[Interval]) -> dict[str, float]:
    """Ends by column, as `spend_low_50`."""
    return {
        f"{part}_{end}_{each.level:.0%}".rstrip("%"): getattr(each, f"{part}_{end}")
        for each in bands
        for part, end in ENDPOINTS
    }


def _timing(answer: TimingAnswer) -> list[dict[str, Any]]:
    """One row for purchases of anything, whose category is null, and one a category; none without a purchase."""
    if answer.next.at is None:
        return []
    every = [(None, answer.next), *((each.category, each.due) for each in answer.categories)]
    return [_due(answer.customer_id, category, due) for category, due in every]


def _due(customer_id: str, category: str | None, due: Due) -> dict[str, Any]:
    row = {"customer_id": customer_id, "category": category, "purchases": due.purchases}
    row |= {name: getattr(due, name) for name in INSTANTS}
    chances = due.within or (None,) * len(WITHIN)
    return row | {f"within_{days}": chance for days, chance in zip(WITHIN, chances, strict=True)}


def _offers(answer: OffersAnswer) -> list[dict[str, Any]]:
    return [
        {
            "customer_id": answer.customer_id,
            "rank": rank,
            "item_id": offer.item_id,
            "name": offer.name,
            "group": offer.group,
            "probability": offer.probability,
            "expected_value": offer.expected_value,
            "novelty": offer.novelty,
            "sources": list(offer.sources),
            "raw": offer.raw,
            "reasons": _reasons(offer.reasons),
        }
        for rank, offer in enumerate(answer.offers, 1)
    ]


def _reasons(reasons: Iterable[Reason]) -> list[dict[str, str]]:
    return [{"code": r.code, "text": r.text, "evidence": orjson.dumps(r.evidence).decode()} for r in reasons]
