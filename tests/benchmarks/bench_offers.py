"""Next basket and next novel basket on public data: `python -m tests.benchmarks.bench_offers --data DIR`.

DIR holds one `*baskets.json[.gz]` and its `*keyset*.json[.gz]` files. Baselines and variants of the ranker are read on
validation users, those in no keyset's test part; `--final` reads the test parts and adds a line to
docs/figures/looks.jsonl, so that every look is counted.
"""

import argparse
import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recsys.evaluation.baskets_data import Baskets, Indices, Keyset, read_baskets, read_keyset
from recsys.evaluation.baskets_methods import BASELINES
from recsys.evaluation.next_basket import (
    Measured,
    Method,
    Problem,
    difference_over,
    final_problem,
    mean_over,
    measure,
    open_users,
    problem_of,
)
from recsys.evaluation.ranking import Truth
from tests.benchmarks.bench_offers_ranker import ranker
from tests.benchmarks.figures import FIGURES

FOLDS = 5
"""Parts of the validation users; each is asked once while the targets of the others may be learned from."""

RANKER = "ranker, all prototype features"

COLUMNS = tuple((part, name) for part in ("mixed", "new") for name in ("recall@10", "ndcg@10", "PHR@10"))
"""What the tables show."""


class Question(NamedTuple):
    """A problem and what the asked users really took."""

    problem: Problem
    truth: Truth


class Run(NamedTuple):
    """One method on all questions: figures per user, and seconds it took in all."""

    measured: tuple[Measured, ...]
    seconds: float


def read(directory: Path) -> tuple[Baskets, list[Keyset]]:
    """Baskets and keysets of a folder."""
    baskets = read_baskets(next(directory.glob("*baskets.json*")))
    return baskets, [read_keyset(path, baskets) for path in sorted(directory.glob("*keyset*.json*"))]


def folds_of(users: Indices, seed: int = 0) -> list[Indices]:
    """The users in FOLDS parts of equal size."""
    drawn = np.random.default_rng(seed).permutation(users)
    return [np.sort(part) for part in np.array_split(drawn, FOLDS)]


def validation(baskets: Baskets, keysets: Sequence[Keyset]) -> list[Question]:
    """Each fold of the open users asked, the targets of the other folds learned from; no test user's target is read."""
    users = open_users(baskets, keysets)
    return [Question(*problem_of(baskets, np.setdiff1d(users, fold), fold)) for fold in folds_of(users)]


def final(baskets: Baskets, keysets: Sequence[Keyset]) -> list[Question]:
    """The test users of each keyset asked."""
    return [Question(*final_problem(baskets, keyset)) for keyset in keysets]


def run(method: Method, questions: Sequence[Question]) -> Run:
    """Figures of a method on every question."""
    start = time.perf_counter()
    measured = tuple(measure(method(problem), problem, truth) for problem, truth in questions)
    return Run(measured, time.perf_counter() - start)


def row(name: str, done: Run, n_users: int) -> str:
    """Line of a Markdown table."""
    values = [
        mean_over([(m.asked, getattr(m, part)[key]) for m in done.measured], n_users, draws=1) for part, key in COLUMNS
    ]
    return f"| {name} | " + " | ".join(f"{value.mean:.4f}" for value in values) + f" | {done.seconds:.1f} |"


def gain(done: Run, against: Run, n_users: int) -> str:
    """Differences with their paired 95% intervals, one line."""
    found = [difference_over(done.measured, against.measured, part, key, n_users) for part, key in COLUMNS]
    return "; ".join(
        f"{part} {key} {each.mean:+.4f} ({each.low:+.4f} … {each.high:+.4f})"
        for (part, key), each in zip(COLUMNS, found, strict=True)
    )


def header() -> str:
    """Head of the table of rows."""
    names = [key if part == "mixed" else f"novel {key}" for part, key in COLUMNS]
    return f"| method | {' | '.join(names)} | seconds |\n|---|{'---|' * (len(names) + 1)}"


def log_look(methods: Sequence[str], rows: Mapping[str, str]) -> None:
    """Add to the log of looks at test targets: when, at which commit, by which methods, what was read."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    look = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit, "methods": list(methods)}
    with (FIGURES / "looks.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(look | {"rows": dict(rows)}, ensure_ascii=False) + "\n")


def main() -> None:
    """Print the table of the methods asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("BENCH_BASKETS"), help="folder with the files")
    parser.add_argument("--final", action="store_true", help="read the test users and log the look")
    parser.add_argument("--ranker", action="store_true", help="also the ranker on all prototype features (minutes)")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("--data or BENCH_BASKETS: a folder with *baskets.json and *keyset*.json files")
    baskets, keysets = read(Path(arguments.data))
    questions = final(baskets, keysets) if arguments.final else validation(baskets, keysets)
    print(header())
    rows = {}
    methods = BASELINES | ({RANKER: ranker} if arguments.ranker else {})
    for name, method in methods.items():
        rows[name] = row(name, run(method, questions), baskets.n_users)
        print(rows[name], flush=True)
    if arguments.final:
        log_look(list(methods), rows)


if __name__ == "__main__":
    main()
