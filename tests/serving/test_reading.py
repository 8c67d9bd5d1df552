"""The client that reads what it is answered while models change: an answer that mixes versions does not escape it."""

import json
import time
from collections import Counter

import pytest

from tests.benchmarks.load import Seen
from tests.benchmarks.sides import Case, Side
from tests.faults.reading import Read, reading, told

OFFERS = {"model_version": "2-ab", "offers": [{"item_id": "tea", "raw": 0.1}, {"item_id": "latte", "raw": -0.0}]}
SCORES = {"churn": {"model_version": "3-cd", "probability": 0.30000000000000004}, "value": None}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (OFFERS, ("2-ab", '[["tea", 0.1], ["latte", -0.0]]')),
        (SCORES, ("3-cd", "0.30000000000000004")),
        ({"title": "no answer"}, ("", "unreadable: KeyError")),
    ],
)
def test_an_answer_says_its_version_and_every_bit(answer, said):
    """Items with raw scores, or the probability of churn; what is no answer is told as that."""
    assert told(json.dumps(answer).encode()) == said


def test_answers_of_the_other_version_are_counted():
    """Version 2 with version 3's scores, twice, and a version that nobody expects, are three that mix."""
    expected = {(0, "2"): "a", (0, "3"): "b"}
    found = Counter({(0, "2", "a"): 5, (0, "3", "b"): 7, (0, "2", "b"): 2, (0, "4", "a"): 1})
    assert Read(found=found).mixed(expected) == 3


def test_the_longest_time_without_an_answer_is_between_two_of_them():
    """Answers at 1.0, 1.1, 1.4 and 1.45 s, whatever their sequence: 300 ms."""
    read = Read(Seen(ends=[1.4, 1.0, 1.45, 1.1]))
    assert read.longest_gap == pytest.approx(300.0)


def test_what_is_refused_unanswered_or_never_sent_has_failed():
    """Four of nine: two 503, one without an answer, one without a connection."""
    assert Read(Seen(statuses={"200": 5, "503": 2}, unanswered=1, unsent=1)).failed == 4


def test_a_service_is_read_until_the_block_ends(shared):
    """Offers and scores of both customers are asked at a rate, none fails, and each request has one answer."""
    case = Case(shared.workspace.directory, "", ["ann", "bob", "ann"])
    with reading(case, Side(None, shared.http.base_url.port, 0.0), 50.0) as read:
        time.sleep(3.0)
    alike = sorted(number for number, _, _ in read.found)
    assert (read.failed, alike) == (0, [0, 1, 2, 3])
