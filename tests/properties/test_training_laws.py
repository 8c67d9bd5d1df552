"""Laws of training: what was fitted at a cut knows nothing after it, and equal data give an equal bundle."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys.data import columns as c
from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.models.bundle import write_bundle
from recsys.samples.cafe import simulate
from recsys.testing import builders
from recsys.testing.serving import SMALL
from tests.properties.test_serving_laws import scrambled
from training.churn import fit_churn
from training.offers import fit_offers
from training.tables import Pasts
from training.value import fit_value
from training.windows import WindowRules, first_order, plan_fit

FITS = {"offers": fit_offers, "churn": fit_churn, "value": fit_value}
CUT_DAY = 130
RULES = WindowRules(21, per_horizon=1, most=2)


@pytest.fixture(scope="module")
def lines() -> pl.DataFrame:
    """Half a year of a small café."""
    return (
        simulate(11, 250, 180)
        .transactions.with_columns(pl.lit(None, pl.String).alias(c.STORE))
        .select(builders.LINE_SCHEMA.keys())
    )


def cut_of(lines: pl.DataFrame) -> int:
    """Where the fits of this module stop looking [s]."""
    return int(lines[c.TIME].min()) + CUT_DAY * DAY  # type: ignore[arg-type]


def digests(snapshot: Snapshot, cut: int, fit: Any, directory: Path) -> list[str]:
    """Digest of the bundle of every contender fitted at `cut`."""
    plan = plan_fit(first_order(snapshot.history), cut, RULES)
    fitted = fit(Pasts(snapshot, SMALL), plan, seed=1, threads=1)
    return [write_bundle(directory / f"{number}", each.content) for number, each in enumerate(fitted.contenders)]


@pytest.mark.parametrize("name", FITS)
def test_a_bundle_knows_nothing_of_the_future(name: str, lines: pl.DataFrame, tmp_path: Path) -> None:
    """Removing or scrambling every row after the cut changes no digest."""
    cut = cut_of(lines)
    tables = (lines, lines.filter(pl.col(c.TIME) <= cut), scrambled(lines, cut, 5))
    found = [digests(builders.snapshot(table), cut, FITS[name], tmp_path / str(i)) for i, table in enumerate(tables)]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("name", FITS)
def test_row_order_changes_no_bundle(name: str, lines: pl.DataFrame, tmp_path: Path) -> None:
    """Rows read in another order give the same digests."""
    cut = cut_of(lines)
    found = [
        digests(builders.snapshot(table), cut, FITS[name], tmp_path / str(i))
        for i, table in enumerate((lines, lines.reverse()))
    ]
    assert found[0] == found[1]
