"""What a customer is worth: sums by hand, costs from tables and settings, payback on the day it says."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.decisioning import Serving, ValueScore, score
from recsys.decisioning.books import Books, Costs
from recsys.decisioning.worth import TIERS
from recsys.errors import SettingsError
from recsys.models.bundle import read_bundle, write_bundle
from recsys.models.value import ValueModel
from recsys.testing.builders import random_snapshot
from recsys.testing.published import linear_content
from tests.decisioning.sensible import sensible_serving

CUSTOMER = "c0005"


@cache
def whole() -> Snapshot:
    return random_snapshot(31, 40)


@cache
def serving() -> Serving:
    return sensible_serving(whole())


def asked(customer: str = CUSTOMER, **costs: float) -> ValueScore:
    """Value of a customer under the costs given."""
    books = Books.of(whole(), Costs(**costs))
    found = score(replace(serving(), books=books), customer, (), whole().as_of).value
    assert found is not None
    return found


def spent(customer: str = CUSTOMER) -> float:
    """All a customer's line amounts, added up one by one [currency]."""
    history = whole().history
    orders = range(*history.span(whole().customers.index(customer)))
    lines = (line for order in orders for line in range(history.line_start[order], history.line_start[order + 1]))
    return sum(int(history.line_amount[line]) for line in lines) / 100


def test_historic_spend_is_every_line_added_up() -> None:
    """Up to now, refunds subtracted."""
    assert asked().worth.historic_spend == pytest.approx(spent())


def test_total_is_past_and_future() -> None:
    """What was spent and what is to come at today's money."""
    worth = asked().worth
    assert worth.total_spend == pytest.approx(worth.historic_spend + worth.future_spend)


def test_over_the_horizon_without_discount_the_future_is_the_forecast() -> None:
    """A rate of 0 over the model's own horizon changes nothing."""
    value = asked(discount_rate=0.0, value_days=serving().value.horizon_days)
    assert value.worth.future_spend == pytest.approx(value.expected_spend)


def test_discounting_lowers_the_future_within_its_bounds() -> None:
    """At 10% a year, three years' spend is worth less than all of it and more than if it all came at the end."""
    plain, lower = asked(discount_rate=0.0).worth.future_spend, asked(discount_rate=0.1).worth.future_spend
    assert plain / 1.1**3 < lower < plain


def test_without_costs_nothing_is_said_of_margins() -> None:
    """No margin, payback or profit is made up."""
    worth = asked().worth
    told = (worth.margin_share, worth.expected_margin, worth.total_margin, worth.paid_back, worth.profitable)
    assert told == (None,) * 5


def test_a_margin_of_the_settings_is_taken() -> None:
    """30% of what is expected."""
    value = asked(margin=0.3)
    assert value.worth.expected_margin == pytest.approx(0.3 * value.expected_spend)


def test_profit_is_the_margin_above_the_contact() -> None:
    """Just cheaper than the expected margin pays, just dearer does not."""
    margin = asked(margin=0.3).worth.expected_margin
    assert asked(margin=0.3, contact_cost=0.99 * margin).worth.profitable
    assert not asked(margin=0.3, contact_cost=1.01 * margin).worth.profitable


def test_whoever_earned_the_cost_has_paid_back() -> None:
    """Half of what was earned so far has been earned; there is no date to come."""
    earned = 0.3 * spent()
    worth = asked(margin=0.3, acquisition_cost=0.5 * earned).worth
    assert (worth.paid_back, worth.pays_back_at) == (True, None)


def test_payback_comes_on_the_day_the_margin_reaches_the_cost() -> None:
    """The expected margin up to the day told covers what is open, up to the day before it does not."""
    earned = 0.3 * spent()
    open_cost = 0.2 * asked(margin=0.3, discount_rate=0.0).worth.future_spend * 0.3
    worth = asked(margin=0.3, acquisition_cost=earned + open_cost).worth
    days = (worth.pays_back_at - whole().as_of) // DAY
    reached = [asked(margin=0.3, discount_rate=0.0, value_days=d).worth.future_margin for d in (days - 1, days)]
    assert reached[0] < open_cost <= reached[1]


