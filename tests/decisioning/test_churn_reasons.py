"""Reasons of churn: of simulated leavers the first names the true cause; no sentence contradicts its numbers."""

import pytest

from tests.decisioning.leaving import TRUE, Leaver, leavers


@pytest.fixture(scope="module")
def told() -> list[Leaver]:
    """700 offices, those that are leaving."""
    return list(leavers(11, 700))


def test_the_first_reason_names_the_true_cause(told):
    """Six in ten at least; blind guessing among the three causes would reach one third."""
    assert sum(each.right for each in told) / len(told) > 0.6


@pytest.mark.parametrize("cause", TRUE)
def test_every_cause_is_found_more_often_than_not(told, cause):
    """No cause is told well at the cost of another."""
    mine = [each.right for each in told if each.cause == cause]
    assert sum(mine) > len(mine) / 2


CLAIMS = {
    "slower_rhythm": lambda x: x["recent_gap_days"] > x["usual_gap_days"],
    "faster_rhythm": lambda x: x["recent_gap_days"] < x["usual_gap_days"],
    "fewer_visits": lambda x: x["orders_lately"] < x["orders_before"],
    "more_visits": lambda x: x["orders_lately"] > x["orders_before"],
    "less_spend": lambda x: x["spend_lately"] < x["spend_before"],
    "more_spend": lambda x: x["spend_lately"] > x["spend_before"],
    "smaller_basket": lambda x: x["lines_lately"] < x["lines_all"] or x["order_lately"] < x["order_all"],
    "larger_basket": lambda x: x["lines_lately"] > x["lines_all"] or x["order_lately"] > x["order_all"],
    "long_silence": lambda x: x["days_since_last"] > x["usual_gap_days"],
    "lost_category": lambda x: x["share"] * x["lines"] >= 3,
    "lost_favourites": lambda x: 0 < x["lost"] <= x["favourites"],
}


def test_sentences_say_what_their_numbers_say(told):
    """A basket that shrinks is smaller, a slower rhythm slower, in the numbers told beside it."""
    reasons = [reason for each in told for reason in each.reasons if reason.code in CLAIMS]
    assert [reason for reason in reasons if not CLAIMS[reason.code](reason.evidence)] == []
    assert len(reasons) > len(told)
