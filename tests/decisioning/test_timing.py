"""Timing: it moves with a purchase and with time, and says what it does not know."""

from functools import cache

from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.decisioning import Serving
from recsys.decisioning.scores import score
from recsys.decisioning.timing import LEAST_PURCHASES, TimingAnswer, timing
from recsys.testing.builders import event, random_snapshot
from recsys.testing.serving import linear_serving


@cache
def whole() -> Snapshot:
    return random_snapshot(31, 40)


@cache
def serving() -> Serving:
    return linear_serving(whole())


def ask(customer: str = "c0005", *events: object, later: int = 0) -> TimingAnswer:
    return timing(serving(), customer, events, whole().as_of + later * DAY)


def test_a_purchase_moves_the_next_one() -> None:
    """A purchase made a moment ago counts, and another date follows."""
    posted = event("e1", "c0005 p001 2025-03-01T09:00 1x5.00")
    before, after = ask(later=70), ask("c0005", posted, later=70)
    assert after.next.purchases == before.next.purchases + 1
    assert after.next.at != before.next.at


def test_silence_moves_the_next_purchase_away() -> None:
    """Each month without a purchase makes a purchase within two weeks less likely."""
    chances = [ask(later=days).next.within[1] for days in (60, 120, 240)]
    assert chances == sorted(chances, reverse=True)


def test_the_window_lies_ahead() -> None:
    """As of any instant: as_of ≤ low ≤ likely low ≤ median ≤ likely high ≤ high."""
    due = ask(later=100).next
    bounds = [whole().as_of + 100 * DAY, due.low, due.likely_low, due.at, due.likely_high, due.high]
    assert bounds == sorted(bounds)


def test_scores_tell_the_same_date() -> None:
    """The next purchase in scores is that of timing."""
    value = score(serving(), "c0005", (), whole().as_of).value
    due = ask().next
    assert (value.next_purchase_low, value.next_purchase_at, value.next_purchase_high) == (due.low, due.at, due.high)


def test_categories_come_soonest_first() -> None:
    """Categories bought often enough, by date."""
    answers = [ask(f"c{k:04d}").categories for k in range(40)]
    assert any(len(found) > 1 for found in answers)
    assert all([each.due.at for each in found] == sorted(each.due.at for each in found) for found in answers)
    assert min(each.due.purchases for found in answers for each in found) == LEAST_PURCHASES


def test_a_stranger_gets_no_date() -> None:
    """Without a purchase nothing is foretold."""
    answer = ask("nobody")
    assert (answer.evidence, answer.next.at, answer.next.within, answer.categories) == ("low", None, None, ())
