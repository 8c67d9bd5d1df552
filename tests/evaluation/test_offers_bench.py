"""Parts of the benchmark of offers that decide what is measured, on cases small enough to know the answer."""

from dataclasses import replace

import numpy as np
import pytest

from recsys.data.clock import DAY
from recsys.data.truncate import until
from recsys.evaluation.ranking import truth_of
from recsys.features.pairs import PAIR_FEATURES
from recsys.testing.builders import at, random_snapshot, snapshot
from tests.benchmarks.offers_ablation import variants
from tests.benchmarks.offers_cases import MODEL, OfferCase, clustered, gap, read_cases, table_of
from tests.benchmarks.offers_data import ROOT, Question, earlier_cuts, first_customers, questions_of, tiles, wanted
from tests.benchmarks.offers_goals import ahead, calibrated
from tests.benchmarks.offers_last import LastBaskets, split_of, with_orders
from tests.benchmarks.offers_purchases import most_frequent, steps
from tests.benchmarks.offers_windows import kept_items
from tests.docs.offers_page import contenders, gaps

WEEK = 7 * DAY


def test_validation_cuts_end_before_the_test_begins() -> None:
    """Four weeks' horizon, 200 days of history: cuts 28, 42 and 56 days before the first test cut."""
    assert [(200 * DAY - cut) / DAY for cut in earlier_cuts(0, 200 * DAY, 28)] == [56, 42, 28]


def test_a_short_history_has_one_validation_cut() -> None:
    """With 60 days up to the test a horizon of history lies before one cut only."""
    assert earlier_cuts(0, 60 * DAY, 28) == [32 * DAY]


@pytest.mark.parametrize(("final", "cuts", "end"), [(True, [12, 16], 20), (False, [8], 12)])
def test_tiles_lie_side_by_side(final: bool, cuts: list[int], end: int) -> None:
    """Of 20 weeks the last eight are the test, two windows of four; the window before is for choices."""
    assert tiles(0, 20 * WEEK, 28, final=final) == ([cut * WEEK for cut in cuts], end * WEEK)


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "benchmarks").glob("*.toml")), ids=lambda path: path.stem)
def test_every_file_of_questions_can_be_read(path) -> None:
    """Each asks something, under the name of its data set."""
    assert {question.data for question in questions_of(path.stem)} == {path.stem}


def test_a_data_set_without_a_file_is_asked_one_window() -> None:
    """Its own item level, cuts by the rule."""
    assert questions_of("no such data") == [Question("no such data", "window")]


@pytest.mark.parametrize(
    ("only", "expected"), [([], True), (["window"], True), (["shop"], True), (["window:shop"], True), (["cafe"], False)]
)
def test_only_names_protocol_or_data(only: list[str], expected: bool) -> None:
    """Either of them, or both."""
    assert wanted("window:shop", only) is expected


def test_the_first_customers_are_a_base_of_their_own() -> None:
    """Their rows are those they have in the whole."""
    whole = random_snapshot(3, 20)
    small = first_customers(whole, 5)
    assert np.array_equal(small.history.line_product, whole.history.line_product[: small.history.n_lines])


def test_resampling_whole_customers_widens_the_interval() -> None:
    """Ten equal figures a customer say no more than one does: the interval is that of the customers' means."""
    means = np.random.default_rng(0).random(40)
    many, one = clustered(np.repeat(means, 10), np.repeat(np.arange(40), 10)), clustered(means, np.arange(40))
    assert (many.low, many.high) == pytest.approx((one.low, one.high))


def test_a_gap_is_paired() -> None:
    """The model is one tenth ahead of every customer's figure: the interval has no width."""
    rule = np.random.default_rng(1).random(50)
    table = table_of("mixed", {MODEL: {"recall@10": rule + 0.1}, "rule": {"recall@10": rule}})
    found = gap(table, "recall@10")
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.1, 0.1))


def case(model: float, rule: float, level: str = "product", **more: object) -> OfferCase:
    tables = tuple(
        table_of(part, {MODEL: {"recall@10": np.full(9, model)}, "popularity": {"recall@10": np.full(9, rule)}})
        for part in ("mixed", "repeat", "new")
    )
    return replace(OfferCase("window", "shop", level, "2024-01-01", 28, "validation", tables), **more)  # type: ignore[arg-type]


