"""A small café, simulated once and shared by the tests of training."""

from pathlib import Path

import polars as pl
import pytest

from recsys.data.snapshot import Snapshot
from recsys.models.bundle import BundleContent, write_bundle
from recsys.samples.cafe import Cafe, simulate
from recsys.settings import Settings
from recsys.workspace import Workspace
from training.publishing import ensure_population


@pytest.fixture(scope="session")
def cafe() -> Cafe:
    """300 guests over 210 days."""
    return simulate(seed=7, n_customers=300, days=210)


@pytest.fixture(scope="session")
def cafe_snapshot(cafe: Cafe) -> Snapshot:
    """All rows of the café."""
    return cafe.snapshot()


@pytest.fixture(scope="session")
def cafe_settings(cafe_snapshot: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace with the café as its current snapshot, population facts included."""
    settings = Settings(workspace=tmp_path_factory.mktemp("cafe") / "workspace", threads=1)
    workspace = Workspace.create(settings)
    saved = cafe_snapshot.save(workspace.snapshots)
    ensure_population(saved)
    workspace.publish_snapshot(saved.snapshot_id)
    return settings


def digest(content: BundleContent, directory: Path) -> str:
    """Digest of the bundle that `content` makes."""
    return write_bundle(directory, content)


def rows_until(cafe: Cafe, cut: int) -> pl.DataFrame:
    """The café's lines up to `cut` [s]."""
    return cafe.transactions.filter(pl.col("occurred_at") <= cut)
