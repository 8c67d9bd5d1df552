"""Baselines of offers on bases small enough to rank by hand, and against brute-force twins."""

import numpy as np
import pytest

from recsys.data.truncate import until
from recsys.errors import NotEnoughData
from recsys.evaluation.offers_baselines import BASELINES, in_whole, known_of, recommend, recommend_by
from recsys.evaluation.ranking import split_truth, truth_of
from recsys.testing.builders import at, random_snapshot, snapshot

CAFE = snapshot(
    "ann latte 2024-03-01 order=a",
    "ann latte 2024-03-20 order=b",
    "ann bun 2024-03-20 order=b",
    "bob bun 2024-03-21 order=c",
    "bob tea 2024-03-22 order=d",
    "cat bun 2024-03-23 order=e",
    "dan old 2024-01-02 order=f",
    "dan old 2024-01-03 order=g",
    "dan old 2024-01-04 order=h",
)
"""Buyers of the last 28 days: bun 3, latte 1 (2 orders), tea 1, old 0."""


def names(items: np.ndarray, whole=CAFE) -> list[str]:
    return [whole.catalogue.items[item] for item in items if item >= 0]


def offered(baseline: str, customer: str, mode: str, n: int = 3) -> list[str]:
    return names(recommend(CAFE, None, n, mode, baseline)[CAFE.customers.index(customer)])


def test_popularity_counts_recent_buyers() -> None:
    """Three recent buyers beat three old orders; ties go to more orders, then to the smaller id."""
    assert offered("popularity", "ann", "mixed", 4) == ["bun", "latte", "tea", "old"]


@pytest.mark.parametrize(
    ("mode", "expected"), [("mixed", ["latte", "bun", "tea"]), ("repeat", ["latte", "bun"]), ("new", ["tea", "old"])]
)
def test_own_frequency_then_popularity(mode: str, expected: list[str]) -> None:
    """Own orders first, popularity breaks ties and fills up; modes split what was bought from what was not."""
    assert offered("own frequency", "ann", mode) == expected


def test_item_item_sums_cosines() -> None:
    """For cat (bun) latte and tea are each 1/√3 from bun: the tie goes to latte; old shares no customer."""
    assert offered("item-item", "cat", "new") == ["latte", "tea", "old"]


@pytest.mark.parametrize("mode", ["new", "repeat", "mixed"])
@pytest.mark.parametrize("baseline", BASELINES)
def test_modes_hold(baseline: str, mode: str) -> None:
    """No baseline offers an item twice, a bought one as new or an unknown one as repeat."""
    whole = random_snapshot(7)
    known = known_of(whole)
    rows = recommend_by(known, BASELINES[baseline](known), 8, mode)
    kinds = {"new": {False}, "repeat": {True}, "mixed": {True, False}}[mode]
    bought = known.bought.toarray() > 0
    assert all(
        len(set(kept)) == len(kept) and {bool(bought[customer, item]) for item in kept} <= kinds
        for customer, kept in enumerate([item for item in row if item >= 0] for row in rows)
    )


def test_als_alone_finds_the_checkerboard() -> None:
    """Where even customers buy even items and odd ones odd items, each is offered the one of their kind they lack."""
    rows = [f"c{c:02d} i{i:02d} 2024-03-{1 + i:02d} order={c}-{i}" for c in range(20) for i in range(c % 2, 20, 2)]
    left_out = [row for row in rows if not row.startswith(tuple(f"c{c:02d} i{(c + 4) % 20:02d}" for c in range(20)))]
    whole = snapshot(*left_out)
    found = recommend(whole, None, 1, "new", "ALS")[:, 0]
    assert [int(whole.catalogue.items[item][1:]) for item in found] == [(c + 4) % 20 for c in range(20)]


def test_nothing_after_as_of_counts() -> None:
    """At an instant in February only old has been sold, and nobody's later purchase is known."""
    assert names(recommend(CAFE, at("2024-02-01"), 1, "new")[CAFE.customers.index("ann")]) == ["old"]


def test_what_is_not_offerable_is_never_offered() -> None:
    """Items the catalogue excludes are bought but not recommended."""
    whole = snapshot(
        "ann gas 2024-03-01", "bob gas 2024-03-02", "bob bun 2024-03-02", catalogue=["!gas Fuel", "bun Bakery"]
    )
    assert names(recommend(whole, None, 5, "mixed")[0], whole) == ["bun"]


def test_indices_of_the_whole() -> None:
    """Recommendations of a cut, translated, name the same items in the whole snapshot."""
    cut = until(CAFE, at("2024-03-20T12:00"))
    rows = recommend(cut.snapshot, None, 3, "mixed")
    assert names(in_whole(rows, cut.items)[0]) == names(rows[0], cut.snapshot)


def test_no_items_is_refused() -> None:
    """A base whose lines name no product can't be recommended anything, and the error says so."""
    cut = until(CAFE, at("2024-03-20T12:00")).snapshot
    empty = np.zeros(0, np.int32)
    from dataclasses import replace

    from recsys.data.ids import IdMap, Texts

    bare = replace(cut.catalogue, items=IdMap.of([]), item_names=Texts.of([]), item_family=empty, item_group=empty)
    with pytest.raises(NotEnoughData):
        known_of(replace(cut, catalogue=bare))


def test_truth_splits_by_history() -> None:
    """What was bought before is repeat, the rest new; customers keep their places."""
    new, repeat = split_truth(truth_of([{1, 4}, set(), {2}]), truth_of([{4, 9}, {1}, {3}]))
    assert [new.start.tolist(), new.item.tolist(), repeat.item.tolist()] == [[0, 1, 1, 2], [1, 2], [4]]
