"""Item facts against counts by hand."""

import numpy as np

from recsys.population.items import SHRINK, bought_matrix, fit_assortment, fit_items, fit_popular
from recsys.testing.builders import at, snapshot

WHOLE = snapshot(
    "ann latte 2024-01-01 1x3.50 order=a1 store=north",
    "ann latte 2024-01-11 2x3.50 order=a2 store=north",
    "ann tea 2024-01-11 1x3.00 order=a2 store=north",
    "bob latte 2024-02-20 1x3.50 order=b1 store=south",
    "bob tea 2024-02-25 1x3.00 order=b2 store=south",
    "bob tea 2024-02-27 1x3.00 order=b3 store=south",
    "cem beans 2024-02-26 1x9.00 order=c1 store=south",
    "cem beans 2024-02-28 -1x9.00 order=c2 store=south",
    catalogue=["beans FOOD>BEANS 9", "latte DRINKS>COFFEE 3.5", "tea DRINKS>TEA 3", "mug FOOD>MUGS 8"],
)
AS_OF = at("2024-03-01")
FACTS = fit_items(WHOLE.history, WHOLE.catalogue, AS_OF)
BEANS, LATTE, MUG, TEA = range(4)


def test_orders_and_buyers_are_counted_once_an_order() -> None:
    """An order with two lattes counts once; a return is no order of the item."""
    assert (FACTS.orders.tolist(), FACTS.buyers.tolist()) == ([1, 3, 0, 3], [1, 2, 0, 2])


def test_fresh_rate_is_a_share_of_the_active() -> None:
    """In the last 28 days bob and cem were active; one of two bought latte, one tea, one beans."""
    np.testing.assert_allclose(FACTS.rate_28, [0.5, 0.5, 0.0, 0.5])


def test_last_week_counts_its_own_active_customers() -> None:
    """In the last 7 days bob bought tea and cem beans."""
    np.testing.assert_allclose(FACTS.rate_7, [0.5, 0.0, 0.0, 0.5])


def test_adoption_counts_first_purchases_only() -> None:
    """Bob and cem bought each of their items for the first time within 28 days."""
    np.testing.assert_allclose(FACTS.adoption_28, [0.5, 0.5, 0.0, 0.5])


def test_gaps_are_shrunk_to_the_base() -> None:
    """Latte's one gap of 10 days and tea's one of 2 days are pulled to their mean of 6 by the documented weight."""
    wanted = [6.0, (10 + SHRINK * 6) / (1 + SHRINK), 6.0, (2 + SHRINK * 6) / (1 + SHRINK)]
    np.testing.assert_allclose(FACTS.mean_gap, wanted, rtol=1e-6)


def test_spend_is_per_order_of_the_item() -> None:
    """Latte brought 3.50 + 7.00 + 3.50 over three orders."""
    assert FACTS.spend[LATTE] == np.float32(1400 / 3)


def test_an_unsold_item_has_no_age() -> None:
    """The mug was never sold."""
    assert np.isnan(FACTS.age[MUG])


def test_popular_items_are_ordered_by_fresh_buyers_then_orders_then_id() -> None:
    """All three sold items tie in fresh buyers; latte and tea lead by orders, latte by id; the mug is last."""
    assert fit_popular(FACTS, WHOLE.catalogue).order.tolist() == [LATTE, TEA, BEANS, MUG]


def test_assortment_is_what_a_store_sold_lately() -> None:
    """North sold nothing in 56 days before March but latte and tea on 11 January; south sold all three in February."""
    stock = fit_assortment(WHOLE.history, WHOLE.catalogue, len(WHOLE.stores), AS_OF)
    sold = [stock.item[stock.start[s] : stock.start[s + 1]].tolist() for s in range(2)]
    assert sold == [[LATTE, TEA], [BEANS, LATTE, TEA]]


def test_bought_matrix_counts_orders_of_a_customer_and_item() -> None:
    """Customer, item and number of orders, sorted; returns alone make no pair."""
    assert bought_matrix(WHOLE.history, WHOLE.catalogue, AS_OF).tolist() == [
        [0, LATTE, 2],
        [0, TEA, 1],
        [1, LATTE, 1],
        [1, TEA, 2],
        [2, BEANS, 1],
    ]
