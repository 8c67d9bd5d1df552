"""Offices that order from the café and leave for a known cause that shows before they go.

Each office has a rhythm, a basket size and categories it likes. One in two leaves: from its turn on either the rhythm
slows, or the basket shrinks over all categories, or one category is bought no more while the basket keeps its size;
some weeks later it stops. What a model says of an office between turn and stop can be compared with the cause.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from recsys.data import columns as c
from recsys.data.assemble import CatalogueRules, assemble
from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot, SnapshotFacts
from recsys.samples.cafe import CURRENCY, TIMEZONE, midnight
from recsys.samples.menu import LEVELS, MENU

CAUSES = ("none", "slower rhythm", "smaller basket", "lost category")
"""Why an office leaves; position = code in the simulation."""

START = date(2024, 1, 1)
SLOWER, SMALLER = 2.5, 0.35
"""Factors on the gaps and on the basket size from the turn on."""
TRACE = (42, 77)
"""Days from the turn to the stop, least and one more than most."""
CATEGORIES = ("BLACK COFFEE", "LATTE", "TEA", "PASTRY", "CAKE", "LUNCH")


@dataclass(frozen=True, slots=True, eq=False)
class Leavers:
    """A simulated base and its truth.

    transactions  a clean table of the data contract, amounts in cents
    truth         customer_id, cause, turned_at and stopped_at [s] (null for those that stay)
    as_of         end of what is shown [s]
    """

    transactions: pl.DataFrame
    truth: pl.DataFrame
    as_of: int

    def snapshot(self) -> Snapshot:
        """In-memory snapshot; items are products."""
        facts = SnapshotFacts(self.as_of, currency=CURRENCY, timezone=TIMEZONE, source="simulated offices")
        products = pl.DataFrame(
            {
                c.PRODUCT: [dish.product_id for dish in MENU],
                c.NAME: [dish.name for dish in MENU],
                "group": [dish.group for dish in MENU],
                "family": [dish.family for dish in MENU],
            }
        )
        return assemble(self.transactions, facts, products, CatalogueRules(LEVELS, "product"))

    def leaving(self) -> dict[str, str]:
        """Cause by customer of those that turned at least four weeks ago and still come."""
        now = pl.col("turned_at").le(self.as_of - 28 * DAY) & pl.col("stopped_at").gt(self.as_of)
        return dict(self.truth.filter(now).select(c.CUSTOMER, "cause").iter_rows())


@dataclass(frozen=True, slots=True)
class _Office:
    """One customer: gap [days], basket size [items], categories, cause, day of the turn and of the stop."""

    gap: float
    size: float
    categories: tuple[str, ...]
    cause: int
    turn: float
    stop: float


def simulate(seed: int = 1, n_customers: int = 600, days: int = 300) -> Leavers:
    """Draw `days` [days] of `n_customers` offices; the same arguments give the same base."""
    lines: list[tuple[str, str, str, int, int]] = []
    truth = []
    for number in range(n_customers):
        draw = np.random.default_rng([seed, number])
        name, office = f"O{number:05d}", _office(draw, days)
        lines += _lines(draw, name, office, days)
        leaves = office.cause > 0
        instants = [midnight(START, int(day)) if leaves else None for day in (office.turn, office.stop)]
        truth.append((name, CAUSES[office.cause], *instants))
    table = pl.DataFrame(lines, [c.CUSTOMER, c.ORDER, c.PRODUCT, c.TIME, c.AMOUNT], orient="row").with_columns(
        pl.lit(1.0).alias(c.QUANTITY), pl.lit(0).alias(c.DISCOUNT)
    )
    known = {c.CUSTOMER: pl.String, "cause": pl.String, "turned_at": pl.Int64, "stopped_at": pl.Int64}
    return Leavers(table, pl.DataFrame(truth, known, orient="row"), midnight(START, days))


def _office(draw: np.random.Generator, days: int) -> _Office:
    gap, size = draw.uniform(4.0, 8.0), draw.uniform(5.0, 9.0)
    categories = tuple(draw.choice(CATEGORIES, 3, replace=False).tolist())
    if draw.random() < 0.5:
        return _Office(gap, size, categories, 0, np.inf, np.inf)
    turn = draw.uniform(90, days)
    return _Office(gap, size, categories, int(draw.integers(1, len(CAUSES))), turn, turn + draw.integers(*TRACE))


def _lines(
    draw: np.random.Generator, name: str, office: _Office, days: int
) -> Iterator[tuple[str, str, str, int, int]]:
    """Lines of all orders of an office: gaps are gamma (shape 6), baskets hold distinct items."""
    day, order = draw.uniform(0, office.gap), 0
    while day < min(days, office.stop):
        turned = day >= office.turn
        size = office.size * (SMALLER if turned and office.cause == 2 else 1.0)
        liked = office.categories[1:] if turned and office.cause == 3 else office.categories
        menu = [dish for dish in MENU if dish.family in liked]
        number = int(np.clip(draw.poisson(size), 1, len(menu)))
        at = midnight(START, int(day)) + 8 * 3_600
        for dish in draw.choice(len(menu), number, replace=False):
            yield name, f"{name}-{order}", menu[int(dish)].product_id, at, menu[int(dish)].price
        slower = SLOWER if turned and office.cause == 1 else 1.0
        day, order = day + max(1.0, draw.gamma(6.0, office.gap * slower / 6.0)), order + 1
