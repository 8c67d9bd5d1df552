"""What is true of the simulated café: exact probabilities and expectations, given tastes and the hidden churn date.

The days to come are a Markov chain over the day of the last visit, so everything follows by adding up its paths;
nothing is estimated or drawn. An oracle knows when a customer will stop, which no model can: a bound, not a rival.
`day` means: known is what happened before that day of the simulation begins (`cafe.midnight`).
"""

from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys.data import columns as c
from recsys.samples import guests
from recsys.samples.cafe import DISCOUNT_SHARE, Cafe, midnight, prices
from recsys.samples.guests import Floats, Ints
from recsys.samples.menu import MENU


def days_since_visit(cafe: Cafe, day: int) -> Ints:
    """Days from each customer's last visit to `day`, (n,); -1 where the customer has not come yet."""
    end, begin = midnight(cafe.start, day), midnight(cafe.start, 0)
    known = cafe.transactions.filter(pl.col(c.TIME) < end).group_by(c.CUSTOMER).agg(pl.col(c.TIME).max())
    last = cafe.truth.select(c.CUSTOMER).join(known, on=c.CUSTOMER, how="left", maintain_order="left")[c.TIME]
    # An hour of slack: a clock change may shorten or lengthen a day.
    last_day = np.array(((last - begin + 3_600) // 86_400).fill_null(day + 1), np.int64)
    return day - last_day


def churned(cafe: Cafe, day: int) -> npt.NDArray[np.bool_]:
    """Whether each customer's hidden end lies before `day`, (n,)."""
    return cafe.life.stop <= day


def expected_orders(cafe: Cafe, day: int, horizon: int) -> Floats:
    """Expected number of visits in `[day, day + horizon)` [days], (n,); NaN where the customer has not come yet."""
    total: Floats = _visits(cafe, day, horizon).sum(axis=0)
    return total


def expected_spend(cafe: Cafe, day: int, horizon: int) -> Floats:
    """Expected spend in `[day, day + horizon)` [cents], (n,); NaN where the customer has not come yet."""
    per_visit = np.array([_spend_per_visit(cafe, day + ahead) for ahead in range(horizon)])
    total: Floats = (_visits(cafe, day, horizon) * per_visit).sum(axis=0)
    return total


def buy_probability(cafe: Cafe, day: int, horizon: int) -> Floats:
    """P(customer buys item in `[day, day + horizon)`), (n, k) in menu order; NaN where the customer has not come."""
    chances = _chances(cafe, day, horizon)
    per_visit = np.array([_item_per_visit(cafe, day + ahead) for ahead in range(horizon)])
    unsold = [_none_bought(chances, per_visit[:, :, item]) for item in range(len(MENU))]
    return _known_only(cafe, day, 1.0 - np.stack(unsold, axis=1))


def visit_probability(cafe: Cafe, day: int, horizon: int) -> Floats:
    """P(customer comes in `[day, day + horizon)`), (n,); one minus it is the true churn label's probability."""
    always = np.ones((horizon, len(cafe.tastes.party)))
    return _known_only(cafe, day, 1.0 - _none_bought(_chances(cafe, day, horizon), always))


def _known_only(cafe: Cafe, day: int, values: Floats) -> Floats:
    known = days_since_visit(cafe, day) > 0
    return np.where(known if values.ndim == 1 else known[:, None], values, np.nan)


def _chances(cafe: Cafe, day: int, horizon: int) -> list[Floats]:
    """For each day ahead t: P(visit) by the day of the last visit, (t + 1, n).

    Row 0: not come since `day`, row j: came j − 1 days after it.
    """
    since_at_day = np.maximum(days_since_visit(cafe, day), 1)
    chances = []
    for ahead in range(horizon):
        newer = np.arange(ahead, 0, -1)[:, None] * np.ones_like(since_at_day)
        since = np.concatenate([(since_at_day + ahead)[None, :], newer])
        weekday = (cafe.start + timedelta(days=day + ahead)).weekday()
        chances.append(guests.visit_chance(cafe.life, since, day + ahead, weekday))
    return chances


def _none_bought(chances: list[Floats], per_visit: Floats) -> Floats:
    """P(no visit buys it), (n,), when a visit t days ahead buys it with `per_visit[t]`, (horizon, n)."""
    mass = np.zeros((len(chances) + 1, per_visit.shape[1]))
    mass[0] = 1.0
    for ahead, chance in enumerate(chances):
        before = mass[: ahead + 1]
        mass[ahead + 1] = (before * chance).sum(axis=0) * (1.0 - per_visit[ahead])
        mass[: ahead + 1] = before * (1.0 - chance)
    none: Floats = mass.sum(axis=0)
    return none


def _visits(cafe: Cafe, day: int, horizon: int) -> Floats:
    """P(visit) on each day ahead, (horizon, n)."""
    mass = np.zeros((horizon + 1, len(cafe.tastes.party)))
    mass[0] = 1.0
    visits = np.zeros_like(mass[1:])
    for ahead, chance in enumerate(_chances(cafe, day, horizon)):
        before = mass[: ahead + 1]
        visits[ahead] = (before * chance).sum(axis=0)
        mass[ahead + 1] = visits[ahead]
        mass[: ahead + 1] = before * (1.0 - chance)
    return np.where(days_since_visit(cafe, day) > 0, visits, np.nan)


def _main(cafe: Cafe, day: int) -> Floats:
    """P(main item) on `day`, (n, k): what is not on the menu yet falls to the favourite."""
    known = guests.launched(np.array([day]))[0]
    main = np.where(known, cafe.tastes.main, 0.0)
    main[np.arange(len(main)), cafe.tastes.favourite] += 1.0 - main.sum(axis=1)
    return main


def _extras(cafe: Cafe, day: int) -> Floats:
    n = len(cafe.tastes.party)
    return cafe.tastes.extras * guests.appetite(cafe.life, np.arange(n), np.full(n, day))[:, None]


def _item_per_visit(cafe: Cafe, day: int) -> Floats:
    """P(a visit on `day` buys the item), (n, k)."""
    return 1.0 - (1.0 - _main(cafe, day)) * (1.0 - _extras(cafe, day))


def _spend_per_visit(cafe: Cafe, day: int) -> Floats:
    """Expected spend of a visit on `day` [cents], (n,)."""
    units = _main(cafe, day) * (1.0 + cafe.tastes.party)[:, None] + _extras(cafe, day)
    spend: Floats = (units * prices(np.array([day]))[0]).sum(axis=1) * (1.0 - DISCOUNT_SHARE / 10)
    return spend
