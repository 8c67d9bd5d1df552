"""A seeded café whose truth is known: tastes, rhythms, hidden churn dates with their causes, true future spend.

Every customer visits on a day with a known probability and buys each item with a known probability once there, so that
what a model estimates can be compared with what is true (`recsys.samples.cafe_truth`), not with another estimate.

Visit: proportional hazard over the days since the last visit, Weibull baseline (Cox and Oakes, Analysis of Survival
Data, section 2.3): P(visit on day d | last visit g days ago) = 1 − exp(−((g/τ)^k − ((g−1)/τ)^k) · weekday · vigour).
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from math import gamma
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys.data import columns as c
from recsys.data.assemble import CatalogueRules, assemble
from recsys.data.clock import to_seconds
from recsys.data.snapshot import Snapshot, SnapshotFacts
from recsys.samples import guests
from recsys.samples.guests import NEVER, Floats, Ints, Life, Tastes
from recsys.samples.menu import CAUSES, LEVELS, MENU, NOT_OFFERABLE, PRICE_RISE, PRICE_RISE_DAY, SEGMENTS

TIMEZONE = "Europe/Berlin"
CURRENCY = "EUR"
DISCOUNT_SHARE = 0.06
"""Share of lines sold at ten percent off."""

_CHUNK = 50_000
_MAPPING = f"""# How the café's files become transactions, products and customers.
[business]
timezone = "{TIMEZONE}"
currency = "{CURRENCY}"

[transactions]
file = "transactions.csv"
[transactions.columns]
customer_id = "customer_id"
occurred_at = "occurred_at"
product_id = "product_id"
quantity = "quantity"
amount = "amount"
discount = "discount"
order_id = "order_id"
channel = "channel"

[products]
file = "products.csv"
[products.columns]
product_id = "product_id"
name = "name"
price = "price"
group = "group"
family = "family"

[customers]
file = "customers.csv"
[customers.columns]
customer_id = "customer_id"
[customers.attributes]
birth_year = "birth_year"
sex = "sex"
district = "district"

