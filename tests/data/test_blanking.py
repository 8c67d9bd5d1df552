"""Customers blanked in a snapshot: gone byte by byte, everybody else where they were."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data import blanking
from recsys.data.blanking import BLANK, blank, named_in
from recsys.data.ids import ABSENT, IdMap
from recsys.data.snapshot import Snapshot
from recsys.testing import builders

ROWS = (
    "aida latte 2024-03-01T08:00 1x3.50 order=o1 store=north",
    "aida scone 2024-03-04T08:00 2x2.80 order=o2 store=north",
    "bob tea 2024-03-02T09:00 1x2.10 order=o3 store=south",
    "carl latte 2024-03-03T09:00 1x3.50 order=o4 store=south",
)


@pytest.fixture
def saved(tmp_path: Path) -> Snapshot:
    """A snapshot of three customers on disk."""
    return builders.snapshot(*ROWS, timezone="UTC").save(tmp_path)


@given(st.sets(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=12), st.data())
def test_every_other_id_is_still_found(ids, data):
    """Whatever is blanked among sorted ids: a linear search and the map agree on every text."""
    gone = data.draw(st.sets(st.sampled_from(sorted(ids))))
    whole = IdMap.of(ids)
    blob = whole.blob.copy()
    for at, each in enumerate(whole):
        if each in gone:
            blob[whole.offsets[at] : whole.offsets[at + 1]] = 0
    blanked = IdMap(whole.offsets, blob)
    expected = {each: ABSENT if each in gone else list(whole).index(each) for each in ids} | {
        "zz": ABSENT,
        "a0": ABSENT,
    }
    assert {each: blanked.index(each) for each in expected} == expected


def test_a_blanked_customer_leaves_no_number(saved):
    """Instants, products, amounts and keys of the orders go; how many there were stays."""
    blank(saved.directory, ["aida"])
    history = Snapshot.open(saved.directory, verify=True).history
    low, high = history.span(0)
    first, last = history.line_start[low], history.line_start[high]
    told = [history.order_time[low:high].tolist(), history.order_key[low:high].any(), history.order_store[low:high]]
    lines = [part[first:last] for part in (history.line_amount, history.line_quantity, history.line_discount)]
    assert (high - low, told[:2], set(told[2].tolist())) == (2, [[saved.as_of] * 2, False], {65_535})
    assert ([part.any() for part in lines], set(history.line_product[first:last].tolist())) == ([False] * 3, {-1})


def test_everybody_else_keeps_every_bit(saved):
    """Their orders and lines are the same bytes at the same places, also for who has the files mapped."""
    before = builders.snapshot(*ROWS, timezone="UTC").history
    blank(saved.directory, ["aida"])
    for snapshot in (saved, Snapshot.open(saved.directory)):
        for name in ("bob", "carl"):
            low, high = before.span(snapshot.customers.index(name))
            first, last = before.line_start[low], before.line_start[high]
            for field, part in before.arrays()._asdict().items():
                span = slice(first, last) if field.startswith("line_") and field != "line_start" else slice(low, high)
                assert np.array_equal(part[span], getattr(snapshot.history, field)[span])


def test_no_byte_of_the_id_is_left(saved):
    """Neither in the ids nor in any other file, and nobody is named who is not there."""
    blank(saved.directory, ["aida"])
    left = [path.name for path in saved.directory.rglob("*") if path.is_file() and b"aida" in path.read_bytes()]
    assert (left, named_in(saved.directory), Snapshot.open(saved.directory).customers[0]) == (
        [],
        {"bob", "carl"},
        BLANK * 4,
    )


@pytest.mark.parametrize("step", ["_blank_orders", "_blank_table", "_blank_ids", "replace_text"])
def test_blanking_that_was_cut_off_is_ended_by_a_repetition(saved, monkeypatch, step):
    """Killed before any of its steps, the next one finds what is left to be done."""
    with monkeypatch.context() as patch:
        patch.setattr(blanking, step, lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            blank(saved.directory, ["aida"])
    blank(saved.directory, named_in(saved.directory) & {"aida"})
    history = Snapshot.open(saved.directory, verify=True).history
    left = history.line_amount[: history.line_start[history.order_start[1]]]
    under_way = (saved.directory / blanking.UNDER_WAY).exists()
    assert (named_in(saved.directory), left.any(), under_way) == ({"bob", "carl"}, False, False)


def test_content_imported_again_is_whole(saved):
    """A directory that was blanked does not pass for the content its name stands for."""
    blank(saved.directory, ["aida"])
    again = builders.snapshot(*ROWS, timezone="UTC").save(saved.directory.parent)
    assert (again.snapshot_id, list(again.customers)) == (saved.snapshot_id, ["aida", "bob", "carl"])
