"""What customers with the same attributes buy: counted by hand, drawn to everyone's, blind to the future."""

import math

import numpy as np
import polars as pl
import pytest

from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.data.truncate import until
from recsys.errors import RequestRefused
from recsys.population.items import fit_items
from recsys.population.lookalikes import DAYS, Lookalikes
from recsys.population.lookalikes_fit import K_FAMILY, K, fit_lookalikes
from recsys.testing.builders import products, random_lines, snapshot

CATALOGUE = products(*(f"p{i:03d} G{i % 2}>F{i % 4} 2.50" for i in range(12)))
BOUGHT = random_lines(7, 90, n_products=12)


def shop(table: pl.DataFrame = BOUGHT) -> Snapshot:
    return snapshot(table, catalogue=CATALOGUE)


def columns(base: Snapshot) -> dict[str, list]:
    """Age of everybody but every seventh, a number of children, a name nobody shares, somebody without purchases."""
    ids = [*base.customers, "nobody"]
    age = [None if k % 7 == 0 else ("old", "young")[k % 2] for k in range(len(ids))]
    return {"customer_id": ids, "age": age, "children": [k % 3 for k in range(len(ids))], "name": ids}


def fitted(base: Snapshot, table: dict[str, list] | None = None) -> Lookalikes:
    items = fit_items(base.history, base.catalogue, base.as_of)
    return fit_lookalikes(base, items, table or columns(base))


def buyers_by_hand(base: Snapshot, wanted: dict[str, str]) -> dict[str, dict[str, set[str]]]:
    """Customers of each value that bought each item in the last days, by value."""
    h, found = base.history, {value: {} for value in set(wanted.values())}
    for customer in range(h.n_customers):
        value = wanted.get(base.customers[customer])
        for order in range(*h.span(customer)):
            if value is None or not base.as_of - DAYS * DAY < h.order_time[order] <= base.as_of:
                continue
            for line in range(int(h.line_start[order]), int(h.line_start[order + 1])):
                if h.line_quantity[line] > 0:
                    item = base.catalogue.items[int(base.catalogue.product_item[h.line_product[line]])]
                    found[value].setdefault(item, set()).add(base.customers[customer])
    return found


def test_a_lift_is_the_formula_of_counts_by_hand() -> None:
    """log((n + K·L) / (e + K)), L the same of the family drawn to 1, for every value and item."""
    base = shop()
    facts, table = fitted(base), columns(base)
    ages = {who: age for who, age in zip(table["customer_id"], table["age"], strict=True) if age}
    hand = buyers_by_hand(base, ages)
    n = {(value, item): len(who) for value, items in hand.items() for item, who in items.items()}
    pairs = {value: sum(len(who) for who in items.values()) for value, items in hand.items()}
    wanted, found = [], []
    for k, value in enumerate(facts.attributes[0].values):
        share = pairs[value] / sum(pairs.values())
        for at, item in enumerate(base.catalogue.items):
            family = [other for other in base.catalogue.items if int(other[1:]) % 4 == int(item[1:]) % 4]
            due = {other: share * sum(n.get((each, other), 0) for each in pairs) for other in family}
            seen = sum(n.get((value, other), 0) for other in family)
            prior = (seen + K_FAMILY) / (sum(due.values()) + K_FAMILY)
            wanted.append(math.log((n.get((value, item), 0) + K * prior) / (due[item] + K)))
            found.append(facts.lift[k, at])
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_a_share_is_everyone_s_times_the_geometric_mean_of_the_lifts() -> None:
    """Two attributes known: rate · √(A · B)."""
    base = shop()
    facts, rate = fitted(base), np.full(12, 0.1, np.float32)
    rows = facts.rows_told({"age": "old", "children": 2})
    wanted = 0.1 * np.exp((facts.lift[rows[0]] + facts.lift[rows[1]]) / 2.0)
    np.testing.assert_allclose(facts.scores(rows, rate), wanted, rtol=1e-5)


def test_nothing_known_leaves_every_bit_of_popularity() -> None:
    """Without a known value the share is everyone's."""
    facts, rate = fitted(shop()), np.random.default_rng(1).random(12).astype(np.float32)
    assert facts.scores(facts.rows_told({}), rate).tobytes() == rate.tobytes()


def test_a_column_of_names_is_no_attribute() -> None:
    """Values that few share are not counted, an attribute without two is left out."""
    assert [(each.name, each.values) for each in fitted(shop()).attributes] == [
        ("age", ("old", "young")),
        ("children", ("0", "1", "2")),
    ]


def test_facts_see_no_future() -> None:
    """At an earlier day they are the same bits whether or not the file goes on after it."""
    cut = shop().as_of - 60 * DAY
    past = [until(shop(), cut).snapshot, shop(BOUGHT.filter(pl.col("occurred_at") <= cut)).with_facts(as_of=cut)]
    facts = [fitted(each, columns(past[0])) for each in past]
    assert facts[0].lift.tobytes() == facts[1].lift.tobytes()


def test_facts_are_read_back(tmp_path) -> None:
    """Attributes, customers and lifts of a saved directory are those that were written."""
    facts = fitted(shop())
    facts.save(tmp_path)
    again = Lookalikes.load(tmp_path)
    people = [*facts.ids]
    assert (again.attributes, again.lift.tobytes()) == (facts.attributes, facts.lift.tobytes())
    assert [again.rows_of(who).tolist() for who in people] == [facts.rows_of(who).tolist() for who in people]


def test_a_customer_has_the_rows_of_the_table() -> None:
    """Ids in any order: each gets its own values, a stranger none."""
    base = shop()
    table = {name: list(reversed(column)) for name, column in columns(base).items()}
    facts = fitted(base, table)
    for who, age, children in zip(table["customer_id"], table["age"], table["children"], strict=True):
        told = {"children": children} | ({"age": age} if age else {})
        assert facts.rows_of(who).tolist() == facts.rows_told(told).tolist()
    assert facts.rows_of("a stranger") is None


def test_a_number_of_few_customers_has_no_ranges() -> None:
    """Ninety different incomes don't make six ranges of twenty, and none is shared by twenty."""
    base = shop()
    assert fitted(base, {"customer_id": [*base.customers], "income": [float(k) for k in range(90)]}).attributes == ()


def test_numbers_of_many_are_cut_into_ranges() -> None:
    """Six ranges of two hundred incomes; each number is told in its own."""
    base = snapshot(random_lines(3, 200, n_products=12, days=60), catalogue=CATALOGUE)
    table = {"customer_id": [*base.customers], "income": [float(k) for k in range(200)]}
    income = fitted(base, table).attributes[0]
    assert [income.row(x) for x in (-5.0, 0.0, 199.0, 9e9)] == [0, 0, 5, 5]
    assert (len(income.values), income.values[0][:2], income.values[-1][:2]) == (6, "< ", "≥ ")


@pytest.mark.parametrize(
    ("told", "said"),
    [({"city": "Lviv"}, "age, children"), ({"children": "two"}, "a number"), ({"age": 35.0}, "a text")],
)
def test_what_is_no_attribute_is_refused(told, said) -> None:
    """Unknown names are answered with the known ones, values of another type with the right one; no value is told."""
    with pytest.raises(RequestRefused) as refused:
        fitted(shop()).rows_told(told)
    assert said in refused.value.message()
    assert not any(isinstance(value, str) and value in refused.value.message() for value in told.values())