[items]
levels = {list(LEVELS)}
[items.not_offerable]
family = {list(NOT_OFFERABLE["family"])}
"""
_PRODUCT_IDS = np.array([dish.product_id for dish in MENU])


@dataclass(frozen=True, slots=True, eq=False)
class Cafe:
    """Some months of a café, and the truth behind them.

    transactions  clean lines of `days` days: contract columns, `occurred_at` int64 [s UTC], amounts [cents]
    products      menu with category levels `group`, `family` and list price [EUR]
    customers     attributes a café may know
    truth         one row a customer: segment, curiosity, mean gap [days], arrival, turn and churn instants [s], cause,
                  spend [cents] and orders of the `future_days` that follow `transactions`
    start, days   first local day and number of days in `transactions`
    tastes, life  the parameters behind it all, in the order of `truth`
    """

    transactions: pl.DataFrame
    products: pl.DataFrame
    customers: pl.DataFrame
    truth: pl.DataFrame
    start: date
    days: int
    future_days: int
    tastes: Tastes
    life: Life

    def snapshot(self) -> Snapshot:
        """In-memory snapshot of the transactions; items are products."""
        facts = SnapshotFacts(0, currency=CURRENCY, timezone=TIMEZONE, source="simulated café")
        return assemble(self.transactions, facts, self.products, CatalogueRules(LEVELS, "product", NOT_OFFERABLE))

    def write(self, directory: Path) -> None:
        """Write transactions.csv, products.csv, customers.csv as a till would, and cafe.toml, which imports them.

        Times are local ISO instants with their offset, money is in euros.
        """
        directory.mkdir(parents=True, exist_ok=True)
        instant = pl.from_epoch(c.TIME, "s").dt.replace_time_zone("UTC").dt.convert_time_zone(TIMEZONE)
        money = [(pl.col(name) / 100).round(2) for name in (c.AMOUNT, c.DISCOUNT)]
        till = self.transactions.with_columns(instant.dt.to_string("%Y-%m-%dT%H:%M:%S%:z"), *money)
        till.write_csv(directory / "transactions.csv", float_precision=2)
        self.products.write_csv(directory / "products.csv", float_precision=2)
        self.customers.write_csv(directory / "customers.csv")
        (directory / "cafe.toml").write_text(_MAPPING, encoding="utf-8")


def simulate(
    seed: int = 20240101,
    n_customers: int = 2_000,
    days: int = 365,
    *,
    start: date = date(2024, 1, 1),
    future_days: int = 90,
) -> Cafe:
    """Live `days` + `future_days` [days] of a café with `n_customers`; the last `future_days` appear in `truth` only.

    Customers who never came within `days` are left out. The same arguments give the same café.
    """
    draw = np.random.default_rng([seed, n_customers, days])
    tastes = guests.draw_tastes(draw, n_customers)
    life = guests.draw_life(draw, tastes.segment, days, days + future_days)
    owner, day = _visits(draw, life, start, days + future_days)
    lines = _lines(draw, tastes, start, owner, day, _baskets(draw, tastes, life, owner, day))
    came = np.unique(owner[day < days])
    shown, future = lines.filter(pl.col("day") < days), lines.filter(pl.col("day") >= days)
    tastes, life = tastes.of(came), life.of(came)
    names = pl.DataFrame({c.CUSTOMER: _customer_ids(came)})
    return Cafe(
        transactions=shown.drop("day"),
        products=_products(),
        customers=names.with_columns(_attributes(draw, tastes)),
        truth=pl.concat([names.with_columns(_truth(tastes, life, start)), _spent(names, future)], how="horizontal"),
        start=start,
        days=days,
        future_days=future_days,
        tastes=tastes,
        life=life,
    )


def midnight(start: date, day: int) -> int:
    """Instant at which day `day` of a simulation begins [s]; also the end of the day before."""
    return to_seconds(datetime.combine(start + timedelta(days=day), time.min, ZoneInfo(TIMEZONE)))


def prices(day: Ints) -> Ints:
    """List prices [cents] on each day, (len(day), k)."""
    list_price = np.array([dish.price for dish in MENU])
    return np.where(np.asarray(day)[:, None] >= PRICE_RISE_DAY, np.rint(list_price * PRICE_RISE), list_price).astype(
        np.int64
    )


def _visits(draw: np.random.Generator, life: Life, start: date, total: int) -> tuple[Ints, Ints]:
    """Customer and day of every visit, in the order of days."""
    since = life.since_at_start.copy()
    owners = []
    for day in range(total):
        chance = guests.visit_chance(life, since, day, (start + timedelta(days=day)).weekday())
        came = (draw.random(len(since)) < chance) | ((life.arrival == day) & (life.stop > day))
        since = np.where(came, 1, since + 1)
        owners.append(np.flatnonzero(came))
    return np.concatenate(owners), np.repeat(np.arange(total), [len(each) for each in owners])


def _baskets(draw: np.random.Generator, tastes: Tastes, life: Life, owner: Ints, day: Ints) -> tuple[Ints, Ints, Ints]:
    """Visit, item and quantity of every line: one main item a visit, then the extras."""
    visits, items, quantities = [], [], []
    for low in range(0, len(owner), _CHUNK):
        who, when = owner[low : low + _CHUNK], day[low : low + _CHUNK]
        main = guests.main_item(tastes, who, when, draw.random(len(who)))
        added = draw.random((len(who), len(MENU))) < tastes.extras[who] * guests.appetite(life, who, when)[:, None]
        row, extra = np.nonzero(added)
        visits += [np.arange(len(who)) + low, row + low]
        items += [main, extra]
        quantities += [1 + draw.poisson(tastes.party[who]), np.ones(len(row), np.int64)]
    return np.concatenate(visits), np.concatenate(items), np.concatenate(quantities)


def _lines(
    draw: np.random.Generator, tastes: Tastes, start: date, owner: Ints, day: Ints, bought: tuple[Ints, Ints, Ints]
) -> pl.DataFrame:
    """Clean transaction lines, with the `day` of the simulation."""
    visit, item, quantity = bought
    gross = quantity * prices(np.arange(day.max() + 1))[day[visit], item]
    discount = np.where(draw.random(len(item)) < DISCOUNT_SHARE, gross // 10, 0)
    by_app = draw.random(len(owner)) < 0.3
    table = pl.DataFrame(
        {
            c.CUSTOMER: _customer_ids(owner)[visit],
            c.PRODUCT: _PRODUCT_IDS[item],
            c.TIME: _instants(draw, tastes, start, owner, day)[visit],
            c.QUANTITY: quantity.astype(np.float64),
            c.AMOUNT: gross - discount,
            c.DISCOUNT: discount,
            c.CHANNEL: np.where(by_app, "app", "till")[visit],
            "day": day[visit],
            "visit": visit,
        }
    )
    order = pl.format("v{}", pl.col("visit").cast(pl.String).str.zfill(8)).alias(c.ORDER)
    return table.sort(c.TIME, "visit", c.PRODUCT).with_columns(order).drop("visit")


def _customer_ids(owner: Ints) -> npt.NDArray[np.str_]:
    return np.char.add("C", np.char.zfill(owner.astype("U7"), 6))


def _instants(draw: np.random.Generator, tastes: Tastes, start: date, owner: Ints, day: Ints) -> Ints:
    """Instant of each visit [s UTC]: the guest's usual local hour, give or take 40 minutes, between 7 and 20."""
    hour = np.clip(tastes.hour[owner] + draw.normal(0.0, 0.67, len(owner)), 7.0, 20.0)
    local = pl.DataFrame({"day": day, "second": (hour * 3_600).astype(np.int64)}).select(
        (pl.lit(start).cast(pl.Datetime("us")) + pl.duration(days="day", seconds="second"))
        .dt.replace_time_zone(TIMEZONE)
        .dt.epoch("s")
    )
    return local.to_series().to_numpy()