def test_a_case_is_read_back(tmp_path) -> None:
    """What was written is what the page is rendered from."""
    written = case(0.25, 0.125, costs={MODEL: {"ms a list": 0.5}})
    written.save(tmp_path)
    assert read_cases("window", "validation", tmp_path) == [written]


def test_products_must_beat_the_field_by_a_quarter() -> None:
    """.3 is 1.2 times .25: too little over all items and over new ones."""
    assert [(each["value"], each["holds"]) for each in ahead(case(0.3, 0.25), "make")] == [(1.2, False), (1.2, False)]


def test_broader_items_must_be_ahead_of_each() -> None:
    """.3 against .25 of everyone: the lower bound is .05 in both modes."""
    found = [(each["value"], each["holds"]) for each in ahead(case(0.3, 0.25, "type"), "make")]
    assert found == [(pytest.approx(0.05), True), (pytest.approx(0.05), True)]


def test_sparse_deciles_do_not_count() -> None:
    """A decile with three purchases is half wrong and left out; the one with 1,000 is 5% off."""
    deciles = [
        {"decile": "1", "bought": 3.0, "relative error": 0.5},
        {"decile": "2", "bought": 1e3, "relative error": 0.05},
    ]
    told = case(0.3, 0.2, facts={"sum of probabilities / purchases": 1.2}, lists={"deciles": deciles})
    assert [(each["value"], each["holds"]) for each in calibrated(told, "make")] == [(0.2, False), (0.05, True)]


def test_the_page_names_the_best_baseline() -> None:
    """A row a contender, then the difference with its interval."""
    told, shown = case(0.3, 0.25), (("mixed", "recall@10"),)
    assert contenders(told, shown).splitlines()[2:] == ["| **Barista** | 0.3000 |", "| popularity | 0.2500 |"]
    assert "recall@10 +0.0500" in gaps(told, shown)


def test_splits_take_everyone_once() -> None:
    """72, 8 and 20 of a hundred."""
    parts = split_of(100, 3)
    assert ([len(each) for each in parts], sorted(np.concatenate(parts))) == ([72, 8, 20], list(range(100)))


SHOP = snapshot(
    "ann tea 2024-03-01 order=a",
    "ann bun 2024-03-05 order=b",
    "ann tea 2024-03-09 order=c",
    "bob bun 2024-03-02 order=d",
    "bob bun 2024-03-07 order=e",
    "bob pie 2024-03-08 order=f",
    "eve bun 2024-03-08 order=g",
)


def test_last_baskets_hold_items_bought_often_enough_before() -> None:
    """Bun has three baskets in the histories, tea one, pie none: with two needed only bob, who has two buns, stays."""
    last = LastBaskets.of(SHOP, 2)
    assert (last.baskets.n_items, np.diff(last.baskets.basket_start).tolist()) == (1, [0, 2, 0])


def test_orders_leave_with_their_lines() -> None:
    """Without the first order of everyone the history is the later ones."""
    kept = np.ones(SHOP.history.n_orders, np.bool_)
    kept[SHOP.history.order_start[:-1]] = False
    small = with_orders(SHOP.history, kept)
    assert (small.order_start.tolist(), small.n_lines) == ([0, 2, 4, 4], 4)


def test_steps_know_what_came_before_them() -> None:
    """After 4 March ann and bob order twice; before the second the first has been told of; eve was not known."""
    cut = at("2024-03-04")
    found = steps(SHOP, until(SHOP, cut).snapshot, cut, at("2024-04-01"))
    assert [(step.customer, len(step.before), len(step.past)) for step in found] == [
        ("ann", 0, 1), ("ann", 1, 2), ("bob", 0, 1), ("bob", 1, 2),
    ]  # fmt: skip


def test_most_frequent_breaks_ties_by_recency() -> None:
    """3 twice; 1 came after 2."""
    assert most_frequent([[3, 2], [1, 3]]) == [3, 1, 2]


def test_truth_of_some_items() -> None:
    """Items beyond the catalogue of the cut are none of them."""
    found = kept_items(truth_of([{0, 1, 9}, {1}]), np.array([True, False]))
    assert (found.start.tolist(), found.item.tolist()) == ([0, 1, 1], [0])


def test_ablation_leaves_out_every_feature_once() -> None:
    """The groups are the whole of the features, and each is missing from one variant."""
    missing = [name for _, features in variants().values() for name in features]
    assert sorted(missing) == sorted(PAIR_FEATURES)
