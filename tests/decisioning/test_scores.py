"""Scores: what a purchase does to them, and what an unknown customer gets."""

from functools import cache

import pytest

from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.decisioning import ScoresAnswer, Serving, score
from recsys.decisioning.churn_reasons import CHURN_CODES, MEANINGS
from recsys.features.customer import CUSTOMER_FEATURES
from recsys.testing.builders import event, random_snapshot
from tests.decisioning.sensible import sensible_serving


@cache
def whole() -> Snapshot:
    return random_snapshot(31, 40)


@cache
def serving() -> Serving:
    return sensible_serving(whole())


def ask(customer: str = "c0005", *events: object, later: int = 0, reasons: bool = False) -> ScoresAnswer:
    return score(serving(), customer, events, whole().as_of + later * DAY, reasons=reasons)


def test_a_purchase_lowers_churn_at_once() -> None:
    """A customer who has just bought is less likely to be gone than a moment before."""
    posted = event("e1", "c0005 p001 2025-03-01T09:00 1x5.00")
    before, after = ask(later=70), ask("c0005", posted, later=70)
    assert after.churn.probability < before.churn.probability


def test_a_purchase_moves_the_next_purchase_date() -> None:
    """The expected next purchase lies after the one just made and differs from before."""
    posted = event("e1", "c0005 p001 2025-03-01T09:00 1x5.00")
    before, after = ask(later=70), ask("c0005", posted, later=70)
    assert after.value.next_purchase_at != before.value.next_purchase_at > 0


def test_silence_raises_churn() -> None:
    """The same customer a hundred days later is more likely to be gone."""
    assert ask(later=100).churn.probability > ask().churn.probability


def test_interval_holds_its_expectation() -> None:
    """The interval of a linear model lies around it as its table says: half and double."""
    value = ask().value
    assert (value.spend_low, value.spend_high) == pytest.approx((value.expected_spend / 2, value.expected_spend * 2))


def test_year_is_more_than_the_horizon_and_labelled() -> None:
    """A year beyond the horizon is extrapolated, larger and at most proportional."""
    value = ask().value
    assert value.year_is_extrapolated
    assert value.expected_spend < value.year_spend <= value.expected_spend * 365 / value.horizon_days


def test_an_unknown_customer_gets_the_priors() -> None:
    """Without history the answer is labelled and has no next purchase date."""
    answer = ask("nobody")
    assert (answer.evidence, answer.value.next_purchase_at, answer.value.p_alive) == ("low", None, 1.0)


def test_reasons_are_at_most_three_and_carry_their_contribution() -> None:
    """Reasons are ordered by what they add to the score."""
    found = [abs(reason.evidence["contribution"]) for reason in ask(reasons=True).churn.reasons]
    assert 0 < len(found) <= 3
    assert found == sorted(found, reverse=True)


def test_every_feature_has_one_meaning_and_every_meaning_its_codes() -> None:
    """Contributions are grouped without loss or double counting, and each group can be told."""
    named = [name for names in MEANINGS.values() for name in names]
    assert sorted(named) == sorted(CUSTOMER_FEATURES)
    assert set(CHURN_CODES) == set(MEANINGS)
