"""Pasts: what was known at an instant, and labels that may not look past the cut."""

from itertools import pairwise

import numpy as np
import pytest

from recsys.data.clock import DAY
from recsys.errors import ClockError
from recsys.testing.builders import at, random_snapshot, snapshot
from training.tables import Pasts

ROWS = (
    "ann latte 2024-01-01",
    "bob tea 2024-01-02",
    "ann tea 2024-01-12",
    "bob beans 2024-01-13",
    "cem tea 2024-01-14",
)


def test_labels_past_the_cut_are_refused() -> None:
    """A horizon that reaches beyond what may be known raises."""
    with pytest.raises(ClockError, match="past the cut"):
        Pasts(snapshot(*ROWS)).outcomes(at("2024-01-10"), 10, known_until=at("2024-01-19"))


def test_customers_who_come_later_are_not_in_the_past() -> None:
    """Cem's first purchase comes after the instant, so no row is made for him."""
    assert list(Pasts(snapshot(*ROWS)).at(at("2024-01-10")).snapshot.customers) == ["ann", "bob"]


def test_truth_keeps_what_no_model_of_the_day_could_offer() -> None:
    """Bob buys beans, which nobody had bought before: they count in the truth, beyond the past's catalogue."""
    pasts, then = Pasts(snapshot(*ROWS)), at("2024-01-10")
    truth = pasts.truth(then, 10, known_until=at("2024-02-01"))
    known = pasts.at(then).snapshot.catalogue.n_items
    assert [[int(item) < known for item in truth.item[a:b]] for a, b in pairwise(truth.start)] == [
        [True],
        [False],
    ]


def test_labels_equal_those_of_the_rows_alone() -> None:
    """Orders within the horizon, counted by brute force from the lines."""
    base = random_snapshot(3)
    then = base.as_of - 20 * DAY
    pasts = Pasts(base)
    found = pasts.outcomes(then, 20, known_until=base.as_of)
    history = base.history
    expected = []
    for customer in pasts.at(then).customers:
        orders = range(*history.span(int(customer)))
        bought = [(history.line_quantity[history.line_start[o] : history.line_start[o + 1]] > 0).any() for o in orders]
        times = history.order_time[orders.start : orders.stop]
        expected.append(sum(b and then < t <= base.as_of for b, t in zip(bought, times, strict=True)))
    assert np.array_equal(found.orders, expected)


def test_a_past_is_made_once() -> None:
    """The models share what is known at a start."""
    pasts = Pasts(snapshot(*ROWS))
    assert pasts.at(at("2024-01-10")) is pasts.at(at("2024-01-10"))
