"""The simulated café is what its own truth says it is."""

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.data import columns as c
from recsys.data.importing import run_import
from recsys.data.mapping_file import read_mapping
from recsys.samples import cafe_truth as truth
from recsys.samples.cafe import Cafe, midnight, simulate
from recsys.samples.menu import LATTE_REGULAR, MENU

DAY, HORIZON = 300, 28
"""Oracles are asked on day 300 for the 28 days that follow, which the transactions still show."""


@pytest.fixture(scope="module")
def cafe() -> Cafe:
    """A café of two thousand customers and a year."""
    return simulate(seed=7)


def between(cafe: Cafe, first: int, last: int) -> pl.DataFrame:
    """Lines of the days `first` … `last` - 1."""
    return cafe.transactions.filter(
        pl.col(c.TIME).is_between(midnight(cafe.start, first), midnight(cafe.start, last), closed="left")
    )


def known(cafe: Cafe) -> np.ndarray:
    """Which customers have come before DAY."""
    return truth.days_since_visit(cafe, DAY) > 0


def test_a_seed_gives_the_same_cafe() -> None:
    """The same seed gives the same tables, bit for bit."""
    first, second = simulate(3, 200, 60), simulate(3, 200, 60)
    names = ("transactions", "products", "customers", "truth")
    assert all(getattr(first, name).equals(getattr(second, name)) for name in names)


def test_the_future_is_not_shown(cafe: Cafe) -> None:
    """No transaction lies after the last day shown."""
    assert cafe.transactions[c.TIME].max() < midnight(cafe.start, cafe.days)


def test_items_are_bought_as_often_as_is_true(cafe: Cafe) -> None:
    """Buyers of each item within the horizon number what the exact probabilities add up to (4.5 sigma)."""
    chance = truth.buy_probability(cafe, DAY, HORIZON)[known(cafe)]
    ids = cafe.truth[c.CUSTOMER].filter(pl.Series(known(cafe))).to_list()
    future = between(cafe, DAY, DAY + HORIZON).filter(pl.col(c.CUSTOMER).is_in(ids))
    buyers = dict(future.group_by(c.PRODUCT).agg(pl.col(c.CUSTOMER).n_unique()).rows())
    found = np.array([buyers.get(dish.product_id, 0) for dish in MENU])
    error = np.sqrt((chance * (1 - chance)).sum(axis=0))
    assert np.abs((found - chance.sum(axis=0)) / error).max() < 4.5


def test_visits_are_as_likely_as_is_true(cafe: Cafe) -> None:
    """Among ten groups by true probability to come, as many come as it says (4.5 standard errors)."""
    chance = truth.visit_probability(cafe, DAY, HORIZON)[known(cafe)]
    came = cafe.truth[c.CUSTOMER].is_in(between(cafe, DAY, DAY + HORIZON)[c.CUSTOMER].unique().implode())
    label = came.to_numpy()[known(cafe)]
    groups = np.array_split(np.argsort(chance), 10)
    gaps = [abs(label[g].sum() - chance[g].sum()) / np.sqrt((chance[g] * (1 - chance[g])).sum() + 1e-9) for g in groups]
    assert max(gaps) < 4.5


def test_future_spend_is_what_was_to_be_expected(cafe: Cafe) -> None:
    """The spend of the hidden future is the expected one within two percent."""
    expected = truth.expected_spend(cafe, cafe.days, cafe.future_days).sum()
    assert cafe.truth["future_spend"].sum() == pytest.approx(expected, rel=0.02)


def test_future_orders_are_what_was_to_be_expected(cafe: Cafe) -> None:
    """The number of orders of the hidden future is the expected one within two percent."""
    expected = truth.expected_orders(cafe, cafe.days, cafe.future_days).sum()
    assert cafe.truth["future_orders"].sum() == pytest.approx(expected, rel=0.02)


def test_nobody_buys_after_the_hidden_end(cafe: Cafe) -> None:
    """No customer buys at or after the churn instant of the truth table."""
    ends = cafe.truth.select(c.CUSTOMER, "churned_at").drop_nulls()
    assert cafe.transactions.join(ends, on=c.CUSTOMER).filter(pl.col(c.TIME) >= pl.col("churned_at")).is_empty()


def test_every_cause_of_churn_occurs(cafe: Cafe) -> None:
    """The truth knows customers who moved, were hurt, found it dear, faded, and who stay."""
    assert set(cafe.truth["cause"]) == {"none", "moved", "bad experience", "price", "faded"}


def test_baskets_shrink_after_a_bad_experience(cafe: Cafe) -> None:
    """Between a bad experience and the end an order has fewer lines than before."""
    hurt = cafe.truth.filter(pl.col("cause") == "bad experience").select(c.CUSTOMER, "turned_at")
    orders = cafe.transactions.join(hurt, on=c.CUSTOMER).group_by(c.ORDER, c.TIME, "turned_at").len()
    size = orders.group_by(pl.col(c.TIME) >= pl.col("turned_at")).agg(pl.col("len").mean()).sort(c.TIME)["len"]
    assert size[1] < 0.85 * size[0]


def test_espresso_and_croissant_lead_the_sales(cafe: Cafe) -> None:
    """Popularity points at espresso and croissant, not at a latte-based drink."""
    top = cafe.transactions[c.PRODUCT].value_counts(sort=True)[c.PRODUCT].head(2).to_list()
    assert top == ["espresso", "croissant"]


def test_a_latte_regular_truly_wants_the_latte_based_drink(cafe: Cafe) -> None:
    """For all latte regulars one of the three likeliest never-bought items is of the latte family, by the truth."""
    chance = truth.buy_probability(cafe, DAY, HORIZON)
    bought = set(between(cafe, 0, DAY).select(c.CUSTOMER, c.PRODUCT).unique().rows())
    families = {dish.product_id: dish.family for dish in MENU}
    wanted = []
    for index, row in enumerate(cafe.truth.select(c.CUSTOMER, "segment").rows()):
        new = [i for i, dish in enumerate(MENU) if (row[0], dish.product_id) not in bought]
        left = any(families[MENU[i].product_id] == "LATTE" for i in new)
        if row[1] == LATTE_REGULAR and left and chance[index].max() > 0:
            top = sorted(new, key=lambda i: -chance[index, i])[:3]
            wanted.append(any(MENU[i].family == "LATTE" for i in top))
    assert np.mean(wanted) > 0.99


def test_files_hold_what_the_tables_hold(tmp_path: Path) -> None:
    """The written files, imported by their own mapping, give the very snapshot of the simulation."""
    small = simulate(3, 100, 60)
    small.write(tmp_path)
    imported = run_import(read_mapping(tmp_path / "cafe.toml")).snapshot.with_facts(source="simulated café")
    assert imported.save(tmp_path).snapshot_id == small.snapshot().save(tmp_path).snapshot_id


def test_the_snapshot_has_items_in_families(cafe: Cafe) -> None:
    """In the snapshot a vanilla latte is a product of the latte family and the gift card is not offerable."""
    catalogue = cafe.snapshot().catalogue
    vanilla, card = (catalogue.items.index(name) for name in ("vanilla-latte", "gift-card"))
    assert (catalogue.families[catalogue.item_family[vanilla]], bool(catalogue.offerable[card])) == ("LATTE", False)


def test_days_begin_at_local_midnight() -> None:
    """Day 0 of a café in Berlin begins an hour before midnight UTC in winter."""
    assert midnight(date(2024, 1, 1), 0) == 1_704_063_600
