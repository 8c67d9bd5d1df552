"""What several test packages share."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from recsys.data.assemble import CatalogueRules, assemble
from recsys.data.snapshot import Snapshot, SnapshotFacts
from recsys.settings import Settings
from recsys.workspace import Workspace
from tests.postgres import PostgresServer, running_postgres

DAY = 86_400

# Tests assert order and state, never time: no deadlines. The same examples each run, so that what passed passes again;
# `pytest --hypothesis-profile=explore` looks for new ones.
_NO_CLOCK = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
hypothesis_settings.register_profile("barista", derandomize=True, **_NO_CLOCK)
hypothesis_settings.register_profile("explore", max_examples=500, **_NO_CLOCK)
hypothesis_settings.load_profile("barista")


PATIENT = {"BARISTA_DATABASE_PATIENCE": "30"}
"""Services of tests wait for a database as long as a machine may stand still; tests of outages say how long."""


@pytest.fixture(scope="session", autouse=True)
def patient_services() -> Iterator[None]:
    """No stall of the machine is taken for a lost database, which would answer 503 where a test expects an answer."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in PATIENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The session's Postgres."""
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def database_address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of a database of the test's own, once of SQLite and once of Postgres."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'events.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a workspace of its own, whatever the environment of the machine says."""
    import os

    for name in [*os.environ]:
        if name not in PATIENT and (name.startswith("BARISTA_") or name in {"DATABASE_URL", "MLFLOW_TRACKING_URI"}):
            monkeypatch.delenv(name)
    return Settings(workspace=tmp_path / "workspace")


@pytest.fixture
def tiny_snapshot() -> Snapshot:
    """Three customers, six orders of four products in two groups; as_of is day 100."""
    lines = pl.DataFrame(
        [
            ("anna", "latte", 10, "a1", 350),
            ("anna", "latte", 40, "a2", 350),
            ("anna", "muffin", 40, "a2", 280),
            ("anna", "latte", 100, "a3", 360),
            ("ben", "espresso", 20, "b1", 220),
            ("ben", "espresso", 50, "b2", 220),
            ("cleo", "scone", 30, "c1", 300),
        ],
        schema=["customer_id", "product_id", "day", "order_id", "amount"],
        orient="row",
    )
    clean = lines.with_columns(
        occurred_at=pl.col("day").cast(pl.Int64) * DAY, quantity=pl.lit(1.0), amount=pl.col("amount").cast(pl.Int64)
    )
    products = pl.DataFrame(
        {
            "product_id": ["latte", "espresso", "muffin", "scone"],
            "group": ["coffee", "coffee", "bakery", "bakery"],
        }
    )
    return assemble(clean, SnapshotFacts(as_of=0, currency="EUR"), products, CatalogueRules(levels=("group",)))


@pytest.fixture
def tiny_workspace(settings: Settings, tiny_snapshot: Snapshot) -> Workspace:
    """A workspace whose current snapshot is `tiny_snapshot`, without population and models."""
    workspace = Workspace.create(settings)
    workspace.publish_snapshot(tiny_snapshot.save(workspace.snapshots).snapshot_id)
    return workspace
