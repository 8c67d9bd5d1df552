"""Snapshots: the sample and a synthetic base of fifty million lines from Parquet, and opening them."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from recsys.data.snapshot import Snapshot
from tests.benchmarks.measure import figure, milliseconds, run_child

COMMAND = "make bench BENCH=snapshots"
CUSTOMERS, LINES = 1_000_000, 50_000_000

_IMPORT = """
import json, sys, time
from pathlib import Path
from tests.benchmarks import bench_snapshots
start = time.perf_counter()
path = bench_snapshots.{what}(Path(sys.argv[1]))
print(json.dumps({{"seconds": time.perf_counter() - start, "snapshot": str(path)}}))
"""


def run(workspace: Path) -> list[dict[str, Any]]:
    """Import both bases in processes of their own, then open them."""
    work = Path(tempfile.mkdtemp(prefix="barista-bench-"))
    try:
        return [*_sample(work), *_synthetic(work)]
    finally:
        shutil.rmtree(work)


def _sample(work: Path) -> list[dict[str, Any]]:
    run_child(["-c", _IMPORT.format(what="import_sample"), str(work / "warm")])
    seconds, peak, path = _imported("import_sample", work / "sample")
    opening = milliseconds(lambda: Snapshot.open(path), 50)
    return [
        figure("snapshot of the sample from Parquet (1.47 million lines)", seconds, "s", COMMAND, at_most=3),
        figure("the same, peak memory", peak, "MB", COMMAND),
        figure("opening the sample's snapshot, p50", float(np.median(opening)), "ms", COMMAND, at_most=10),
    ]


def _synthetic(work: Path) -> list[dict[str, Any]]:
    write_synthetic(work / "synthetic", CUSTOMERS, LINES)
    seconds, peak, path = _imported("import_synthetic", work / "synthetic")
    opening = milliseconds(lambda: Snapshot.open(path), 50)
    return [
        figure("snapshot of 50 million lines, 1 million customers from Parquet", seconds, "s", COMMAND, at_most=60),
        figure("the same, peak memory", peak, "MB", COMMAND, at_most=5 * 1024),
        figure("opening that snapshot, p50", float(np.median(opening)), "ms", COMMAND, at_most=10),
    ]


def _imported(what: str, directory: Path) -> tuple[float, float, Path]:
    """Seconds inside the process (imports of Python modules excluded), peak memory [MB], and the snapshot."""
    child = run_child(["-c", _IMPORT.format(what=what), str(directory)])
    said = json.loads(child.output.strip().splitlines()[-1])
    return said["seconds"], child.peak_mb, Path(said["snapshot"])


def import_sample(directory: Path) -> Path:
    """Import the Complete Journey sample into `directory`; the path of its snapshot."""
    from recsys.samples.complete_journey import mapping

    return _import(mapping(), directory)


def import_synthetic(directory: Path) -> Path:
    """Import what `write_synthetic` wrote; the path of its snapshot."""
    from recsys.data.mapping_file import read_mapping

    return _import(read_mapping(directory / "mapping.toml"), directory)


def _import(mapping: Any, directory: Path) -> Path:
    from recsys.data.importing import run_import

    directory.mkdir(parents=True, exist_ok=True)
    result = run_import(mapping)
    saved: Snapshot = result.snapshot.save(directory / "snapshots")
    return saved.directory or directory


def write_synthetic(directory: Path, customers: int, lines: int) -> None:
    """Parquet of random purchases of `customers` customers, unsorted, text ids, with its mapping."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    directory.mkdir(parents=True)
    draw = np.random.default_rng(7)
    names = pa.array([f"c{i:07d}" for i in range(customers)])
    products = pa.array([f"p{i:05d}" for i in range(20_000)])
    schema = pa.schema(
        [
            ("customer", pa.string()),
            ("product", pa.string()),
            ("time", pa.timestamp("s")),
            ("order", pa.int64()),
            ("quantity", pa.int32()),
            ("amount", pa.float64()),
        ]
    )
    per_order, chunk = 8, 2_000_000
    with pq.ParquetWriter(directory / "lines.parquet", schema) as writer:
        for start in range(0, lines, chunk):
            orders = np.repeat(np.arange(chunk // per_order), per_order)
            owner = draw.integers(0, customers, chunk // per_order)[orders]
            when = (1_640_995_200 + draw.integers(0, 730 * 86_400, chunk // per_order))[orders]
            product = (20_000 * draw.random(chunk) ** 3).astype(np.int64)
            columns = [
                names.take(pa.array(owner)),
                products.take(pa.array(product)),
                pa.array(when).cast(pa.timestamp("s")),
                pa.array(orders + start // per_order),
                pa.array(draw.integers(1, 4, chunk).astype(np.int32)),
                pa.array(np.round(draw.gamma(2.0, 3.0, chunk), 2)),
            ]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=1_000_000)
    (directory / "mapping.toml").write_text(_MAPPING, encoding="utf-8")


_MAPPING = """
[business]
timezone = "UTC"
currency = "EUR"

[transactions]
file = "lines.parquet"

[transactions.columns]
customer_id = "customer"
product_id = "product"
occurred_at = "time"
order_id = "order"
quantity = "quantity"
amount = "amount"

[items]
item_level = "product"
"""
