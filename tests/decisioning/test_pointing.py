"""What points to items besides purchases: looks, which are none, and attributes of customers with hardly any."""

from dataclasses import replace

import lightgbm
import numpy as np
import pytest

from recsys.data.clock import DAY
from recsys.data.forgetting import forgetting
from recsys.data.looks import LOOK_BACK_DAYS, Look
from recsys.data.tail import rows_at
from recsys.decisioning import OfferRequest, Serving, rank, recommend
from recsys.decisioning.pointing import MOST_LIFT, VIEW_LIFT, looked_at
from recsys.errors import RequestRefused
from recsys.features.pairs import PAIR_FEATURES
from recsys.models.forest import Forest
from recsys.population.lookalikes import Lookalikes
from recsys.population.lookalikes_fit import Shrinkage, fit_lookalikes
from recsys.testing.builders import at, event, products, random_lines, snapshot
from recsys.testing.serving import linear_serving

CATALOGUE = products(*(f"p{i:03d} G{i % 2}>F{i % 4} 2.50" for i in range(30)))
OWN = snapshot(
    random_lines(4, 80, n_products=30, orders_each=3.0),
    "cat p001 2024-12-01",
    "cat p002 2024-12-20T10:00",
    "cat p003 2024-12-21 1x2.50 order=a",
    "cat p003 2024-12-23 -1x2.50 order=b",
    "end p001 2024-12-31",
    catalogue=CATALOGUE,
)
NOW = OWN.as_of
NEW_TO_CAT = "p020"


def look(product: str, when: str, *, cart: bool = False) -> Look:
    return Look(at(when), (product,), cart)


@pytest.fixture(scope="module")
def plain() -> Serving:
    """A serving with a linear ranker, whose scores are no log-odds."""
    return linear_serving(OWN)


@pytest.fixture(scope="module")
def trees(plain) -> Serving:
    """The same with trees, whose raw scores are log-odds."""
    draw = np.random.default_rng(3)
    X = draw.random((400, len(PAIR_FEATURES))).astype(np.float32)
    settings = {"objective": "binary", "num_leaves": 4, "num_threads": 1, "seed": 1, "verbose": -1}
    data = lightgbm.Dataset(X, (X[:, 14] > 0.5).astype(float), feature_name=list(PAIR_FEATURES))
    forest = Forest.from_text(lightgbm.train(settings, data, 5).model_to_string())
    return replace(plain, offers=replace(plain.offers, ranker=forest))


