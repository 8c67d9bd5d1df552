"""The next purchase's date: memoryless and clockwork bases, censoring, own rhythm, categories."""

import math
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data.assemble import assemble
from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot, SnapshotFacts
from recsys.data.truncate import until
from recsys.features.timing import next_by_category, next_purchase
from recsys.population.facts import Timing
from recsys.population.timing import FARTHEST, HIGH, LEVELS, LOW, MIDDLE, chance_within, days_left, pace_of
from recsys.population.timing_fit import fit_timing
from recsys.testing.builders import START, random_snapshot

END = 730


def base(purchase_days: list[list[float]], end: float = END) -> Snapshot:
    """Customer i buys on the days `purchase_days[i]` after START; seen at the end of day `end`."""
    rows = [(f"c{i:05d}", START + round(day * DAY)) for i, days in enumerate(purchase_days) for day in days]
    table = pl.DataFrame(rows, schema={"customer_id": pl.String, "occurred_at": pl.Int64}, orient="row")
    full = table.with_columns(product_id=pl.lit("latte"), quantity=pl.lit(1.0), amount=pl.lit(350), discount=pl.lit(0))
    return assemble(full, SnapshotFacts(as_of=0)).with_facts(as_of=START + round(end * DAY))


def memoryless(mean: float, customers: int = 1_500, seed: int = 4, end: float = END) -> list[list[float]]:
    """Exponential gaps of `mean` days from a random first day on."""
    rng = np.random.default_rng(seed)
    firsts, gaps = rng.uniform(0, END / 2, customers), rng.exponential(mean, (customers, 60))
    days = firsts[:, None] + np.cumsum(gaps, axis=1)
    found = [[first, *each[each <= end]] for first, each in zip(firsts.tolist(), days, strict=True) if first <= end]
    return [[float(day) for day in each] for each in found]


def quantiles(timing: Timing, gaps: list[float], elapsed: float) -> npt.NDArray[np.float64]:
    """LEVELS of the days left for one who had these gaps and last bought `elapsed` days ago."""
    times = np.concatenate([[0.0], np.cumsum(gaps)]) * DAY
    out = np.empty(len(LEVELS))
    prior = timing.prior
    days_left(pace_of(times, 0, len(times)), elapsed, prior[0], prior[1], prior[2], timing.table, out)
    return out


@cache
def exponential() -> Timing:
    return fit_timing(base(memoryless(60.0)))


def usual(n: int) -> list[float]:
    """The n quantiles of exponential gaps of 60 days: what a customer of such a base typically had."""
    return [-60 * math.log(1 - (k + 0.5) / n) for k in range(n)]


@pytest.mark.parametrize("elapsed", [5.0, 40.0, 100.0])
def test_memoryless_base_waits_ln2_means(elapsed: float) -> None:
    """With exponential gaps of 60 days the median wait is 60 ln 2 days, however long ago the last purchase was."""
    assert quantiles(exponential(), usual(6), elapsed)[MIDDLE] == pytest.approx(60.0 * math.log(2), rel=0.15)


def test_memoryless_base_has_exponential_window() -> None:
    """With exponential gaps the 10% and 90% quantiles are -ln .9 and -ln .1 means."""
    found = quantiles(exponential(), usual(6), 30.0)
    assert (found[LOW], found[HIGH]) == pytest.approx((-60 * math.log(0.9), -60 * math.log(0.1)), rel=0.2)


def test_chances_of_a_memoryless_base() -> None:
    """P(a purchase within 28 days) is 1 - exp(-28/60)."""
    assert chance_within(28.0, quantiles(exponential(), usual(6), 30.0)) == pytest.approx(
        1 - math.exp(-28 / 60), rel=0.1
    )


def test_censoring_is_accounted_for() -> None:
    """A short history cuts long gaps off; the median wait still comes out as 60 ln 2 days."""
    fit = fit_timing(base(memoryless(60.0, 3_000, end=300), 300))
    assert quantiles(fit, [], 5.0)[MIDDLE] == pytest.approx(60.0 * math.log(2), rel=0.08)


def test_clockwork_base_keeps_its_rhythm() -> None:
    """Customers who buy every 10 days and bought 5 days ago come back in 5 days."""
    fit = fit_timing(base([list(np.arange(start, END, 10.0)) for start in range(10)]))
    assert quantiles(fit, [10.0] * 20, 5.0)[[LOW, MIDDLE, HIGH]] == pytest.approx((5.0, 5.0, 5.0), abs=0.1)


def test_own_rhythm_scales_the_base() -> None:
    """In a base of weekly and monthly clockwork buyers a monthly one is due a month after the last purchase."""
    weekly, monthly = ([list(np.arange(s, END, gap)) for s in range(int(gap))] for gap in (7.0, 28.0))
    assert quantiles(fit_timing(base(weekly + monthly)), [28.0] * 20, 0.5)[MIDDLE] == pytest.approx(27.5, rel=0.05)


