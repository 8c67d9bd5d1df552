"""Novelty: what new means by level and look-back, against a twin that reads the customer's lines."""

from functools import cache

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.decisioning import Novelty, OfferRequest, OffersAnswer, Serving, recommend
from recsys.decisioning.record import Asked
from recsys.errors import RequestRefused
from recsys.testing.builders import event, products, random_lines, snapshot
from tests.decisioning.sensible import sensible_serving

PATHS = {f"p{i:03d}": (f"G{i % 5}", f"F{i % 15}") for i in range(60)}
LOOSE = ("p060", "p061")
"""Items of no category."""
LISTED = products(
    *(f"{item} {group}>{family} 2.50" for item, (group, family) in PATHS.items()),
    *(f"{item} X>Y 2.50" for item in LOOSE),
)
CATALOGUE = LISTED.with_columns(
    pl.when(pl.col("product_id").is_in(LOOSE)).then(None).otherwise(pl.col(name)).alias(name)
    for name in ("group", "family")
)
BOUGHT = random_lines(5, 40, n_products=62, orders_each=5.0)
LEVELS = ("item", "family", "group")
MODES = ("new", "repeat", "mixed")
LOOK_BACKS = (None, 1, 20, 60, 3_650)
CUSTOMERS = sorted(BOUGHT["customer_id"].unique().to_list())


@cache
def whole() -> Snapshot:
    return snapshot(BOUGHT, catalogue=CATALOGUE)


@cache
def serving() -> Serving:
    return sensible_serving(whole())


def ask(customer: str, novelty: Novelty, mode: str = "new", events: tuple = (), as_of: int | None = None):
    """Everything that may be offered to a customer."""
    request = OfferRequest(customer, 200, mode, novelty=novelty)
    return recommend(serving(), request, events, as_of or whole().as_of)


def told(answer: OffersAnswer) -> dict[str, str]:
    """Novelty by item offered."""
    return {offer.item_id: offer.novelty for offer in answer.offers}


def category(item: str, level: str) -> str:
    """The item's category at the level, read from the texts the catalogue was built from; itself without one."""
    if level == "item" or item not in PATHS:
        return item
    return PATHS[item][("group", "family").index(level)]


def twin(customer: str, novelty: Novelty) -> dict[str, str]:
    """Novelty of every item by the definition: a loop over the customer's lines."""
    days = novelty.look_back_days
    since = whole().as_of - days * DAY if days is not None else 0
    bought = {
        category(row["product_id"], novelty.level)
        for row in BOUGHT.to_dicts()
        if row["customer_id"] == customer and row["quantity"] > 0 and row["occurred_at"] >= since
    }
    items = [*PATHS, *LOOSE]
    return {item: "repeat" if category(item, novelty.level) in bought else "new" for item in items}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("days", LOOK_BACKS)
@pytest.mark.parametrize("mode", MODES)
def test_what_is_offered_is_new_or_not_by_the_definition(level, days, mode) -> None:
    """Each mode keeps to its side, and every offer says which side it stands on, as the twin does."""
    novelty = Novelty(level, days)
    for customer in CUSTOMERS[:12]:
        expected, found = twin(customer, novelty), told(ask(customer, novelty, mode))
        assert found == {item: expected[item] for item in found if mode in ("mixed", expected[item])}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("days", LOOK_BACKS)
def test_everything_new_of_a_small_catalogue_is_offered(level, days) -> None:
    """With room enough mode `new` leaves out no item that is new, bought long ago or never."""
    novelty = Novelty(level, days)
    for customer in CUSTOMERS[:6]:
        expected = {item for item, side in twin(customer, novelty).items() if side == "new"}
        assert set(told(ask(customer, novelty))) == expected


def test_the_base_makes_a_difference_to_every_meaning() -> None:
    """The tests above would be idle if levels or look-backs agreed."""
    meanings = [Novelty(level, days) for level in LEVELS for days in (None, 20, 60)]
    sides = {tuple(tuple(twin(customer, each).values()) for customer in CUSTOMERS[:6]) for each in meanings}
    assert len(sides) == len(meanings)


@given(st.sampled_from(CUSTOMERS), st.sampled_from(sorted(PATHS)), st.sampled_from(LEVELS), st.sampled_from(LOOK_BACKS))
@settings(max_examples=40, deadline=None)
def test_a_posted_purchase_makes_its_category_known(customer, product, level, days) -> None:
    """Nothing of the category of a purchase reported just now is offered as new."""
    posted = event("e1", f"{customer} {product} 2025-06-01T10:00 1x2.50")
    later = ask(customer, Novelty(level, days), events=(posted,), as_of=posted.occurred_at + 60)
    assert category(product, level) not in {category(item, level) for item in told(later)}


@pytest.mark.parametrize(("late", "side"), [(0, "repeat"), (1, "new")])
def test_a_purchase_exactly_as_old_as_the_look_back_counts(late, side) -> None:
    """One second later the item is new again."""
    posted = event("e1", "zoe p007 2025-06-01T10:00 1x2.50")
    answer = ask("zoe", Novelty("item", 30), "mixed", (posted,), posted.occurred_at + 30 * DAY + late)
    assert told(answer)["p007"] == side


def test_a_return_makes_nothing_known() -> None:
    """Bringing something back is no purchase of its group."""
    back = event("e1", "zoe p007 2025-06-01T10:00 -1x2.50", refund=True)
    answer = ask("zoe", Novelty("group"), "mixed", (back,), back.occurred_at)
    assert set(told(answer).values()) == {"new"}


def test_the_plain_meaning_asked_for_in_a_roundabout_way_gives_the_same_items() -> None:
    """A look-back over all of history offers the same new items, with the same scores, as none."""
    plain, roundabout = (ask("c0003", Novelty("item", days)) for days in (None, 3_650))
    assert [(o.item_id, o.raw, o.probability) for o in plain.offers] == [
        (o.item_id, o.raw, o.probability) for o in roundabout.offers
    ]


def test_a_lapsed_item_keeps_the_probability_of_what_it_is() -> None:
    """New again is a matter of what is offered: score and probability know that it was bought before."""
    lapsed, plain = (
        {o.item_id: (o.raw, o.probability) for o in ask("c0003", Novelty("item", days), "mixed").offers}
        for days in (1, None)
    )
    assert lapsed == plain


def test_an_unknown_level_is_refused_with_the_known_ones() -> None:
    """The error lists what can be asked."""
    with pytest.raises(RequestRefused, match="found 'brand'; expected item, family, group"):
        ask("c0003", Novelty("brand"))  # type: ignore[arg-type]


def test_a_level_the_catalogue_lacks_is_refused_with_those_it_has() -> None:
    """Products without categories know the item alone."""
    bare = sensible_serving(snapshot("ann tea 2024-03-01", "ann bun 2024-03-02", "bob tea 2024-03-03"))
    with pytest.raises(RequestRefused, match="no such level; found 'group'; expected item"):
        recommend(bare, OfferRequest("ann", novelty=Novelty("group")), (), bare.snapshot.as_of)


@pytest.mark.parametrize("days", [0, 3_651])
def test_a_look_back_without_sense_is_refused(days) -> None:
    """It is 1 … 3650 days."""
    with pytest.raises(RequestRefused, match="1 … 3650 days"):
        ask("c0003", Novelty("item", days))


def test_a_record_keeps_what_new_meant() -> None:
    """The request comes back out of its record."""
    request = OfferRequest("ann", novelty=Novelty("group", 90))
    assert Asked.of(request).request("ann") == request
