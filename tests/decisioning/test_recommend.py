"""Offers: what may be offered, what each key of a request does, and that tail, batch and order change no bit."""

from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data.snapshot import Snapshot
from recsys.data.tail import EventLine
from recsys.decisioning import OfferContext, OfferRequest, OffersAnswer, Serving, recommend
from recsys.decisioning.gather import offers_table
from recsys.errors import RequestRefused
from recsys.testing.builders import event, lines, products, random_lines, snapshot
from tests.decisioning.sensible import sensible_serving

CATALOGUE = products(*(f"p{i:03d} G{i % 2}>F{i % 4} 2.50" for i in range(30)), "!p030 G0>F0 50")
BOUGHT = random_lines(21, 40, n_products=25)


@cache
def whole() -> Snapshot:
    return snapshot(BOUGHT, catalogue=CATALOGUE)


@cache
def serving() -> Serving:
    return sensible_serving(whole())


def ask(customer: str = "c0005", **keys: object) -> OffersAnswer:
    """Answer to a request of the café's base at its end."""
    return recommend(serving(), OfferRequest(customer, **keys), (), whole().as_of)


def ids(answer: OffersAnswer) -> list[str]:
    return [offer.item_id for offer in answer.offers]


def bought(customer: str) -> set[str]:
    """Products with a line of quantity > 0."""
    rows = BOUGHT.filter((BOUGHT["customer_id"] == customer) & (BOUGHT["quantity"] > 0))
    return set(rows["product_id"].to_list())


@pytest.mark.parametrize("customer", ["c0001", "c0005", "c0012"])
def test_new_mode_offers_only_what_was_never_bought(customer: str) -> None:
    """No offer in mode `new` stands in the customer's purchases."""
    assert not set(ids(ask(customer, mode="new", n=100))) & bought(customer)


@pytest.mark.parametrize("customer", ["c0001", "c0005", "c0012"])
def test_repeat_mode_offers_everything_bought_and_nothing_else(customer: str) -> None:
    """With room enough, mode `repeat` ranks exactly the customer's own items."""
    assert set(ids(ask(customer, mode="repeat", n=100))) == bought(customer)


def test_an_item_that_may_not_be_offered_is_not() -> None:
    """The item marked not offerable in the catalogue never appears."""
    assert "p030" not in ids(ask(n=100))


def test_offers_are_sorted_by_score_then_item() -> None:
    """Scores fall; equal scores stand by item id."""
    keys = [(-offer.raw, offer.item_id) for offer in ask(n=100).offers]
    assert keys == sorted(keys)


def test_n_limits_the_answer_without_changing_its_head() -> None:
    """Three offers are the first three of ten."""
    assert ids(ask(n=3)) == ids(ask(n=10))[:3]


def test_exclude_removes_an_item() -> None:
    """The best offer is gone when it is excluded, the others move up."""
    best = ids(ask())[0]
    assert ids(ask(exclude=(best,), n=9)) == ids(ask(n=10))[1:]


def test_a_basket_line_counts_as_bought_now() -> None:
    """An item in the basket is not offered again and is no longer new."""
    new = ids(ask(mode="new"))[0]
    assert new not in ids(ask(mode="new", basket=(EventLine(new, 1, 250),), n=100))


def test_a_basket_changes_the_scores_of_other_items() -> None:
    """What lies in the basket moves what is offered beside it."""
    plain = {offer.item_id: offer.raw for offer in ask(n=100).offers}
    with_basket = {offer.item_id: offer.raw for offer in ask(n=100, basket=(EventLine("p003", 1, 250),)).offers}
    assert any(with_basket[item] != plain[item] for item in with_basket)


def test_groups_of_the_context_limit_the_offers() -> None:
    """Only items of the group asked for come back."""
    assert {offer.group for offer in ask(n=100, context=OfferContext(groups=("G1",))).offers} == {"G1"}


def test_store_of_the_context_limits_the_offers_to_its_assortment() -> None:
    """Only items the store sold in the last 56 days come back."""
    recent = (
        (BOUGHT["occurred_at"] > whole().as_of - 56 * 86_400) & (BOUGHT["store_id"] == "s1") & (BOUGHT["quantity"] > 0)
    )
    sold = set(BOUGHT.filter(recent)["product_id"].to_list())
    assert set(ids(ask(n=100, context=OfferContext(store_id="s1")))) == sold


def test_reasons_come_only_when_asked_for() -> None:
    """Reasons are an extra of the request."""
    assert [bool(ask(reasons=wanted).offers[0].reasons) for wanted in (False, True)] == [False, True]


def test_reasons_carry_the_customers_own_numbers() -> None:
    """The number of orders in a repeat offer's reason is the number of orders in the file."""
    offer = ask(mode="repeat", reasons=True).offers[0]
    rows = BOUGHT.filter(
        (BOUGHT["customer_id"] == "c0005") & (BOUGHT["product_id"] == offer.item_id) & (BOUGHT["quantity"] > 0)
    )
    orders = rows.select("occurred_at", "order_id").unique().height
    assert offer.reasons[0].evidence["orders"] == orders


