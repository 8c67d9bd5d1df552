"""Customers blanked in a snapshot: gone byte by byte, everybody else where they were."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data import blanking
from recsys.data.blanking import BLANK, blank, named_in
from recsys.data.columns import CUSTOMER, PRODUCT
from recsys.data.ids import ABSENT, IdMap
from recsys.data.snapshot import Snapshot, read_manifest, verify_files
from recsys.data.told import told_files
from recsys.errors import SnapshotError
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


def told(parent: Path) -> Path:
    """A snapshot with a customers table, one of whom has no order, and what is fitted of it."""
    made, ids = builders.snapshot(*ROWS, timezone="UTC"), ["aida", "bob", "zoe"]
    table = pl.DataFrame({CUSTOMER: ids, "city": ["Rome", "Oslo", "Rome"]})
    derived = told_files(None, table, {PRODUCT: made.catalogue.products, CUSTOMER: made.customers})
    directory = made.save(parent, builders.customers_table(ids, city=table["city"]), derived).directory
    population = directory / "population"
    population.mkdir()
    IdMap.of(ids).save(population, "Lookalikes.ids")
    np.save(population / "Lookalikes.codes.npy", np.ones((3, 1), np.int16))
    return directory


def naming(directory: Path, *names: str) -> list[str]:
    """Files that hold one of the names, Parquet read as a table."""
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    texts = {path: path.read_bytes() for path in files}
    texts |= {path: pl.read_parquet(path).write_csv().encode() for path in files if path.suffix == ".parquet"}
    return [path.name for path in files if any(name.encode() in texts[path] for name in names)]


def cut(patch: pytest.MonkeyPatch, step: int) -> None:
    """Let the process be killed before its `step`-th writing."""
    passed = [0]

    def counted(write):
        def act(*arguments):
            passed[0] += 1
            if passed[0] == step:
                raise KeyboardInterrupt
            write(*arguments)

        return act

    for name in ("_fill", "_write", "_without_rows", "_say"):
        patch.setattr(blanking, name, counted(getattr(blanking, name)))


def test_blanking_cut_off_at_any_step_is_ended_by_a_repetition(tmp_path, monkeypatch):
    """Killed before any of its writings, the next one finds whom it left, and everything is whole."""
    step, under_way, left = 1, True, []
    while under_way:
        directory = told(tmp_path / str(step))
        with monkeypatch.context() as patch:
            cut(patch, step)
            under_way = False
            try:
                blank(directory, ["aida", "zoe"])
            except KeyboardInterrupt:
                under_way = True
        blank(directory, named_in(directory) & {"aida", "zoe"})
        history = Snapshot.open(directory, verify=True).history
        left += naming(directory, "aida", "zoe", "Rome")
        left += [step] * int(history.line_amount[: history.line_start[history.order_start[1]]].any())
        left += [step] * (directory / blanking.UNDER_WAY).exists()
        step += 1
    assert (left, step > 14) == ([], True)


def test_no_file_of_a_snapshot_with_a_table_names_the_blanked(tmp_path):
    """Those with orders and those of the table alone; the others' rows stay."""
    directory = told(tmp_path)
    before = len(naming(directory, "aida"))
    blank(directory, ["aida", "zoe"])
    assert (before > 3, naming(directory, "aida", "zoe"), named_in(directory)) == (True, [], {"bob", "carl"})


def test_a_program_of_before_refuses_a_snapshot_from_the_first_blanked_id_on(saved, monkeypatch):
    """Its search halves what is sorted and would miss others; it takes contract version 1 alone."""
    seen, real = [], blanking._blank_ids
    monkeypatch.setattr(
        blanking, "_blank_ids", lambda *given: (seen.append(read_manifest(saved.directory)["contract"]), real(*given))
    )
    blank(saved.directory, ["aida"])
    assert {*seen, read_manifest(saved.directory)["contract"]} == {2}


@pytest.mark.parametrize("name", ["order_time.npy", "stores.blob.npy"])
def test_damage_of_before_stays_visible(saved, name):
    """Of a file that is written, and of one that is not."""
    content = bytearray((saved.directory / name).read_bytes())
    content[-1] ^= 255
    (saved.directory / name).write_bytes(content)
    with suppress(SnapshotError):
        blank(saved.directory, ["aida"])
    with pytest.raises(SnapshotError, match=f"{name} is damaged"):
        verify_files(saved.directory, read_manifest(saved.directory))


def test_what_a_killed_removal_left_is_replaced_by_an_import(saved):
    """A directory under the name of the content, without a manifest."""
    (saved.directory / "manifest.json").unlink()
    again = builders.snapshot(*ROWS, timezone="UTC").save(saved.directory.parent)
    assert list(again.customers) == ["aida", "bob", "carl"]


def test_content_imported_again_is_whole(saved):
    """A directory that was blanked does not pass for the content its name stands for."""
    blank(saved.directory, ["aida"])
    again = builders.snapshot(*ROWS, timezone="UTC").save(saved.directory.parent)
    assert (again.snapshot_id, list(again.customers)) == (saved.snapshot_id, ["aida", "bob", "carl"])