def test_a_cost_out_of_reach_has_no_date() -> None:
    """A million is not earned in three years."""
    worth = asked(margin=0.3, acquisition_cost=1e6).worth
    assert (worth.paid_back, worth.pays_back_at) == (False, None)


def test_someone_never_imported_has_the_cost_of_the_settings() -> None:
    """Nothing earned yet, the general acquisition cost open."""
    worth = asked("nobody", margin=0.3, acquisition_cost=5.0).worth
    assert (worth.historic_spend, worth.acquisition_cost, worth.paid_back) == (0.0, 5.0, False)


@pytest.fixture
def costed(tmp_path: Path) -> Snapshot:
    """The snapshot with a products table in which each piece costs 1.00 and customers that cost 7.50."""
    saved = whole().save(tmp_path)
    products = pl.DataFrame({"product_id": list(saved.catalogue.products), "unit_cost": 1.0})
    products.write_parquet(saved.directory / "products.parquet")
    customers = pl.DataFrame({"customer_id": [CUSTOMER], "acquisition_cost": [7.5]})
    customers.write_parquet(saved.directory / "customers.parquet")
    return saved


def test_unit_costs_give_the_historic_margin(costed: Snapshot) -> None:
    """Spend less one currency unit a piece, whatever the settings say."""
    books = Books.of(costed, Costs(margin=0.9))
    found = score(replace(serving(), books=books), CUSTOMER, (), whole().as_of).value.worth
    history = whole().history
    orders = history.span(whole().customers.index(CUSTOMER))
    lines = slice(int(history.line_start[orders[0]]), int(history.line_start[orders[1]]))
    pieces = float(history.line_quantity[lines].sum(dtype=np.float64))
    assert found.historic_margin == pytest.approx(spent() - pieces)


def test_the_customers_table_wins_over_the_settings(costed: Snapshot) -> None:
    """Whoever has a cost of their own is not given the general one."""
    books = Books.of(costed, Costs(acquisition_cost=3.0))
    index = costed.customers.index(CUSTOMER)
    assert books.acquisition[index] == 750.0
    assert set(np.delete(books.acquisition, index)) == {300.0}


def test_costs_that_make_no_sense_are_refused() -> None:
    """A negative contact cost is named."""
    with pytest.raises(SettingsError, match="costs make no sense"):
        Books.of(whole(), Costs(contact_cost=-1.0))


@pytest.mark.parametrize(("scale", "expected"), [(1e-6, "low"), (1e9, "top")])
def test_tiers_follow_the_bundle_s_thresholds(tmp_path: Path, scale: float, expected: str) -> None:
    """Next to nothing expected is `low`, riches are `top`."""
    content = linear_content("value")
    spend = replace(content.parts["spend"], scale=scale)
    write_bundle(tmp_path / "value", replace(content, parts={**content.parts, "spend": spend}))
    model = ValueModel.from_bundle(read_bundle(tmp_path / "value"), "1")
    found = score(replace(serving(), value=model), CUSTOMER, (), whole().as_of).value
    assert (found.tier, expected in TIERS) == (expected, True)


def test_intervals_hold_each_other_and_the_median(tmp_path: Path) -> None:
    """50% lies within 80% within 95%, the median within all."""
    write_bundle(tmp_path / "value", linear_content("value"))
    model = ValueModel.from_bundle(read_bundle(tmp_path / "value"), "1")
    found = score(replace(serving(), value=model), CUSTOMER, (), whole().as_of).value
    ends = [each.spend_low for each in reversed(found.intervals)] + [found.median_spend]
    ends += [each.spend_high for each in found.intervals]
    assert ends == sorted(ends)
    assert (found.spend_low, found.spend_high) == (found.intervals[1].spend_low, found.intervals[1].spend_high)


def test_the_base_spend_of_the_population_is_that_of_all_lines():
    """What is opened for answers takes the mean order from the population, and gets what reading all lines gives."""
    assert serving().books.usual == Books.of(whole()).usual
