"""Reasons of offers: on a trained café their evidence, really removed, lowers the item; numbers are counts."""

import lightgbm
import numpy as np
import pytest
from msgspec.structs import replace

from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.data.tail import rows_at
from recsys.data.truncate import until
from recsys.decisioning import OfferRequest, Serving, recommend
from recsys.decisioning.gather import offers_table
from recsys.decisioning.offer_reasons import NEVER_BOUGHT, OFFER_CODES
from recsys.decisioning.recommend import rank_rows
from recsys.features.pairs import OWN, PAIR_FEATURES
from recsys.models.calibration import Platt
from recsys.models.forest import Forest
from recsys.models.offers import OffersModel
from recsys.models.spec import FeatureSpec
from recsys.population.facts import PopulationSpec
from recsys.population.fit import fit_population
from recsys.samples.cafe import simulate
from tests.decisioning.removing import removals

HORIZON = 28
SPEC = PopulationSpec(factors=8, iterations=3)
SAMPLED = 60


@pytest.fixture(scope="module")
def cafe() -> Serving:
    """300 guests, half a year; 60 trees learned from what was bought in the last four weeks."""
    snapshot = simulate(5, 300, 180).snapshot()
    return Serving.of(snapshot, fit_population(snapshot, SPEC), ranker(snapshot))


def ranker(snapshot: Snapshot) -> OffersModel:
    """Offers learned in one window: candidates four weeks before the end, labelled by the purchases since."""
    past = until(snapshot, snapshot.as_of - HORIZON * DAY).snapshot
    everyone = np.arange(past.history.n_customers)
    table = offers_table(past, fit_population(past, SPEC), past.as_of, everyone)
    bought = {(who, item) for who in snapshot.customers for item in since(snapshot, who, past.as_of)}
    names = [past.customers[int(i)] for i in table.customer], [past.catalogue.items[int(i)] for i in table.item]
    labels = [pair in bought for pair in zip(*names, strict=True)]
    settings = {"objective": "binary", "num_leaves": 15, "num_threads": 1, "seed": 1, "verbose": -1}
    trees = lightgbm.train(settings, lightgbm.Dataset(table.X, labels, feature_name=list(PAIR_FEATURES)), 60)
    forest = Forest.from_text(trees.model_to_string())
    spec = FeatureSpec(PAIR_FEATURES, HORIZON, "offers-1")
    return OffersModel(spec, forest, Platt(1.0, 0.0), Platt(1.0, 0.0), "product", {}, "offers-test")


def since(snapshot: Snapshot, who: str, then: int) -> set[str]:
    """Items a customer bought after an instant."""
    h, (low, high) = snapshot.history.arrays(), snapshot.history.span(snapshot.customers.index(who))
    orders = [order for order in range(low, high) if h.order_time[order] > then]
    products = [h.line_product[line] for o in orders for line in range(h.line_start[o], h.line_start[o + 1])]
    return {snapshot.catalogue.items[int(snapshot.catalogue.product_item[product])] for product in products}


def guests(cafe: Serving) -> list[str]:
    chosen = np.random.default_rng(2).choice(len(cafe.snapshot.customers), SAMPLED, replace=False)
    return [cafe.snapshot.customers[int(each)] for each in chosen]


def asked(cafe: Serving, **wishes: object):
    for who in guests(cafe):
        yield who, recommend(cafe, OfferRequest(who, 5, reasons=True, **wishes), (), cafe.snapshot.as_of)


@pytest.mark.parametrize("mode", ["new", "repeat", "mixed"])
def test_removing_the_evidence_lowers_the_item(cafe, mode):
    """Of the reasons told at least nine in ten hold when their purchases are deleted and everything is ranked again."""
    tried = [each for who in guests(cafe) for each in removals(cafe, who, mode, 3)]
    assert len(tried) > SAMPLED / 2
    assert np.mean([each.falls for each in tried]) >= 0.9


def test_only_known_codes_are_told(cafe):
    """Every reason is of a documented code and has numbers."""
    reasons = [reason for _, answer in asked(cafe) for offer in answer.offers for reason in offer.reasons]
    assert {reason.code for reason in reasons} <= set(OFFER_CODES)
    assert all(any(isinstance(x, int | float) for x in reason.evidence.values()) for reason in reasons)


def test_counts_are_those_of_the_rows(cafe):
    """Orders of a rhythm are the orders with the item, counted by hand from the lines."""
    said, counted = [], []
    for who, answer in asked(cafe, mode="repeat"):
        for offer in answer.offers:
            for reason in offer.reasons:
                if reason.code == "own_rhythm":
                    said.append(reason.evidence["orders"])
                    counted.append(orders_with(cafe, who, offer.item_id))
    assert said == counted != []


def orders_with(cafe: Serving, who: str, item_id: str) -> int:
    rows = rows_at(cafe.snapshot, cafe.snapshot.customers.index(who), cafe.snapshot.as_of)
    item, h = cafe.snapshot.catalogue.items.index(item_id), rows.arrays
    return sum(
        any(
            cafe.cat.product_item[h.line_product[line]] == item and h.line_quantity[line] > 0
            for line in range(h.line_start[order], h.line_start[order + 1])
        )
        for order in range(rows.low, rows.high)
    )


def test_language_changes_the_text_and_nothing_else(cafe):
    """Codes, evidence and offers of the three languages are equal, their texts differ."""
    who = guests(cafe)[0]
    answers = [
        recommend(cafe, OfferRequest(who, 5, reasons=True, language=language), (), cafe.snapshot.as_of)
        for language in ("en", "ru", "uk")
    ]
    texts = {offer.reasons[0].text for answer in answers for offer in answer.offers[:1]}
    bare = {
        repr([replace(o, reasons=tuple((r.code, r.evidence) for r in o.reasons)) for o in answer.offers])
        for answer in answers
    }
    assert (len(texts), len(bare)) == (3, 1)


def test_without_own_purchases_an_item_is_as_one_never_bought(cafe):
    """The values that stand for removed own purchases are those of a new item's row."""
    who = rows_at(cafe.snapshot, cafe.snapshot.customers.index(guests(cafe)[0]), cafe.snapshot.as_of)
    rank_rows(cafe, OfferRequest(guests(cafe)[0], 1, "new"), who)
    row = cafe.desk().X[0]
    names = [name for name, _ in NEVER_BOUGHT.features]
    assert names == list(OWN)
    np.testing.assert_array_equal(
        [value for _, value in NEVER_BOUGHT.features], [row[PAIR_FEATURES.index(n)] for n in names]
    )


def test_a_stranger_is_told_what_is_popular(cafe):
    """Without purchases the only reason is popularity, with its share."""
    answer = recommend(cafe, OfferRequest("nobody", 3, reasons=True), (), cafe.snapshot.as_of)
    assert {reason.code for offer in answer.offers for reason in offer.reasons} == {"popular_now"}
