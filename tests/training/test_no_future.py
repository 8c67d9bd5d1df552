"""The law of training: rows after the cut change no bit of a bundle, and equal rows give equal bundles."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.data.assemble import assemble
from recsys.data.cataloguing import CatalogueRules
from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot, SnapshotFacts
from recsys.evaluation.results import ModelName
from recsys.models.bundle import write_bundle
from recsys.samples.cafe import CURRENCY, TIMEZONE, Cafe
from recsys.samples.menu import LEVELS, NOT_OFFERABLE
from training.models import MODELLING
from training.tables import Pasts
from training.windows import first_order, plan_fit

HORIZON = 21
MODELS: tuple[ModelName, ...] = ("churn", "value", "offers")


def digests(base: Snapshot, cut: int, name: ModelName, folder: Path) -> list[str]:
    """Digests of all contenders of one fit at `cut`."""
    modelling = MODELLING[name]
    plan = plan_fit(first_order(base.history), cut, modelling.rules(HORIZON))
    fit = modelling.fit(Pasts(base), plan, seed=1, threads=1)
    return [write_bundle(folder / str(place), each.content) for place, each in enumerate(fit.contenders)]


def rebuilt(cafe: Cafe, lines: pl.DataFrame) -> Snapshot:
    facts = SnapshotFacts(0, currency=CURRENCY, timezone=TIMEZONE, source="simulated café")
    return assemble(lines, facts, cafe.products, CatalogueRules(LEVELS, "product", NOT_OFFERABLE))


def scrambled(lines: pl.DataFrame, cut: int) -> pl.DataFrame:
    """Rows after `cut` with customers, products and amounts dealt anew, and strangers among them."""
    past, future = lines.filter(pl.col("occurred_at") <= cut), lines.filter(pl.col("occurred_at") > cut)
    draw: Any = np.random.default_rng(5)
    dealt = future.with_columns(
        future["product_id"].gather(draw.permutation(len(future))),
        future["amount"].gather(draw.permutation(len(future))),
        pl.Series("customer_id", [f"a{each}" for each in draw.integers(0, 50, len(future))]),
    )
    return pl.concat([dealt, past])


@pytest.mark.parametrize("name", MODELS)
def test_rows_after_the_cut_change_no_bit(cafe: Cafe, cafe_snapshot: Snapshot, tmp_path: Path, name: ModelName) -> None:
    """Whole history, truncated import and scrambled future give the same bundles."""
    cut = cafe_snapshot.as_of - 30 * DAY
    truncated = rebuilt(cafe, cafe.transactions.filter(pl.col("occurred_at") <= cut))
    changed = rebuilt(cafe, scrambled(cafe.transactions, cut))
    whole, short, other = (
        digests(base, cut, name, tmp_path / str(place))
        for place, base in enumerate((cafe_snapshot, truncated, changed))
    )
    assert whole == short == other


def test_rows_before_the_cut_do_change_the_bundles(cafe: Cafe, cafe_snapshot: Snapshot, tmp_path: Path) -> None:
    """The law is no accident of bundles that never change."""
    cut = cafe_snapshot.as_of - 30 * DAY
    other = rebuilt(cafe, cafe.transactions.filter(pl.col("occurred_at") > cafe_snapshot.as_of - 180 * DAY))
    assert digests(cafe_snapshot, cut, "churn", tmp_path / "a") != digests(other, cut, "churn", tmp_path / "b")