def _products() -> pl.DataFrame:
    return pl.DataFrame(
        {
            c.PRODUCT: [dish.product_id for dish in MENU],
            c.NAME: [dish.name for dish in MENU],
            "group": [dish.group for dish in MENU],
            "family": [dish.family for dish in MENU],
            c.PRICE: [dish.price / 100 for dish in MENU],
        }
    )


def _attributes(draw: np.random.Generator, tastes: Tastes) -> list[pl.Series]:
    """What a café knows of its guests; age leans on the segment, the rest on nothing."""
    n = len(tastes.segment)
    age = np.clip(draw.normal(np.array([31, 44, 55, 39, 48])[tastes.segment], 9.0), 16, 90).astype(np.int64)
    return [
        pl.Series("birth_year", 2024 - age),
        pl.Series("sex", np.array(["f", "m"])[draw.integers(0, 2, n)]),
        pl.Series("district", np.array(["Mitte", "Wedding", "Pankow", "Neukölln"])[draw.integers(0, 4, n)]),
    ]


def _truth(tastes: Tastes, life: Life, start: date) -> list[pl.Series]:
    """What only the simulation knows."""

    def instant(name: str, day: Ints) -> pl.Series:
        """Midnights of days of the simulation [s]; null for what never happened."""
        return pl.Series(name, [midnight(start, int(each)) if each < NEVER else None for each in day], pl.Int64)

    return [
        pl.Series("segment", np.array([segment.name for segment in SEGMENTS])[tastes.segment]),
        pl.Series("curiosity", tastes.curiosity),
        pl.Series("gap_days", _mean_gap(life)),
        instant("arrived_at", np.where(life.arrival < 0, NEVER, life.arrival)),
        pl.Series("cause", np.array(CAUSES)[life.cause]),
        instant("turned_at", life.turn),
        instant("churned_at", life.stop),
    ]


def _mean_gap(life: Life) -> Floats:
    """Mean of the Weibull gap [days], weekdays aside: τ Γ(1 + 1/k)."""
    mean: Floats = life.scale * np.array([gamma(1 + 1 / k) for k in life.shape])
    return mean


def _spent(names: pl.DataFrame, future: pl.DataFrame) -> pl.DataFrame:
    """Spend [cents] and orders after what is shown, one row a customer."""
    spent = future.group_by(c.CUSTOMER).agg(
        pl.col(c.AMOUNT).sum().alias("future_spend"), pl.col(c.ORDER).n_unique().cast(pl.Int64).alias("future_orders")
    )
    return names.join(spent, on=c.CUSTOMER, how="left", maintain_order="left").drop(c.CUSTOMER).fill_null(0)
