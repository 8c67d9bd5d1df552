"""A thread that stands back rests in proportion to what it worked; others do not rest."""

import threading

import pytest

from recsys.models import pacing


@pytest.fixture
def rests(monkeypatch):
    """How long was rested; each part takes 0.05 s of CPU."""
    clock, rested = [0.0], []

    def now() -> float:
        clock[0] += 0.05
        return clock[0]

    monkeypatch.setattr(pacing.time, "thread_time", now)
    monkeypatch.setattr(pacing.time, "sleep", rested.append)
    return rested


def test_nobody_rests_unasked(rests):
    """Parts come as they are, at once."""
    assert (list(pacing.parts_of("abc")), rests) == (["a", "b", "c"], [])


def test_who_stands_back_rests_in_proportion(rests):
    """At a fifth of the time, work of 0.05 s is followed by a rest of 0.2 s."""
    with pacing.standing_back(0.2):
        parts = list(pacing.parts_of("abc"))
    assert (parts, rests) == (["a", "b", "c"], pytest.approx([0.2, 0.2, 0.2]))


def test_only_the_thread_that_was_asked_rests(rests):
    """Another thread goes through its parts without a rest meanwhile."""
    with pacing.standing_back(0.2):
        other = threading.Thread(target=lambda: list(pacing.parts_of("abc")))
        other.start()
        other.join()
    assert rests == []


def test_it_ends_with_the_block(rests):
    """Afterwards the thread works as before, also when the block failed."""
    with pytest.raises(KeyError), pacing.standing_back(0.2):
        raise KeyError
    list(pacing.parts_of("abc"))
    assert rests == []