def test_an_unknown_customer_gets_the_popular_items() -> None:
    """Without history the answer is labelled `low` and led by what most customers bought in the last 28 days."""
    recent = BOUGHT.filter((BOUGHT["occurred_at"] > whole().as_of - 28 * 86_400) & (BOUGHT["quantity"] > 0))
    buyers = recent.group_by("product_id").agg(pl.col("customer_id").n_unique().alias("buyers"))
    best = buyers.sort("buyers", "product_id", descending=[True, False])["product_id"].to_list()[:5]
    answer = ask("nobody")
    assert (answer.evidence, ids(answer)[:5]) == ("low", best)


def test_a_customer_with_returns_only_is_answered_by_popularity() -> None:
    """One who only ever brought something back has no history to rank by; the probability is the popular share."""
    returned = event("e9", "dora p001 2024-12-30T10:00 -1x2.50", refund=True)
    answer = recommend(serving(), OfferRequest("dora"), (returned,), max(whole().as_of, returned.occurred_at))
    shares = serving().population.arrays.items.rate_28
    best = shares[whole().catalogue.offerable].max()
    assert (answer.evidence, answer.offers[0].probability) == ("low", float(best))


def test_expected_value_is_probability_times_usual_spend() -> None:
    """Expected value and probability differ by the item's mean spend per order, in currency."""
    offer = ask().offers[0]
    item = whole().catalogue.items.index(offer.item_id)
    spend = float(serving().population.arrays.items.spend[item]) / 100
    assert offer.expected_value == pytest.approx(offer.probability * spend)


@pytest.mark.parametrize("keys", [{"mode": "old"}, {"n": 0}, {"n": 201}])
def test_a_request_that_makes_no_sense_is_refused(keys: dict[str, object]) -> None:
    """Unknown modes and impossible numbers are refused with what was found."""
    with pytest.raises(RequestRefused, match="found"):
        ask(**keys)


def test_batch_table_equals_requests_bit_for_bit() -> None:
    """Scoring the whole base in one table gives each customer's candidates and features as a request does."""
    everyone = np.arange(whole().history.n_customers)
    table = offers_table(whole(), serving().population, whole().as_of, everyone, threads=2, chunk=7)
    raw = serving().offers.raw(table.X)
    for customer in everyone:
        mine = table.customer == customer
        order = np.lexsort((table.item[mine], -raw[mine]))
        batch = [
            (whole().catalogue.items[int(i)], x) for i, x in zip(table.item[mine][order], raw[mine][order], strict=True)
        ]
        assert batch == [(o.item_id, o.raw) for o in ask(whole().customers[int(customer)], n=200).offers]


@given(st.lists(st.sampled_from([f"c{i:04d}" for i in range(40)]), min_size=2, max_size=6))
@settings(max_examples=25, deadline=None)
def test_what_was_asked_before_changes_nothing(customers: list[str]) -> None:
    """The last answer of any sequence of requests is the answer of a fresh process."""
    for customer in customers:
        last = ask(customer)
    assert last == recommend(
        replace(serving(), _desks=type(serving()._desks)()), OfferRequest(customers[-1]), (), whole().as_of
    )


def test_other_facts_lay_the_desk_anew() -> None:
    """A serving with another population finds no trace of the first one's facts on the desk it shares with it."""
    first = serving()
    other = replace(first, population=replace(first.population))
    first.desk()
    assert other.desk().population is other.population


def test_an_event_equals_an_import_of_the_same_rows() -> None:
    """A posted purchase gives, bit for bit, the answer a snapshot with the purchase gives under the same facts."""
    row = "c0005 p007 2024-12-30T10:00 2x2.50 order=till-1 store=s1"
    merged = snapshot(BOUGHT, lines(row), catalogue=CATALOGUE)
    as_of = max(merged.as_of, event("e1", row).occurred_at)
    imported = replace(serving(), snapshot=merged, cat=linear_cat(merged))
    request = OfferRequest("c0005", 50, reasons=True)
    posted = recommend(serving(), request, (event("e1", row),), as_of)
    assert posted.offers == recommend(imported, request, (), as_of).offers


def linear_cat(merged: Snapshot) -> object:
    from recsys.decisioning.gather import catalogue_arrays

    return catalogue_arrays(merged.catalogue)


def test_a_posted_purchase_changes_the_next_answer() -> None:
    """An item bought by event is no longer new in the next answer."""
    new = ids(ask(mode="new"))[0]
    posted = event("e2", f"c0005 {new} 2024-12-30T10:00 1x2.50")
    later = recommend(serving(), OfferRequest("c0005", 100, "new"), (posted,), max(whole().as_of, posted.occurred_at))
    assert new not in ids(later)
