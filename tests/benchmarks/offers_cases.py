"""One measured question: tables of contenders, what each costs, and how it is kept in docs/figures/offers."""

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from recsys.evaluation import bootstrap
from recsys.evaluation.bootstrap import Interval
from recsys.evaluation.results import Contender, Difference, MetricRow, MetricTable
from tests.benchmarks.figures import FIGURES

CASES = FIGURES / "offers"
MODEL = "Barista"
"""Name of the product's model in the tables."""

Floats = npt.NDArray[np.float64]
Vectors = Mapping[str, Floats]
"""Metric → figures per customer, NaN where a customer does not count."""


@dataclass(frozen=True)
class OfferCase:
    """One protocol on one data set at one cut, as kept in docs/figures/offers.

    tables  contenders by part: `mixed`, `repeat`, `new`, segments of customers
    costs   contender → name → figure: CPU seconds to train, ms to recommend, peak MB, coverage …
    lists   further tables by name, rows of named figures: candidate sources, deciles of probability, ablation
    """

    protocol: str
    data: str
    level: str
    cut: str
    horizon_days: int
    split: str
    tables: tuple[MetricTable, ...]
    costs: dict[str, dict[str, float | None]] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)
    lists: dict[str, list[dict[str, float | str | None]]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How tables call it."""
        window = f", {self.cut} + {self.horizon_days} days" if self.cut and self.horizon_days else ""
        return f"{self.data}{f', {self.level}' if self.level else ''}{window}"

    def table(self, part: str) -> MetricTable:
        """The table of `part`."""
        return next(each for each in self.tables if each.part == part)

    def save(self, directory: Path = CASES) -> Path:
        """Write it as JSON and return the path."""
        directory.mkdir(parents=True, exist_ok=True)
        parts = (self.protocol, self.data, self.level, self.cut, self.split)
        path = directory / ("-".join(each.replace(" ", "_") for each in parts if each) + ".json")
        path.write_bytes(msgspec.json.format(msgspec.json.encode(_rounded(self)), indent=1) + b"\n")
        return path


def read_cases(protocol: str, split: str, directory: Path = CASES) -> list[OfferCase]:
    """All cases of a protocol read on one split, by data set and cut."""
    paths = sorted(directory.glob(f"{protocol}-*.json"))
    found = [msgspec.json.decode(path.read_bytes(), type=OfferCase) for path in paths]
    return [case for case in found if case.split == split and case.protocol == protocol]


@dataclass
class Meter:
    """CPU seconds and peak of this process's resident memory [MB] of a block.

    CPU time of all threads hardly depends on what else the machine does; on idle cores a clock shows at most as much.
    """

    seconds: float = 0.0
    peak_mb: float = 0.0


@contextmanager
def metered(meter: Meter) -> Iterator[None]:
    """Measure the block; several blocks add up their seconds. Memory is looked at 50 times a second."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            meter.peak_mb = max(meter.peak_mb, _resident_mb())
            stop.wait(0.02)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    begun = time.process_time()
    try:
        yield
    finally:
        meter.seconds += time.process_time() - begun
        stop.set()
        thread.join()


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def table_of(part: str, vectors: Mapping[str, Vectors], owner: npt.NDArray[np.int64] | None = None) -> MetricTable:
    """Means with intervals and the model's paired differences, over customers.

    `owner` (n,): customer of each figure where a customer has several (purchases); customers are resampled whole.
    """
    mean = bootstrap.mean_interval if owner is None else partial(clustered, owner=owner)
    contenders = tuple(
        Contender(
            name, "model" if name == MODEL else "baseline", tuple(_row(metric, mean(v)) for metric, v in each.items())
        )
        for name, each in sorted(vectors.items(), key=lambda pair: pair[0] != MODEL)
    )
    pairs = [name for name in vectors if name != MODEL and MODEL in vectors]
    differences = tuple(
        Difference(metric, MODEL, name, *_finite(mean(vectors[MODEL][metric] - vectors[name][metric])))
        for name in pairs
        for metric in vectors[MODEL]
        if metric in vectors[name]
    )
    first = next(iter(next(iter(vectors.values())).values()))
    counted = ~np.isnan(first)
    customers = int(counted.sum()) if owner is None else len(np.unique(owner[counted]))
    return MetricTable(part, customers, contenders, differences)


def clustered(values: Floats, owner: npt.NDArray[np.int64], draws: int = 2_000, seed: int = 0) -> Interval:
    """Mean of `values` (n,) with the 95% interval of resampling whole customers; NaN values don't count."""
    kept = ~np.isnan(values)
    if not kept.any():
        return bootstrap.UNDEFINED
    _, place = np.unique(owner[kept], return_inverse=True)
    sums, counts = np.bincount(place, values[kept]), np.bincount(place).astype(np.float64)
    n, rng = len(sums), np.random.default_rng(seed)
    found = np.empty(draws)
    for draw in range(draws):
        times = np.bincount(rng.integers(0, n, n), minlength=n)
        found[draw] = (sums @ times) / max(1.0, counts @ times)
    low, high = np.quantile(found, [(1 - bootstrap.LEVEL) / 2, (1 + bootstrap.LEVEL) / 2])
    return Interval(float(values[kept].mean()), float(low), float(high))


def best_baseline(table: MetricTable, metric: str) -> str:
    """The baseline with the largest `metric`."""
    others = [each for each in table.contenders if each.role == "baseline"]
    return max(others, key=lambda each: each.value(metric) if each.value(metric) is not None else -1.0).name


def gap(table: MetricTable, metric: str, baseline: str | None = None) -> Difference | None:
    """The model's paired difference from `baseline`, by default the best in `metric`; None where undefined."""
    name = baseline or best_baseline(table, metric)
    return next((each for each in table.differences if (each.metric, each.second) == (metric, name)), None)


def _row(name: str, interval: Interval) -> MetricRow:
    return MetricRow(name, *_finite(interval))


def _finite(interval: Interval) -> tuple[float | None, float | None, float | None]:
    mean, low, high = (None if np.isnan(each) else float(each) for each in interval)
    return mean, low, high


def _rounded(case: OfferCase) -> object:
    """The case with six significant digits: files that a person can read and a diff can show."""

    def short(value: object) -> object:
        if isinstance(value, float):
            return None if np.isnan(value) else float(f"{value:.6g}")
        if isinstance(value, dict):
            return {key: short(each) for key, each in value.items()}
        return [short(each) for each in value] if isinstance(value, list) else value

    return short(msgspec.to_builtins(case))
