"""A simulated subscription base whose monthly hazard of cancelling is known for every customer and tenure."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]

PERIOD = 30
"""Days of a period: contracts are paid, and ended, by the period [days]."""

PLANS = {"basic": 0.3, "plus": 0.0, "family": -0.6}
"""What a plan adds to the log-odds of cancelling in a period."""

CHANNELS = {"web": 0.0, "partner": 0.5}
"""The same of the channel a customer came by."""


@dataclass(frozen=True, slots=True, eq=False)
class Subscriptions:
    """A base and its truth; n subscriptions.

    table  customer_id, started_at, ended_at (null: still running), plan, channel, price
    odds   (n,) what each adds to the log-odds of cancelling, beside tenure
    end    last day that is known
    """

    table: pl.DataFrame
    odds: Floats
    end: date

    def leaving(self, tenure: npt.NDArray[np.integer], periods: int) -> Floats:
        """True P(cancels within `periods`) of each subscription that has lasted `tenure` whole periods, (n,)."""
        stays = np.ones(len(self.odds))
        for ahead in range(periods):
            stays *= 1.0 - hazard(tenure + ahead, self.odds)
        return 1.0 - stays


def hazard(tenure: npt.NDArray[np.integer], odds: Floats) -> Floats:
    """P(cancels in the period after `tenure` whole ones): high at first, falling, with a peak after a year."""
    logit = -2.3 - 0.5 * np.log1p(tenure) + 1.2 * (tenure == 11) + odds
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def simulate_subscriptions(
    seed: int = 20240101, n: int = 4_000, days: int = 1_080, end: date = date(2024, 12, 31)
) -> Subscriptions:
    """`n` subscriptions begun within the `days` up to `end`; equal arguments give equal bases."""
    draw = np.random.default_rng(seed)
    plan, channel = draw.integers(0, len(PLANS), n), draw.integers(0, len(CHANNELS), n)
    price = np.round(draw.uniform(5, 30, n), 2)
    odds = np.array(list(PLANS.values()))[plan] + np.array(list(CHANNELS.values()))[channel] + 0.04 * (price - 17.5)
    start = draw.integers(0, days, n)
    length = np.full(n, np.iinfo(np.int64).max)
    for period in range(-(-days // PERIOD)):
        ends = (length == np.iinfo(np.int64).max) & (draw.random(n) < hazard(np.full(n, period), odds))
        length[ends] = (period + 1) * PERIOD
    first = end - timedelta(days=days)
    begun = [first + timedelta(days=int(day)) for day in start]
    over = [
        began + timedelta(days=int(long)) if long < days and began + timedelta(days=int(long)) <= end else None
        for began, long in zip(begun, length.tolist(), strict=True)
    ]
    table = pl.DataFrame(
        {
            "customer_id": [f"s{k:05d}" for k in range(n)],
            "started_at": begun,
            "ended_at": pl.Series(over, dtype=pl.Date),
            "plan": np.array(list(PLANS))[plan],
            "channel": np.array(list(CHANNELS))[channel],
            "price": price,
        }
    )
    return Subscriptions(table, odds, end)
