"""Customer features against a plain Python twin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.features.customer import CUSTOMER_FEATURES, customer_table, item_scratch
from recsys.features.expected import EXPECTED
from recsys.population.facts import Base
from recsys.testing.builders import at, random_snapshot, snapshot
from recsys.testing.strategies import snapshots
from tests.features import twin

BASE = Base(
    np.array([1.2, 9.0, 0.3, 8.0, 4.0, 3.5, 1200.0, 0.6, 40.0, 0.5, 70.0]),
    np.array([4.0, 9.0, 2.0, 700.0]),
)


def table(whole: Snapshot, as_of: int, horizon: float = 28.0, threads: int = 1) -> np.ndarray:
    """Features of everyone in `whole`."""
    catalogue = whole.catalogue
    return customer_table(
        whole.history,
        catalogue.product_item,
        catalogue.n_items,
        whole.zone(),
        BASE,
        as_of,
        horizon,
        threads=threads,
    )


def expected(whole: Snapshot, as_of: int, horizon: float = 28.0) -> np.ndarray:
    """The same by the twin; NaN where it says nothing."""
    rows = [twin.features(whole, customer, as_of, horizon, BASE) for customer in range(whole.history.n_customers)]
    names = [name for name in CUSTOMER_FEATURES if name not in EXPECTED]
    return np.array([[row.get(name, np.nan) for name in names] for row in rows])


@pytest.mark.parametrize("timezone", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_kernel_equals_the_definitions(timezone: str) -> None:
    """Every feature of a random base equals what the definitions give, in any business time zone."""
    whole = random_snapshot(3, 40).with_facts(timezone=timezone)
    found = table(whole, whole.as_of + 3 * DAY)[:, : -len(EXPECTED)]
    np.testing.assert_allclose(found, expected(whole, whole.as_of + 3 * DAY), rtol=1e-5, atol=2e-2)


@given(whole=snapshots(), back=st.integers(0, 40), horizon=st.sampled_from([7.0, 30.0]))
@settings(max_examples=60, deadline=None)
def test_awkward_histories_equal_the_definitions(whole: Snapshot, back: int, horizon: float) -> None:
    """Returns, shared seconds, one-time buyers and refunds without a purchase are counted as defined, at any as_of."""
    as_of = whole.as_of - back * DAY
    found = table(whole, as_of, horizon)[:, : -len(EXPECTED)]
    np.testing.assert_allclose(found, expected(whole, as_of, horizon), rtol=1e-5, atol=2e-2)


def test_later_orders_change_nothing() -> None:
    """Features at an instant are the same bits with and without the orders after it."""
    early = ["ann latte 2024-01-05 1x3.50 order=a", "ann tea 2024-01-20 1x3.00 order=b"]
    known = snapshot(*early)
    later = snapshot(*early, "ann latte 2024-02-05 9x3.50 order=c")
    moment = at("2024-01-25")
    assert table(known, moment).tobytes() == table(later, moment).tobytes()


def test_threads_change_no_bit() -> None:
    """Four threads fill the same table as one."""
    whole = random_snapshot(5, 60)
    assert table(whole, whole.as_of, threads=4).tobytes() == table(whole, whole.as_of).tobytes()


def test_scratch_comes_back_clean() -> None:
    """A kernel leaves its scratch as it found it, so that the next customer starts from nothing."""
    from recsys.features.customer import N_FEATURES, customer_row

    whole = random_snapshot(7, 1)
    scratch, out = item_scratch(whole.catalogue.n_items), np.empty(N_FEATURES, np.float32)
    arrays, (low, high) = whole.history.arrays(), whole.history.span(0)
    customer_row(arrays, low, high, whole.as_of, whole.catalogue.product_item, whole.zone(), BASE, 28.0, scratch, out)
    assert scratch.tobytes() == item_scratch(whole.catalogue.n_items).tobytes()


def test_a_customer_by_pareto_nbd() -> None:
    """x = 2, t_x = 20, T = 40 days give the published formula with scipy's 2F1, and the rates by hand."""
    from scipy.special import hyp2f1

    whole = snapshot(*(f"ann latte 2024-01-{day} 1x3.50 order={day}" for day in ("01", "11", "21")))
    row = dict(zip(CUSTOMER_FEATURES, table(whole, at("2024-02-10T12:00"))[0], strict=True))
    r, alpha, s, beta = BASE.btyd[7:]
    k = r + s + 2

    def part(t: float) -> float:
        return hyp2f1(k, r + 2, k + 1, (beta - alpha) / (beta + t)) / (beta + t) ** k

    alive = 1 / (1 + s / k * (alpha + 40) ** (r + 2) * (beta + 40) ** s * (part(20.0) - part(40.0)))
    living = (r + 2) * (beta + 40) / ((alpha + 40) * (s - 1)) * (1 - ((beta + 40) / (beta + 68)) ** (s - 1))
    names = ("pareto_alive", "pareto_orders", "prior_orders", "lifetime_share", "purchase_rate")
    assert [row[name] for name in names] == pytest.approx([alive, alive * living, alive * living, 0.5, 1.4], rel=1e-5)