def test_one_time_buyers_who_never_return_are_not_taken_for_regulars() -> None:
    """Where newcomers mostly stay away and regulars come weekly, a newcomer is due much later than a regular."""
    regulars = [list(np.arange(s, END, 7.0)) for s in range(40)]
    newcomers = [[float(day)] for day in np.linspace(0, 700, 400)]
    fit = fit_timing(base(regulars + newcomers))
    assert quantiles(fit, [], 10.0)[MIDDLE] > 20 * quantiles(fit, [7.0] * 20, 3.0)[MIDDLE]


@pytest.mark.parametrize(
    "days", [[[0.0]], [[0.0], [5.0], [9.0]], [[0.0, 1.0]], [[float(END)]]], ids=["one", "one-timers", "pair", "today"]
)
def test_thin_bases_give_finite_dates(days: list[list[float]]) -> None:
    """A base without a single gap still gives dates."""
    assert np.isfinite(quantiles(fit_timing(base(days)), [], 3.0)).all()


@cache
def wild() -> Timing:
    return fit_timing(base([[1, 2, 3, 90, 91], [5], [10, 300, 700], list(np.arange(0, 700, 13.0))]))


@given(st.lists(st.floats(0, 1e4), max_size=40), st.floats(0, 1e5))
@settings(deadline=None)
def test_quantiles_are_ordered_and_bounded(gaps: list[float], elapsed: float) -> None:
    """0 ≤ 5% ≤ 10% ≤ … ≤ FARTHEST for any gaps and silence."""
    found = quantiles(wild(), gaps, elapsed)
    assert np.all(np.diff(np.concatenate([[0.0], found, [FARTHEST]])) >= 0)


@given(st.lists(st.floats(0.5, 100), min_size=1, max_size=20), st.floats(0, 300), st.floats(0, 400))
@settings(deadline=None)
def test_chances_rise_with_the_days(gaps: list[float], elapsed: float, days: float) -> None:
    """P(a purchase within d days) lies in [0, 1] and never falls with d."""
    found = quantiles(wild(), gaps, elapsed)
    assert 0 <= chance_within(days, found) <= chance_within(days + 1.0, found) <= 1


def test_a_chance_is_the_level_at_its_quantile() -> None:
    """P(a purchase within the 30% quantile) is 30%."""
    assert chance_within(float(quantiles(exponential(), [], 10.0)[5]), quantiles(exponential(), [], 10.0)) == LEVELS[5]


def test_later_rows_change_nothing() -> None:
    """Fitted on rows up to an instant, the facts equal those of a base that ends there."""
    whole = random_snapshot(3, 30)
    cut = until(whole, whole.as_of - 90 * DAY).snapshot
    alone = until(cut, cut.as_of).snapshot
    assert all(np.array_equal(a, b) for a, b in zip(fit_timing(cut), fit_timing(alone), strict=True))


def brute_force(whole: Snapshot, customer: int, as_of: int) -> dict[int, list[int]]:
    """First instants of the days a customer bought each category on, by hand."""
    history, catalogue = whole.history, whole.catalogue
    found: dict[int, dict[int, int]] = {}
    for order in range(*history.span(customer)):
        at = int(history.order_time[order])
        for line in range(int(history.line_start[order]), int(history.line_start[order + 1])):
            product = int(history.line_product[line])
            if at <= as_of and product >= 0 and history.line_quantity[line] > 0:
                family = int(catalogue.item_family[catalogue.product_item[product]])
                found.setdefault(family, {}).setdefault(at // DAY, at)
    return {family: sorted(days.values()) for family, days in found.items() if family >= 0}


def test_categories_are_those_of_a_plain_count() -> None:
    """Categories, purchase days and last instants of everyone equal a count by hand (business time is UTC)."""
    whole = random_snapshot(5, 30)
    timing, arrays, zone = fit_timing(whole), whole.history.arrays(), whole.zone()
    for customer in range(whole.history.n_customers):
        of, bought, last, _ = next_by_category(arrays, *whole.history.span(customer), whole.as_of, zone, timing, 2)
        expected = {
            family: (len(days), days[-1])
            for family, days in brute_force(whole, customer, whole.as_of).items()
            if len(days) >= 2
        }
        assert dict(zip(of.tolist(), zip(bought.tolist(), last.tolist(), strict=True), strict=True)) == expected


def test_the_kernel_reads_the_customer_s_own_days() -> None:
    """A customer's quantiles are those of the gaps between the days by hand."""
    days = [[0.0, 10.0, 30.0], [3.0, 4.0, 90.0]]
    whole = base(days, 100)
    timing = fit_timing(whole)
    bought, _, found = next_purchase(whole.history.arrays(), *whole.history.span(0), whole.as_of, whole.zone(), timing)
    assert (bought, found.tolist()) == (3, quantiles(timing, [10.0, 20.0], 70.0).tolist())
