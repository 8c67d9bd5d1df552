"""The base's mean gap and its weight; gaps; the rules of the horizons."""

import numpy as np
import polars as pl
import pytest

from recsys.data.assemble import assemble
from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot, SnapshotFacts
from recsys.population.gaps import gaps_of
from recsys.population.rhythm import (
    Rhythm,
    default_offers_horizon,
    default_value_horizon,
    fit_rhythm,
    infer_horizon,
)
from recsys.testing.builders import START

END = 730


def base(purchase_days: list[list[int]], end: int = END) -> Snapshot:
    """Customer i buys on the days `purchase_days[i]` after START; seen at the end of day `end`."""
    rows = [(f"c{i:05d}", START + day * DAY + 3_600) for i, days in enumerate(purchase_days) for day in days]
    table = pl.DataFrame(rows, schema={"customer_id": pl.String, "occurred_at": pl.Int64}, orient="row")
    full = table.with_columns(product_id=pl.lit("latte"), quantity=pl.lit(1.0), amount=pl.lit(350), discount=pl.lit(0))
    return assemble(full, SnapshotFacts(as_of=0)).with_facts(as_of=START + end * DAY)


def rhythm_of(whole: Snapshot) -> Rhythm:
    return fit_rhythm(whole.history.arrays(), whole.history.order_start, whole.as_of, whole.zone())


def memoryless(mean: float, customers: int = 1_500, seed: int = 4) -> list[list[int]]:
    """Exponential gaps of `mean` days from a random first day on."""
    rng = np.random.default_rng(seed)
    firsts, gaps = rng.uniform(0, END / 2, customers), rng.exponential(mean, (customers, 60))
    days = np.floor(firsts[:, None] + np.cumsum(gaps, axis=1)).astype(int)
    return [sorted({int(first), *each[each <= END].tolist()}) for first, each in zip(firsts, days, strict=True)]


def test_weight_tells_alike_customers_from_different_ones() -> None:
    """Own gaps count for more among weekly and monthly buyers than where all draw from one distribution."""
    different = rhythm_of(base([list(range(s % 7, END, 7 if s % 2 else 28)) for s in range(60)]))
    assert different.weight < rhythm_of(base(memoryless(60.0, 300))).weight


@pytest.mark.parametrize(
    "days", [[[0]], [[0], [5], [9]], [[0, 1]], [[END]]], ids=["one", "one-timers", "pair", "today"]
)
def test_thin_bases_give_finite_means(days: list[list[int]]) -> None:
    """A base without a single gap still has a mean gap."""
    fit = rhythm_of(base(days))
    assert np.isfinite([fit.mean_gap, fit.weight]).all()


def test_gaps_are_days_between_purchase_days() -> None:
    """Two orders on one day are one purchase day; the last gap is open and runs to the end."""
    whole = base([[0, 3, 3, 10]], 30)
    gaps = gaps_of(whole.history.arrays(), whole.history.order_start, whole.as_of, whole.zone())
    assert [gaps.days.tolist(), gaps.open.tolist(), gaps.place.tolist()] == [
        [3, 7, 20],
        [False, False, True],
        [0, 1, 2],
    ]


def test_gaps_see_nothing_later() -> None:
    """Gaps at an instant equal those of a base that ends there."""
    whole, short = base(memoryless(30.0, 50)), base([[d for d in each if d < 300] for each in memoryless(30.0, 50)])
    at = START + 300 * DAY - 1
    found = gaps_of(whole.history.arrays(), whole.history.order_start, at, whole.zone())
    expected = gaps_of(short.history.arrays(), short.history.order_start, at, short.zone())
    assert found.days.tolist() == expected.days.tolist()


def horizon(days: list[list[int]], end: int = END) -> int:
    whole = base(days, end)
    return infer_horizon(whole.history.arrays(), whole.history.order_start, whole.as_of, whole.zone())


def test_horizon_is_the_ninetieth_percentile_in_weeks() -> None:
    """Nine customers who buy every 10 days and one every 60: the 90th percentile of their means, 15, is three weeks."""
    assert horizon([list(range(0, 700, 10))] * 9 + [list(range(0, 700, 60))]) == 21


@pytest.mark.parametrize(
    ("days", "end", "expected"),
    [([[0, 400]], 600, 196), ([[0, 1, 2, 3]], 60, 7), ([[0], [9]], 90, 28), ([[0], [1]], 10, 3)],
    ids=["a third of the history", "a week", "no gap", "days"],
)
def test_horizon_is_bounded(days: list[list[int]], end: int, expected: int) -> None:
    """At least a week, at most a third of the history; a history of days gives days."""
    assert horizon(days, end) == expected


@pytest.mark.parametrize(("span", "expected"), [(365, 56), (730, 91), (50, 7), (3, 1)])
def test_value_horizon(span: float, expected: int) -> None:
    """Whole weeks within a sixth of the history and 91 days."""
    assert default_value_horizon(span) == expected


@pytest.mark.parametrize(("span", "expected"), [(365, 28), (120, 21), (12, 2)])
def test_offers_horizon(span: float, expected: int) -> None:
    """28 days, less where the history is short."""
    assert default_offers_horizon(span) == expected