@pytest.fixture(scope="module")
def alike(plain) -> Serving:
    """The same with ages: the old buy p005, the young p006, and a stranger is known to be old."""
    ages = {"customer_id": [*OWN.customers, "stranger"], "age": ["old", "young"] * (len(OWN.customers) // 2) + ["old"]}
    items = plain.population.arrays.items
    facts: Lookalikes = fit_lookalikes(OWN, items, ages, Shrinkage(1.0, 1.0))
    lift = np.array(facts.lift)
    lift[:, 5], lift[:, 6] = (0.0, -2.0), (-2.0, 1.5)
    lift[0, 5] = 1.5
    return replace(plain, population=replace(plain.population, lookalikes=replace(facts, lift=lift)))


@pytest.mark.parametrize(
    ("looks", "found"),
    [
        ([look(NEW_TO_CAT, "2024-12-30")], {NEW_TO_CAT: (1, 0)}),
        ([look(NEW_TO_CAT, "2024-12-30"), look(NEW_TO_CAT, "2024-12-29", cart=True)], {NEW_TO_CAT: (1, 1)}),
        ([look("p002", "2024-12-20T09:59")], {}),  # bought since
        ([look("p002", "2024-12-20T10:00")], {}),  # bought at once
        ([look("p002", "2024-12-20T10:01")], {"p002": (1, 0)}),  # looked at again
        ([look("p003", "2024-12-22")], {}),  # brought back since
        ([look("p003", "2024-12-24")], {"p003": (1, 0)}),  # looked at again after it was brought back
        ([look("no such product", "2024-12-30")], {}),
        ([look(NEW_TO_CAT, "2025-01-01")], {}),  # reported ahead of its time
        ([Look(NOW - LOOK_BACK_DAYS * DAY, (NEW_TO_CAT,), False)], {}),  # too long ago
        ([Look(NOW - 1, (), True)], {}),  # of nothing
    ],
    ids=range(11),
)
def test_a_look_counts_until_bought_or_brought_back(plain, looks, found) -> None:
    """Views and carts since the last order or return of the item, within the look-back and up to now."""
    rows = rows_at(OWN, OWN.customers.index("cat"), NOW)
    names = OWN.catalogue.items
    assert {names[each.item]: (each.views, each.carts) for each in looked_at(plain, rows, looks)} == found


def test_the_cart_comes_before_a_view_then_the_freshest_and_most_frequent(plain) -> None:
    """An old cart, two views yesterday, one view yesterday, two views last week."""
    looks = [look("p010", "2024-12-24"), look("p010", "2024-12-24"), look("p011", "2024-12-30")]
    looks += [look("p012", "2024-12-30"), look("p012", "2024-12-30"), look("p013", "2024-12-20", cart=True)]
    found = looked_at(plain, rows_at(OWN, OWN.customers.index("cat"), NOW), looks)
    assert [OWN.catalogue.items[each.item] for each in found] == ["p013", "p012", "p011", "p010"]


def test_a_purchase_in_the_tail_ends_a_look(plain) -> None:
    """What was bought since the night is bought."""
    bought = event("e1", f"cat {NEW_TO_CAT} 2024-12-30T12:00")
    rows = rows_at(OWN, OWN.customers.index("cat"), NOW, [bought])
    assert looked_at(plain, rows, [look(NEW_TO_CAT, "2024-12-30")]) == ()


def raw_of(serving: Serving, looks: list[Look], who: str = "cat") -> dict[str, float]:
    ranking = rank(serving, OfferRequest(who, 5), (), NOW, looks=looks)
    items = [OWN.catalogue.items[int(item)] for item in ranking.items]
    return dict(zip(items, ranking.raw.tolist(), strict=True))


@pytest.mark.parametrize(("cart", "lift"), [(False, VIEW_LIFT), (True, MOST_LIFT)])
def test_a_look_just_made_adds_its_lift_to_one_item_alone(trees, cart, lift) -> None:
    """Log 2 for a view, log 4 for the cart; every other item keeps its bits: a look is no purchase."""
    before, after = raw_of(trees, []), raw_of(trees, [Look(NOW, (NEW_TO_CAT,), cart)])
    assert {name for name in before if before[name] != after[name]} == {NEW_TO_CAT}
    assert after[NEW_TO_CAT] == pytest.approx(before[NEW_TO_CAT] + lift)


def test_a_baseline_s_scores_are_not_lifted(plain) -> None:
    """Where raw scores are no log-odds a look makes its item a candidate and no more."""
    assert raw_of(plain, []) == raw_of(plain, [Look(NOW, (NEW_TO_CAT,), True)])


def test_ten_thousand_looks_lift_no_more_than_the_bound(trees) -> None:
    """However often it was looked at."""
    looks = [Look(NOW - k, (NEW_TO_CAT,), True) for k in range(200)]
    assert raw_of(trees, looks)[NEW_TO_CAT] <= raw_of(trees, [])[NEW_TO_CAT] + MOST_LIFT + 1e-12


def offered(serving: Serving, request: OfferRequest, looks: list[Look], item: str):
    answer = recommend(serving, request, (), NOW, looks)
    return next((offer for offer in answer.offers if offer.item_id == item), None)


@pytest.mark.parametrize(("item", "novelty"), [(NEW_TO_CAT, "new"), ("p001", "repeat")])
def test_an_item_looked_at_says_so(trees, item, novelty) -> None:
    """Its source, its novelty as purchases have it, and a reason with the numbers behind it."""
    looks = [look(item, "2024-12-30"), look(item, "2024-12-31", cart=True)]
    offer = offered(trees, OfferRequest("cat", 30, reasons=True), looks, item)
    assert ("viewed, not bought" in offer.sources, offer.novelty) == (True, novelty)
    reason = next(each for each in offer.reasons if each.code == "in_cart")
    assert (reason.evidence["views"], reason.evidence["carts"], reason.evidence["days_since_last"]) == (1, 1, 0.0)


def test_a_stranger_s_look_counts_too(trees) -> None:
    """The odds of a share of 20% double to a third."""
    item = OWN.catalogue.items.index(NEW_TO_CAT)
    share = float(trees.population.arrays.items.rate_28[item])
    found = raw_of(trees, [Look(NOW, (NEW_TO_CAT,), False)], "nobody")[NEW_TO_CAT]
    assert found / (1 - found) == pytest.approx(2 * share / (1 - share))


def test_a_known_stranger_is_offered_what_those_alike_buy(alike) -> None:
    """The old stranger's list has p005 before p006, the young one's p006, whose age came with the request."""
    ranked = {}
    for who, age in (("stranger", {}), ("stranger", {"age": "young"}), ("nobody", {"age": "old"})):
        raw = raw_of_request(alike, OfferRequest(who, 30, attributes=age))
        ranked[who, *age.values()] = raw["p005"] > raw["p006"]
    assert ranked == {("stranger",): True, ("stranger", "young"): False, ("nobody", "old"): True}


def raw_of_request(serving: Serving, request: OfferRequest) -> dict[str, float]:
    return {offer.item_id: offer.raw for offer in recommend(serving, request, (), NOW).offers}


def test_lookalikes_are_named_and_explained(alike) -> None:
    """Source, low evidence, and no reason without a real lift behind it."""
    answer = recommend(alike, OfferRequest("stranger", 30, reasons=True), (), NOW)
    assert (answer.evidence, {"lookalikes" in offer.sources for offer in answer.offers}) == ("low", {True})
    told = [r.evidence for offer in answer.offers for r in offer.reasons if r.code == "lookalikes"]
    assert told
    assert all(each["lift"] >= 1.2 and each["buyers"] <= each["customers"] and each["value"] == "old" for each in told)


def test_without_the_attribute_the_item_falls(alike) -> None:
    """Every reason made of an attribute: the same stranger without it has the item lower, or as high with less."""
    known, unknown = (rank(alike, OfferRequest(who, 30, reasons=True), (), NOW) for who in ("stranger", "nobody"))
    before, after = known.items.tolist(), unknown.items.tolist()
    for place, offer in enumerate(known.answer.offers):
        if any(reason.code == "lookalikes" for reason in offer.reasons):
            then = after.index(before[place])
            assert then > place or (then == place and unknown.raw[then] < offer.raw)


def test_who_bought_more_is_known_by_purchases(alike) -> None:
    """Attributes told of a customer with more than one order change nothing."""
    answers = [recommend(alike, OfferRequest("cat", 9, attributes=told), (), NOW) for told in ({}, {"age": "old"})]
    assert answers[0] == answers[1]


def test_an_unknown_attribute_is_refused_whoever_is_asked_for(alike) -> None:
    """Also for a customer it would not matter for."""
    with pytest.raises(RequestRefused):
        recommend(alike, OfferRequest("cat", attributes={"shoe": "42"}), (), NOW)


def test_an_erased_stranger_s_attributes_are_gone(alike) -> None:
    """Answered as one nobody knows."""
    erased = replace(alike, snapshot=forgetting(OWN, lambda who: NOW if who == "stranger" else None))
    answers = [recommend(erased, OfferRequest(who, 9, reasons=True), (), NOW).offers for who in ("stranger", "nobody")]
    assert answers[0] == answers[1]
