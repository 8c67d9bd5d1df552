"""Newest baskets, profiles, what follows and peers, against counts by hand and dense twins."""

import numpy as np
import pytest

from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.population.following import SHRINK as EXCESS_SHRINK
from recsys.population.following import fit_following
from recsys.population.now import SHRINK, fit_now
from recsys.population.peers import LATELY, fit_peers
from recsys.population.witnesses import FADE_BASKETS, HALF_LIFE, Witnesses, profiles, whole_profiles, witnesses
from recsys.testing.builders import at, snapshot

CAFE = snapshot(
    "ann latte 2024-01-01 1x1.00 order=a1",
    "ann latte 2024-02-01 1x1.00 order=a2",
    "ann mocha 2024-02-01 1x1.00 order=a2",
    "bob tea 2024-01-01 1x1.00 order=b1",
    "bob latte 2024-02-01 1x1.00 order=b2",
    "cem tea 2024-01-04 1x1.00 order=c1",
)
AS_OF = at("2024-02-01")
LATTE, MOCHA, TEA = range(3)
OLD = 0.5 ** (28 / HALF_LIFE)
"""What cem's basket of 28 days ago weighs beside those of today."""


def seen_of(whole: Snapshot) -> Witnesses:
    """All baskets of a snapshot."""
    return witnesses(whole.history, whole.catalogue.product_item, whole.catalogue.n_items, whole.as_of)


def cafe(as_of: int = AS_OF) -> Witnesses:
    """Baskets of the café up to a day."""
    return witnesses(CAFE.history, CAFE.catalogue.product_item, 3, as_of)


def test_rate_now_is_a_share_of_newest_baskets() -> None:
    """Ann and bob took latte last, ann mocha, cem tea, whose basket is four weeks old and counts half."""
    np.testing.assert_allclose(fit_now(cafe()).rate, np.array([2, 1, OLD]) / (2 + OLD), rtol=1e-6)


def test_adoption_now_counts_those_without_it_before() -> None:
    """Of the two that had no latte bob took it up; of all three only ann took mocha; of two without tea cem did."""
    wanted = [1 / (1 + OLD), 1 / (2 + OLD), OLD / (1 + OLD)]
    np.testing.assert_allclose(fit_now(cafe()).adoption, wanted, rtol=1e-6)


def test_repeat_now_is_shrunk_to_all_items_share() -> None:
    """One of the two items owned (ann's latte, bob's tea) came again."""
    wanted = [(1 + SHRINK * 0.5) / (1 + SHRINK), 0.5, SHRINK * 0.5 / (1 + SHRINK)]
    np.testing.assert_allclose(fit_now(cafe()).repeat, wanted, rtol=1e-6)


def test_nothing_after_as_of_is_seen() -> None:
    """A day earlier the baskets of February do not exist."""
    earlier = fit_now(cafe(AS_OF - DAY))
    assert (earlier.rate[MOCHA], earlier.rate[LATTE] < 0.5) == (0.0, True)


def test_a_profile_is_faded_weighed_by_rarity_and_of_length_one() -> None:
    """Before her newest basket a customer had latte two baskets back and tea one back."""
    whole = snapshot(
        "ann latte 2024-01-01 1x1.00 order=1",
        "ann tea 2024-01-02 1x1.00 order=2",
        "ann latte 2024-01-03 1x1.00 order=3",
    )
    found = profiles(seen_of(whole), np.array([2.0, 1.0], np.float32), 0).toarray()[0]
    wanted = np.array([FADE_BASKETS * 2.0, 1.0])
    np.testing.assert_allclose(found, wanted / np.linalg.norm(wanted), rtol=1e-6)


def test_excess_is_what_follows_oftener_than_usual() -> None:
    """Of two pairs of baskets one starts with tea; latte follows in both, so its excess after tea is none."""
    found = fit_following(cafe())
    after = slice(found.start[TEA], found.start[TEA + 1])
    assert (found.item[after].tolist(), found.start[LATTE + 1]) == ([], 1)


def test_excess_is_shrunk() -> None:
    """One pair starts with latte and its next holds mocha, as one of two next baskets does."""
    found = fit_following(cafe())
    assert found.excess.tolist() == pytest.approx([(1 - 0.5) / (1 + EXCESS_SHRINK)])


def test_peers_keep_profiles_by_item_and_newest_baskets() -> None:
    """Ann is known by latte, bob by tea; cem has one basket and no profile before it, all newest baskets are kept."""
    peers = fit_peers(cafe(), np.ones(3, np.float32))
    known = peers.weight[:, 0] > 0
    places = [np.arange(peers.start[i], peers.start[i + 1]) for i in range(3)]
    by_item = [peers.customer[place[known[place]]].tolist() for place in places]
    baskets = [peers.basket_item[peers.basket_start[w] : peers.basket_start[w + 1]].tolist() for w in range(3)]
    assert (by_item, baskets) == ([[0], [], [1]], [[LATTE, MOCHA], [LATTE], [TEA]])


def test_peers_weigh_by_how_fresh_their_newest_basket_is() -> None:
    """Half after the half-life."""
    assert fit_peers(cafe(), np.ones(3, np.float32)).fresh.tolist() == pytest.approx([1.0, 1.0, OLD])


def test_a_whole_profile_holds_all_orders_over_the_root_of_its_length() -> None:
    """Ann had latte twice and mocha once, bob tea and latte, cem tea; asymmetry 3/4 takes the root of the length."""
    found = whole_profiles(cafe(), 0.75).toarray()
    wanted = np.array([[2, 1, 0], [1, 0, 1], [0, 0, 1]])
    np.testing.assert_allclose(found, wanted / np.linalg.norm(wanted, axis=1, keepdims=True) ** 0.5, rtol=1e-6)


def test_what_was_taken_lately_fades_with_the_days() -> None:
    """Baskets of today count whole, those of 31 and of 28 days ago as much as is left of them."""
    peers = fit_peers(cafe(), np.ones(3, np.float32))
    found = np.zeros((3, 3))
    for w in range(3):
        places = slice(peers.taken_start[w], peers.taken_start[w + 1])
        found[w, peers.taken_item[places]] = peers.taken_worth[places]
    month = 0.5 ** (31 / LATELY)
    wanted = [[1 + month, 1, 0], [1, 0, month], [0, 0, 0.5 ** (28 / LATELY)]]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
