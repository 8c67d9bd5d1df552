"""Rows of a source: accepted as what they say, or rejected with line, column, value and reason."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from recsys.errors import ImportRefused, MappingError

HEADER = "who,when,what,n,paid,bill\n"
GOOD = "ann,2024-03-01T08:00:00Z,latte,2,7.00,b1\n"


def seconds(*parts: int, zone: str = "UTC") -> int:
    """Seconds of a local time, by the standard library."""
    return int(datetime(*parts, tzinfo=ZoneInfo(zone)).astimezone(UTC).timestamp())


def first_time(result: Any) -> int:
    """Instant of the only order."""
    return int(result.snapshot.history.order_time[0])


def test_a_row_becomes_a_line(shop: Any, rows_of: Callable[[Any], Any]) -> None:
    """Customer, product, instant, quantity and money arrive as written."""
    result = shop.sells(HEADER + GOOD)
    assert rows_of(result.snapshot) == [("ann", "latte", seconds(2024, 3, 1, 8), 2.0, 700)]


@pytest.mark.parametrize(
    ("row", "column", "value", "reason"),
    [
        (",2024-03-01,latte,1,3.50,b2", "customer_id", "", "missing"),
        ("bob,,latte,1,3.50,b2", "occurred_at", "", "missing"),
        ("bob,1.3.24,latte,1,3.50,b2", "occurred_at", "1.3.24", "not an instant"),
        ("bob,2031-01-01,latte,1,3.50,b2", "occurred_at", "2031-01-01", "in the future"),
        ("bob,1950-01-01,latte,1,3.50,b2", "occurred_at", "1950-01-01", "before 1970"),
        ("bob,2024-03-01,,1,3.50,b2", "product_id", "", "missing"),
        ("bob,2024-03-01,latte,one,3.50,b2", "quantity", "one", "not a number"),
        ("bob,2024-03-01,latte,,3.50,b2", "quantity", "", "missing"),
        ("bob,2024-03-01,latte,1,nan,b2", "amount", "nan", "not a number"),
        ("bob,2024-03-01,latte,1,1e40,b2", "amount", "1e40", "not a number"),
        ("bob,2024-03-01,latte,9e12,1,b2", "quantity", "9e12", "too large"),
        ("bob,2024-03-01,latte,1", "", "bob,2024-03-01,latte,1", "4 values instead of 6"),
        ("bob,2024-03-01,latte,1,2,3,4", "", "bob,2024-03-01,latte,1,2,3,4", "7 values instead of 6"),
    ],
)
def test_an_unusable_row_is_rejected_by_name(shop: Any, row: str, column: str, value: str, reason: str) -> None:
    """The reject names the line in the file, the column, the value and the reason; the other rows stay."""
    result = shop.sells(HEADER + GOOD + "\n" + row + "\n" + GOOD.replace("b1", "b3"))
    reject = shop.rejects()[0]
    table = result.report.tables["transactions"]
    found = (reject["line"], reject["column"] or "", reject["value"] or "", reject["reason"][: len(reason)])
    assert (found, (table.read, table.accepted, table.rejected)) == (("4", column, value, reason), (3, 2, 1))


def test_rows_read_are_accepted_or_rejected(shop: Any) -> None:
    """Nothing is lost between them, blank lines being no rows."""
    bad = "eve,2024-03-02,latte,x,1.00,b9\n"
    result = shop.sells(HEADER + (GOOD + "\n" + bad + "short\n") * 500)
    table = result.report.tables["transactions"]
    assert (table.read, table.accepted, table.rejected, len(shop.rejects())) == (1500, 500, 1000, 1000)


def test_lines_of_rejects_are_those_of_the_file(shop: Any) -> None:
    """Blank and odd lines are counted on the way to a later bad one."""
    text = HEADER + "\n" + GOOD + "odd\n" + "\n" + "odd,odd\n" + GOOD + "eve,2024-03-02,latte,x,1.00,b9\n"
    shop.sells(text)
    assert [reject["line"] for reject in shop.rejects()] == ["4", "6", "8"]


def test_lines_count_breaks_inside_values(shop: Any) -> None:
    """A reject after a quoted value of three lines is named by its line in an editor."""
    text = HEADER + 'ann,2024-03-01,"latte\nwith\nmilk",1,1,b1\n' + GOOD + "eve,2024-03-02,latte,x,1.00,b9\n"
    shop.sells(text)
    assert [reject["line"] for reject in shop.rejects()] == ["6"]


def test_an_open_quote_loses_no_row(shop: Any) -> None:
    """Every line that an unclosed quote swallows is rejected by its line; the rows before it stay."""
    result = shop.sells(HEADER + GOOD + 'bob,2024-03-01,"latte,1,3.50,b2\n' + GOOD * 3)
    table = result.report.tables["transactions"]
    assert ((table.read, table.accepted), [r["line"] for r in shop.rejects()]) == ((5, 1), ["3", "4", "5", "6"])


def test_a_reject_cannot_run_as_a_formula(shop: Any) -> None:
    """Values a spreadsheet would compute are written with an apostrophe before them."""
    shop.sells(HEADER + GOOD + "bob,=1+1,latte,1,1,b2\n")
    assert shop.rejects()[0]["value"] == "'=1+1"


def test_two_lattes_are_two_lines(shop: Any) -> None:
    """Identical lines are kept and reported."""
    result = shop.sells(HEADER + GOOD + GOOD)
    odd = {each.name: each.count for each in result.report.oddities}
    assert (result.snapshot.history.n_lines, odd["repeated_lines"]) == (2, 1)


def test_a_line_id_proves_repetition(shop: Any) -> None:
    """The second line with the same id is rejected, also when its first row was unusable only before it."""
    columns = {"customer_id": "who", "occurred_at": "when", "product_id": "what", "line_id": "id"}
    text = (
        "who,when,what,id\nann,never,latte,7\nann,2024-03-01,latte,7\nann,2024-03-01,latte,7\nann,2024-03-01,latte,8\n"
    )
    shop.sells(text, columns=columns)
    assert [(r["line"], r["reason"][:8]) for r in shop.rejects()] == [("2", "not an i"), ("4", "repeated")]


def test_oddities_are_named_and_kept(shop: Any) -> None:
    """Returns, zero quantities and free lines are counted; all rows stay."""
    text = HEADER + GOOD + "ann,2024-03-02,tea,-1,-3.5,b2\nann,2024-03-03,latte,0,0,b3\nann,2024-03-04,latte,1,0,b4\n"
    result = shop.sells(text)
    odd = {each.name: each.count for each in result.report.oddities}
    wanted = {"returns": 1, "zero_quantities": 1, "zero_prices": 1, "mixed_zones": 1}
    assert (result.snapshot.history.n_lines, odd) == (4, wanted)


def test_products_that_dwarf_the_rest_are_named(shop: Any) -> None:
    """Gasoline in thousandths of a gallon is reported, not hidden."""
    cups = "".join(f"ann,2024-03-{day:02d},cup{day},1,1,b{day}\n" for day in range(1, 21))
    result = shop.sells(HEADER + cups + "ann,2024-04-01,gas,15000,40,c1\n")
    examples = next(each.examples for each in result.report.oddities if each.name == "dwarfing_products")
    assert examples == ("gas: 99.9% of all quantity",)


@pytest.mark.parametrize(
    ("written", "options", "expected"),
    [
        ("2024-03-01 10:15:50.520", {}, seconds(2024, 3, 1, 10, 15, 50, zone="Europe/Moscow")),
        ("2024-03-01T10:15:50Z", {}, seconds(2024, 3, 1, 10, 15, 50)),
        ("2024-03-01 10:15:50+05:30", {}, seconds(2024, 3, 1, 4, 45, 50)),
        ("2024-03-01", {}, seconds(2024, 3, 1, zone="Europe/Moscow")),
        ("1709278550", {}, 1_709_278_550),
        ("1709278550123", {}, 1_709_278_550),
        ("1709278550", {"time_format": "epoch_s"}, 1_709_278_550),
        ("3/1/2024", {"time_format": "%m/%d/%Y"}, seconds(2024, 3, 1, zone="Europe/Moscow")),
        ("20240301", {"time_format": ["%d.%m.%Y", "%Y%m%d"]}, seconds(2024, 3, 1, zone="Europe/Moscow")),
        ("2024-03-01 10:00", {"zone": "UTC"}, seconds(2024, 3, 1, 10)),
    ],
)
def test_instants(shop: Any, written: str, options: dict[str, Any], expected: int) -> None:
    """Every way to write an instant gives the second the standard library computes."""
    result = shop.sells(HEADER + f"ann,{written},latte,1,1,b\n", business={"timezone": "Europe/Moscow"}, **options)
    assert first_time(result) == expected


def test_date_and_time_may_stand_in_two_columns(shop: Any) -> None:
    """Two columns of an instant are joined by a blank."""
    text = "who,day,hour,what\nann,2024-03-01,10:30:00,latte\n"
    columns = {"customer_id": "who", "occurred_at": ["day", "hour"], "product_id": "what"}
    assert first_time(shop.sells(text, columns=columns)) == seconds(2024, 3, 1, 10, 30)


def test_a_repeated_local_hour_is_the_earlier_one(shop: Any) -> None:
    """01:30 on the day summer time ends happens twice in New York; the one four hours behind UTC is taken."""
    result = shop.sells(HEADER + "ann,2024-11-03 01:30:00,latte,1,1,b\n", business={"timezone": "America/New_York"})
    assert first_time(result) == seconds(2024, 11, 3, 5, 30)


def test_a_skipped_local_hour_counts_an_hour_later(shop: Any) -> None:
    """02:30 on the day summer time begins does not exist in New York and is read as 03:30."""
    result = shop.sells(HEADER + "ann,2024-03-10 02:30:00,latte,1,1,b\n", business={"timezone": "America/New_York"})
    assert first_time(result) == seconds(2024, 3, 10, 3, 30, zone="America/New_York")


@pytest.mark.parametrize(
    ("text", "options", "minor"),
    [
        ("who;when;what;n;paid;bill\nann;2024-03-01;latte;1;1 234,50;b\n", {}, 123_450),
        ("who;when;what;n;paid;bill\nann;2024-03-01;latte;1;1.234,50;b\n", {"thousands": ".", "decimal": ","}, 123_450),
        ('who,when,what,n,paid,bill\nann,2024-03-01,latte,1,"1,234.50",b\n', {"thousands": ","}, 123_450),
        ("who,when,what,n,paid,bill\nann,2024-03-01,latte,1,$12.5,b\n", {}, 1250),
        ("who\twhen\twhat\tn\tpaid\tbill\nann\t2024-03-01\tlatte\t1\t-3.99\tb\n", {}, -399),
        ("who,when,what,n,paid,bill\nann,2024-03-01,latte,1,1250,b\n", {"business": {"minor_digits": 0}}, 1250),
        ("who,when,what,n,paid,bill\nann,2024-03-01,latte,1,0.29,b\n", {}, 29),
    ],
)
def test_money(shop: Any, text: str, options: dict[str, Any], minor: int) -> None:
    """Separators, decimal commas, thousands and currency signs; money becomes whole minor units."""
    assert shop.sells(text, **options).snapshot.history.line_amount.tolist() == [minor]


def test_unit_price_times_quantity(shop: Any) -> None:
    """A declared unit price is multiplied into the line total."""
    columns = {
        "customer_id": "who",
        "occurred_at": "when",
        "product_id": "what",
        "quantity": "n",
        "amount": {"unit_price": "paid"},
    }
    assert (
        shop.sells(HEADER + "ann,2024-03-01,latte,3,1.10,b\n", columns=columns).snapshot.history.line_amount[0] == 330
    )


@pytest.mark.parametrize(
    ("negative", "text", "minor"), [(False, "1.50,0.25", 175), (True, "-1.50,", 150), (False, "-1,", 0)]
)
def test_discounts_are_summed(shop: Any, negative: bool, text: str, minor: int) -> None:
    """Discount columns add up, empty ones count nothing, negative writing is declared."""
    columns = {
        "customer_id": "who",
        "occurred_at": "when",
        "product_id": "what",
        "discount": {"columns": ["off", "coupon"], "negative": negative},
    }
    result = shop.sells(f"who,when,what,off,coupon\nann,2024-03-01,latte,{text}\n", columns=columns)
    assert result.snapshot.history.line_discount.tolist() == [minor]


def test_cash_customers_are_mapped_as_declared(shop: Any) -> None:
    """Without a card a row is rejected, or belongs to whom the mapping says."""
    columns = {"customer_id": {"column": "who", "if_missing": "cash"}, "occurred_at": "when", "product_id": "what"}
    result = shop.sells("who,when,what\n,2024-03-01,latte\nann,2024-03-01,latte\n", columns=columns)
    assert list(result.snapshot.customers) == ["ann", "cash"]


def test_a_constant_product_is_said_to_carry_no_offers(shop: Any) -> None:
    """Where the source has no products one name stands for all, and the report says what follows."""
    columns = {"customer_id": "who", "occurred_at": "when", "product_id": {"constant": "any"}}
    result = shop.sells("who,when\nann,2024-03-01\nbob,2024-03-02\n", columns=columns)
    assert [each.name for each in result.report.oddities] == ["one_product"]


def test_too_many_rejects_refuse_the_import(shop: Any) -> None:
    """Beyond the declared share nothing is imported, and the rejects are there to be read."""
    text = HEADER + GOOD * 8 + "bob,never,latte,1,1,b2\n" * 2
    with pytest.raises(ImportRefused, match=r"2 of 10 rows.*at most 10%"):
        shop.sells(text, limits={"max_rejected_share": 0.1})
    assert (len(shop.rejects()), shop.report()["status"]) == (2, "refused")


def test_a_missing_column_is_named_with_the_nearest(shop: Any) -> None:
    """The message lists the columns found and guesses which was meant."""
    with pytest.raises(MappingError, match=r"no column 'who'.*'whom'.*Did you mean 'whom'"):
        shop.sells(HEADER.replace("who", "whom") + GOOD)
