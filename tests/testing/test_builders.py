"""The builders of tiny tables build what their texts say."""

import polars as pl
import pytest

from recsys.data import columns as c
from recsys.errors import ImportRefused
from recsys.testing import builders


def test_a_line_reads_as_written() -> None:
    """Quantity times unit price is the line total in minor units."""
    row = builders.lines("ann latte 2024-03-01T08:30 2x3.50 order=o1 store=north channel=web discount=0.20").row(0)
    assert row == ("ann", "latte", 1_709_281_800, 2.0, 700, 20, "o1", "north", "web")


def test_a_return_has_a_negative_total() -> None:
    """A line of minus one unit takes its price back."""
    assert builders.lines("ann latte 2024-03-01 -1x3.50")[c.AMOUNT].to_list() == [-350]


@pytest.mark.parametrize(
    "text", ["ann latte", "ann latte yesterday", "ann latte 2024-03-01 twice", "a b 2024-03-01 x=1"]
)
def test_a_text_that_is_no_purchase_is_refused(text: str) -> None:
    """A misspelt row is an error that shows it."""
    with pytest.raises(ImportRefused, match=text):
        builders.lines(text)


@pytest.mark.parametrize(("seed", "same"), [(1, True), (2, False)])
def test_random_lines_follow_the_seed(seed: int, same: bool) -> None:
    """The same seed gives the same table, another one another."""
    assert builders.random_lines(seed).equals(builders.random_lines(1)) is same


def test_random_lines_are_awkward_on_request() -> None:
    """Awkward tables hold returns and orders without id, tidy ones do not."""
    odd = (pl.col(c.QUANTITY) < 0) | pl.col(c.ORDER).is_null()
    tables = (builders.random_lines(1), builders.random_lines(1, awkward=False))
    assert [table.filter(odd).is_empty() for table in tables] == [False, True]


def test_a_marked_product_is_not_offerable() -> None:
    """A leading exclamation mark takes a product out of the offers."""
    built = builders.snapshot("ann latte 2024-03-01", catalogue=["latte DRINKS>COFFEE 3.50", "!fuel FUEL"])
    assert built.catalogue.offerable.tolist() == [False, True]
