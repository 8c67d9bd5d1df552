"""What training writes down of a base whose every personal value is a canary."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.samples.cafe import simulate
from recsys.settings import Settings

CANARY = "canary4711"
INCOME = 47_114_711
"""The income of the one who has most."""

MAY_NAME = ("snapshots", "imports", "barista.db")
"""What of a workspace may name customers: data and what was wrong with it."""

PACKED = (b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"PAR1")
"""How files begin that a search for bytes can't look into: gzip, zip, zstandard, Parquet."""


def write_source(directory: Path) -> Path:
    """The files of a small café whose customers, orders and attributes are canaries; where its mapping is."""
    cafe = simulate(seed=7, n_customers=120, days=110)
    cafe.write(directory)
    person = pl.format("{}-{}@example.org", pl.lit(CANARY), pl.col("customer_id"))
    lines = pl.read_csv(directory / "transactions.csv", infer_schema=False)
    order = pl.format("{}-{}", pl.lit(CANARY), pl.col("order_id"))
    lines.with_columns(customer_id=person, order_id=order).write_csv(directory / "transactions.csv")
    people = pl.read_csv(directory / "customers.csv", infer_schema=False)
    income = pl.when(pl.int_range(pl.len()) == 0).then(INCOME).otherwise(20_000 + 7 * pl.int_range(pl.len()))
    name = pl.format("{} the {}th", pl.lit(CANARY.capitalize()), pl.int_range(pl.len()))
    people = people.with_columns(customer_id=person, mail=person, name=name, income=income)
    people.write_csv(directory / "customers.csv")
    text = (directory / "cafe.toml").read_text()
    mapping = text.split("[customers]")[0] + "[items]" + text.split("[items]")[1]
    attributes = "".join(f'{each} = "{each}"\n' for each in people.columns if each != "customer_id")
    mapping += '[customers]\nfile = "customers.csv"\n[customers.columns]\ncustomer_id = "customer_id"\n'
    (directory / "cafe.toml").write_text(f"{mapping}[customers.attributes]\n{attributes}")
    return directory / "cafe.toml"


def found_in(content: bytes) -> bool:
    """Whether a canary stands in bytes, in any case, as text of one or two bytes a letter, or packed."""
    lowered = content.lower()
    texts = (CANARY.encode(), CANARY.encode("utf-16-le"), str(INCOME).encode(), f"{INCOME / 100:.2f}".encode())
    return any(text in lowered for text in texts)


def unpacked(path: Path) -> bytes:
    """The content of a file, what is packed in it unpacked where it can be.

    Raises:
        AssertionError: it is packed in a way nobody looks into.
    """
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        return gzip.decompress(content)
    assert not content.startswith(PACKED), path
    return content + b"".join(_streams(content)) if content.startswith(b"\x89PNG") else content


def _streams(content: bytes) -> Iterator[bytes]:
    """Compressed texts of a picture (PNG, chunks zTXt and iTXt)."""
    for kind in (b"zTXt", b"iTXt"):
        for part in content.split(kind)[1:]:
            at = part.find(b"\x78")
            yield zlib.decompressobj().decompress(part[at:]) if at >= 0 else b""


def test_training_writes_no_canary_down(
    tmp_path: Path, settings: Settings, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Import, check, train and back-test by their commands: MLflow, bundles, reports, figures and all that is said."""
    source = write_source(tmp_path)
    last = pl.read_csv(tmp_path / "transactions.csv", infer_schema=False)["occurred_at"].str.slice(0, 10).max()
    cut = str(pl.Series([last]).str.to_date().dt.offset_by("-20d")[0])
    common = ["--workspace", str(settings.workspace), "--threads", "1", "--log-level", "debug"]
    horizons = [f"--{name}-horizon=14" for name in ("offers", "churn", "value")]
    told = tmp_path / "told"
    told.mkdir()
    commands = (
        ["import", str(source), "--json", str(tmp_path / "import.json")],
        ["check", "--json", str(told / "check.json")],
        ["train", *horizons],
        ["backtest", "--cut", cut, "--horizon", "14", "--models", "churn", "--json", str(told / "backtest.json")],
        ["status", "--json"],
    )
    results = [CliRunner().invoke(build_app(), [*common, *command], catch_exceptions=False) for command in commands]
    said = "".join([*(result.output for result in results), *capfd.readouterr()])
    files = [path for path in (*settings.workspace.rglob("*"), *told.rglob("*")) if path.is_file()]
    held = {str(path.relative_to(tmp_path)): path for path in files if not _may_name(settings.workspace, path)}
    hits = [name for name, path in held.items() if found_in(name.encode()) or found_in(unpacked(path))]
    versions = sum("model/artifacts" in name and name.endswith("population.json") for name in held)
    data = (settings.workspace / "snapshots").rglob("customers.blob.npy")
    assert [result.exit_code for result in results] == [0] * len(commands)
    assert (versions > 3, any(found_in(path.read_bytes()) for path in data)) == (True, True)
    assert {"mlflow.db", "bundles", "reports", "mlruns"} <= {Path(name).parts[1] for name in held}
    assert (hits, found_in(said.encode())) == ([], False)


def _may_name(workspace: Path, path: Path) -> bool:
    return path.is_relative_to(workspace) and path.relative_to(workspace).parts[0].startswith(MAY_NAME)
